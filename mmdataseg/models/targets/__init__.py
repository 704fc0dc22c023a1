"""The kinds of supervision: `mmdataseg.models.targets.base` is the interface, masks and boxes implement it."""

from mmdataseg.models.targets.base import Targets
from mmdataseg.models.targets.box_targets import BoxTargets
from mmdataseg.models.targets.mask_targets import MaskTargets

__all__ = [
    "BoxTargets",
    "MaskTargets",
    "Targets",
]
