"""Transforms that load, crop and pack. mmcv and mmdet have those that resize, flip and change colours."""

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
