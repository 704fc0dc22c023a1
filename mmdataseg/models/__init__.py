"""The network and its parts."""

import mmdataseg.quiet_mmdet  # noqa: F401
from mmdataseg.models.box_targets import BoxTargets
from mmdataseg.models.color_similarity import ColorSimilarityPreprocessor
from mmdataseg.models.criterion import DaTaSegCriterion
from mmdataseg.models.dataseg import DaTaSeg
from mmdataseg.models.feature_pyramid import SimpleFeaturePyramid
from mmdataseg.models.fusion_postprocessor import FusionPanopticPostProcessor
from mmdataseg.models.head import DaTaSegHead, Proposals
from mmdataseg.models.learned_classifier import LearnedClassifier
from mmdataseg.models.losses import BoxProjectionCost, BoxProjectionLoss
from mmdataseg.models.mask_targets import MaskTargets
from mmdataseg.models.mmdet_panoptic import MMDetPanopticPreprocessor
from mmdataseg.models.pixel_decoder import DeformableAttention, MSDeformAttnPixelDecoder
from mmdataseg.models.position_channels import PositionChannels
from mmdataseg.models.postprocessors import InstancePostProcessor, PanopticPostProcessor, SemanticPostProcessor
from mmdataseg.models.targets import Targets
from mmdataseg.models.text_classifier import TextClassifier
from mmdataseg.models.timm_backbone import TimmBackbone
from mmdataseg.models.vitdet import ViTDet

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
