"""Transforms: loading, cropping, packing. Resizing, flipping and colour are mmcv's and mmdet's."""

from mmdataseg.datasets.transforms.crop import RandomCrop
from mmdataseg.datasets.transforms.loading import (
    ImageReadError,
    LoadImage,
    LoadInstances,
    LoadPanopticMap,
    LoadSemanticMap,
)
from mmdataseg.datasets.transforms.packing import PackInputs

__all__ = [
    "ImageReadError",
    "LoadImage",
    "LoadInstances",
    "LoadPanopticMap",
    "LoadSemanticMap",
    "PackInputs",
    "RandomCrop",
]
