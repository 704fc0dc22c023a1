"""Configs: found by name, read and checked before anything is built; those stored in checkpoints."""
