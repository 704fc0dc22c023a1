"""Data: sources as one dataset, sampling by ratio, loading and augmentation."""

from .instance_seg import InstanceSegDataset
from .multi_source import MultiSourceDataset
from .panoptic_seg import PanopticSegDataset
from .ratio_sampler import RatioBatchSampler
from .seeding import SeededIndex
from .semantic_seg import SemanticSegDataset
from .transforms import (
    ImageReadError,
    LoadImage,
    LoadInstances,
    LoadPanopticMap,
    LoadSemanticMap,
    PackInputs,
    RandomCrop,
)

__all__ = [
    "ImageReadError",
    "InstanceSegDataset",
    "LoadImage",
    "LoadInstances",
    "LoadPanopticMap",
    "LoadSemanticMap",
    "MultiSourceDataset",
    "PackInputs",
    "PanopticSegDataset",
    "RandomCrop",
    "RatioBatchSampler",
    "SeededIndex",
    "SemanticSegDataset",
]
