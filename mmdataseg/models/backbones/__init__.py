"""Backbones that mmdet lacks: any model of timm, and ViTDet. Configs can also name mmdet's own."""

from mmdataseg.models.backbones.timm_backbone import TimmBackbone
from mmdataseg.models.backbones.vitdet import ViTDet

__all__ = [
    "TimmBackbone",
    "ViTDet",
]
