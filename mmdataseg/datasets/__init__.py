"""Data: sources as one dataset, sampling by ratio, loading and augmentation."""

from .multi_source import MultiSourceDataset
from .ratio_sampler import RatioBatchSampler
from .seeding import SeededIndex
