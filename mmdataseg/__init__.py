"""DaTaSeg for OpenMMLab: one set of weights for panoptic, semantic and instance segmentation of many datasets."""

from importlib import import_module
from typing import Any

from mmdataseg.dependencies import check_dependencies

__version__ = "0.1.0"
__all__ = ["Segmenter", "Vocabulary", "__version__"]

# What users import from here -> its module. It is imported when it is asked for: torch and mmdet take seconds.
_PUBLIC = {"Segmenter": "mmdataseg.apis.segmenter", "Vocabulary": "mmdataseg.text.vocabulary"}

check_dependencies()

from mmengine.config.utils import MODULE2PACKAGE  # noqa: E402  only once it is known to be installed

# Lets a config anywhere say `_base_ = ["mmdataseg::_base_/models/dataseg_r50.py"]`. mmengine 0.10.7 looks for
# the files of a distribution in site-packages, where an editable one has none. It finds a module anywhere.
MODULE2PACKAGE.setdefault(__name__, f"{__name__}.registry")


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
