"""Test a model: what ``mim test mmdataseg`` runs. The same as ``python -m mmdataseg test``."""

from mmdataseg.apis.cli import run_test

if __name__ == "__main__":
    run_test()
