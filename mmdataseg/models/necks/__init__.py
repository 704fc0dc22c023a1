"""Necks, between the backbone and the head: a feature pyramid of one map, and channels of positions."""

from mmdataseg.models.necks.feature_pyramid import SimpleFeaturePyramid
from mmdataseg.models.necks.position_channels import PositionChannels

__all__ = [
    "PositionChannels",
    "SimpleFeaturePyramid",
]
