"""The answer of each task, computed from the proposals of an image."""

from mmdataseg.models.postprocessors.fusion_postprocessor import FusionPanopticPostProcessor
from mmdataseg.models.postprocessors.postprocessors import (
    InstancePostProcessor,
    PanopticPostProcessor,
    SemanticPostProcessor,
)

__all__ = [
    "FusionPanopticPostProcessor",
    "InstancePostProcessor",
    "PanopticPostProcessor",
    "SemanticPostProcessor",
]
