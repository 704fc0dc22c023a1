"""DaTaSeg for OpenMMLab: one set of weights for panoptic, semantic and instance segmentation of many datasets."""

from mmdataseg.dependencies import check_dependencies

__version__ = "0.1.0"
__all__ = ["__version__"]

check_dependencies()

from mmengine.config.utils import MODULE2PACKAGE  # noqa: E402  only once it is known to be installed

# lets a config anywhere say `_base_ = ["mmdataseg::_base_/models/dataseg_r50.py"]`
MODULE2PACKAGE.setdefault(__name__, __name__)
