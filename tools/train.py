"""Train a model: what ``mim train mmdataseg`` runs. The same as ``python -m mmdataseg train``."""

from mmdataseg.apis.cli import run_train

if __name__ == "__main__":
    run_train()
