"""The training loop, hooks and optimizer constructors."""

import mmdataseg.quiet_mmdet  # noqa: F401
from mmdataseg.engine.bfloat16 import Bfloat16OptimWrapper
from mmdataseg.engine.check_weights import CheckWeights
from mmdataseg.engine.draw_predictions import DrawPredictions
from mmdataseg.engine.finite_training import FiniteTraining
from mmdataseg.engine.fused_optimizer import FusedOptimWrapperConstructor
from mmdataseg.engine.grouped_parameters import GroupedOptimWrapperConstructor
from mmdataseg.engine.keep_freed_memory import KeepFreedMemory
from mmdataseg.engine.layer_decay import LayerDecayOptimWrapperConstructor
from mmdataseg.engine.loops import ResumableTrainLoop
from mmdataseg.engine.plot_curves import PlotCurves
from mmdataseg.engine.same_optimization import SameOptimization
from mmdataseg.engine.whole_checkpoints import WholeCheckpoints

__all__ = [
    "Bfloat16OptimWrapper",
    "CheckWeights",
    "DrawPredictions",
    "FiniteTraining",
    "FusedOptimWrapperConstructor",
    "GroupedOptimWrapperConstructor",
    "KeepFreedMemory",
    "LayerDecayOptimWrapperConstructor",
    "PlotCurves",
    "ResumableTrainLoop",
    "SameOptimization",
    "WholeCheckpoints",
]
