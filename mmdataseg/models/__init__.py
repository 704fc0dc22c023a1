"""The network and its parts."""

import mmdataseg.quiet_mmdet  # noqa: F401
from mmdataseg.models.backbones import TimmBackbone, ViTDet
from mmdataseg.models.classifiers import LearnedClassifier, TextClassifier
from mmdataseg.models.criterion import DaTaSegCriterion
from mmdataseg.models.data_preprocessors import ColorSimilarityPreprocessor, MMDetPanopticPreprocessor
from mmdataseg.models.dataseg import DaTaSeg
from mmdataseg.models.heads import DaTaSegHead, DeformableAttention, MSDeformAttnPixelDecoder, Proposals
from mmdataseg.models.losses import BoxProjectionCost, BoxProjectionLoss
from mmdataseg.models.necks import PositionChannels, SimpleFeaturePyramid
from mmdataseg.models.postprocessors import (
    FusionPanopticPostProcessor,
    InstancePostProcessor,
    PanopticPostProcessor,
    SemanticPostProcessor,
)
from mmdataseg.models.targets import BoxTargets, MaskTargets, Targets

__all__ = [
    "BoxProjectionCost",
    "BoxProjectionLoss",
    "BoxTargets",
    "ColorSimilarityPreprocessor",
    "DaTaSeg",
    "DaTaSegCriterion",
    "DaTaSegHead",
    "DeformableAttention",
    "FusionPanopticPostProcessor",
    "InstancePostProcessor",
    "LearnedClassifier",
    "MMDetPanopticPreprocessor",
    "MSDeformAttnPixelDecoder",
    "MaskTargets",
    "PanopticPostProcessor",
    "PositionChannels",
    "Proposals",
    "SemanticPostProcessor",
    "SimpleFeaturePyramid",
    "Targets",
    "TextClassifier",
    "TimmBackbone",
    "ViTDet",
]
