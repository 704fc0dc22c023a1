"""Data: sources as one dataset, sampling by ratio, loading and augmentation."""

from mmdataseg.datasets.collate import single_storage_collate
from mmdataseg.datasets.instance_seg import InstanceSegDataset
from mmdataseg.datasets.multi_source import MultiSourceDataset
from mmdataseg.datasets.panoptic_seg import PanopticSegDataset
from mmdataseg.datasets.ratio_sampler import RatioBatchSampler
from mmdataseg.datasets.seeding import SeededIndex
from mmdataseg.datasets.semantic_seg import SemanticSegDataset
from mmdataseg.datasets.transforms import (
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
    "single_storage_collate",
]
