"""Training loops and hooks."""

from mmdataseg.engine.curves import PlotCurves
from mmdataseg.engine.layer_decay import LayerDecayOptimWrapperConstructor
from mmdataseg.engine.loops import ResumableTrainLoop
from mmdataseg.engine.visualization import DrawPredictions

__all__ = ["DrawPredictions", "LayerDecayOptimWrapperConstructor", "PlotCurves", "ResumableTrainLoop"]
