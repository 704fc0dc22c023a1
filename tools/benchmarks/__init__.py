"""The comparisons of `tools/benchmark.py`: a module for each subcommand. Nothing in the package imports it."""
