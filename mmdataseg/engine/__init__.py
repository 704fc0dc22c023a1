"""Training loops and hooks."""

from mmdataseg.engine.loops import ResumableTrainLoop
from mmdataseg.engine.visualization import DrawPredictions

__all__ = ["DrawPredictions", "ResumableTrainLoop"]
