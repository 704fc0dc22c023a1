"""The answer of each task, computed from the proposals of an image.

Each writes one field of a ``DetDataSample``, which mmdet's visualiser and metrics read.
"""

from mmdataseg.models.postprocessors.fusion_postprocessor import FusionPanopticPostProcessor
from mmdataseg.models.postprocessors.instance_postprocessor import InstancePostProcessor
from mmdataseg.models.postprocessors.panoptic_postprocessor import PanopticPostProcessor
from mmdataseg.models.postprocessors.semantic_postprocessor import SemanticPostProcessor

__all__ = [
    "FusionPanopticPostProcessor",
    "InstancePostProcessor",
    "PanopticPostProcessor",
    "SemanticPostProcessor",
]
