"""Train a model; ``mim train mmdataseg`` runs this script. The same as ``python -m mmdataseg train``."""

from mmdataseg.apis.cli import run_train

if __name__ == "__main__":
    run_train()
