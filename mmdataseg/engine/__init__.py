"""Training loops and hooks."""

from mmdataseg.engine.layer_decay import LayerDecayOptimWrapperConstructor
from mmdataseg.engine.loops import ResumableTrainLoop
from mmdataseg.engine.visualization import DrawPredictions

__all__ = ["DrawPredictions", "LayerDecayOptimWrapperConstructor", "ResumableTrainLoop"]
