"""Training loops and hooks."""

from mmdataseg.engine.loops import ResumableTrainLoop

__all__ = ["ResumableTrainLoop"]
