"""Keeps the memory that a training on a CPU frees."""

import ctypes
import sys
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdataseg.registry import HOOKS

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # parameters of mallopt, in glibc's malloc.h
LARGEST_TRIM = 2**31 - 1  # bytes, the largest int
MMAP_SIZES = (2**30, 2**25)  # bytes; some versions of glibc refuse more than 32 MiB


@HOOKS.register_module()
class KeepFreedMemory(Hook):
    """If the model is on a CPU, let the C library keep freed memory for the next iteration.

    By default, glibc returns large blocks to the system as soon as they are free. In the next iteration, the system
    clears each page before it hands it out again. No result changes. The setting is of the whole process, and stays
    after the training. Workers that load the training data are started before the first iteration, and keep the
    default. Workers of a validation are forked later, and inherit the setting. Nothing is done on a GPU, where torch
    keeps memory itself, or with another C library.
    """

    def __init__(self) -> None:
        self._is_set = False

    def before_train_iter(self, runner: Runner, **_: Any) -> None:
        """Set it in the first iteration of the run."""
        if self._is_set:
            return
        self._is_set = True
        if next(runner.model.parameters()).device.type == "cpu":
            keep_freed_memory()


def keep_freed_memory() -> bool:
    """Set glibc's thresholds for the rest of the process. Return whether this C library has them."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    trim_is_set = mallopt(M_TRIM_THRESHOLD, LARGEST_TRIM)
    return bool(trim_is_set and any(mallopt(M_MMAP_THRESHOLD, size) for size in MMAP_SIZES))
