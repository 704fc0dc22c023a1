"""Test a model; ``mim test mmdataseg`` runs this script. The same as ``python -m mmdataseg test``."""

from mmdataseg.apis.cli import run_test

if __name__ == "__main__":
    run_test()
