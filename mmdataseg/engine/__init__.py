"""Training loops and hooks."""

from mmdataseg.engine.bfloat16 import Bfloat16OptimWrapper
from mmdataseg.engine.curves import PlotCurves
from mmdataseg.engine.layer_decay import LayerDecayOptimWrapperConstructor
from mmdataseg.engine.loops import ResumableTrainLoop
from mmdataseg.engine.visualization import DrawPredictions

__all__ = [
    "Bfloat16OptimWrapper",
    "DrawPredictions",
    "LayerDecayOptimWrapperConstructor",
    "PlotCurves",
    "ResumableTrainLoop",
]
