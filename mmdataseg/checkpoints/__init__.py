"""Checkpoints of others: reading them without running their code, recognising them, bringing them into our names."""
