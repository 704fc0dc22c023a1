"""The head, which computes proposals from feature maps, and its pixel decoder."""

from mmdataseg.models.heads.dataseg_head import DaTaSegHead, Proposals
from mmdataseg.models.heads.pixel_decoder import DeformableAttention, MSDeformAttnPixelDecoder

__all__ = [
    "DaTaSegHead",
    "DeformableAttention",
    "MSDeformAttnPixelDecoder",
    "Proposals",
]
