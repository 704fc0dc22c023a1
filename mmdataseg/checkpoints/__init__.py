"""Checkpoints of other projects: reading them without running code, recognising them, and renaming their parameters."""
