"""DaTaSeg for OpenMMLab: one set of weights for panoptic, semantic and instance segmentation of many datasets."""

from mmdataseg.dependencies import check_dependencies

__version__ = "0.1.0"
__all__ = ["__version__"]

check_dependencies()
