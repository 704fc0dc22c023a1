"""The network and its parts."""

from mmdataseg.models.criterion import DaTaSegCriterion
from mmdataseg.models.dataseg import DaTaSeg
from mmdataseg.models.head import DaTaSegHead, Proposals
from mmdataseg.models.losses import BoxProjectionCost, BoxProjectionLoss
from mmdataseg.models.postprocessors import InstancePostProcessor, PanopticPostProcessor, SemanticPostProcessor
from mmdataseg.models.text_classifier import TextClassifier

__all__ = [
    "BoxProjectionCost",
    "BoxProjectionLoss",
    "DaTaSeg",
    "DaTaSegCriterion",
    "DaTaSegHead",
    "InstancePostProcessor",
    "PanopticPostProcessor",
    "Proposals",
    "SemanticPostProcessor",
    "TextClassifier",
]
