"""What `tools/benchmark.py` compares: a module for each subcommand. Nothing in the package imports it."""
