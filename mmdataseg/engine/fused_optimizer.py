"""Optimizers that update all parameters of a group in one kernel, where torch has it."""

import torch
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.utils import digit_version
from torch import nn

from mmdataseg.registry import OPTIM_WRAPPER_CONSTRUCTORS

ON_CPU = "2.4"  # the first torch whose fused optimizers run on a CPU
FUSED = ("Adam", "AdamW", "SGD")


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class FusedOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """mmengine's default constructor, with torch's argument ``fused`` for Adam, AdamW and SGD.

    The updates are the same up to rounding. ``optimizer.fused`` or ``optimizer.foreach`` of the config overrides it.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer of a model, on whose device it will run."""
        cfg = self.optimizer_cfg
        if cfg["type"] in FUSED and not {"fused", "foreach"} & set(cfg) and has_kernels(model):
            self.optimizer_cfg = {**cfg, "fused": True}
        return super().__call__(model)


def has_kernels(model: nn.Module) -> bool:
    """Whether torch has fused optimizers for the device of a model."""
    devices = {parameter.device.type for parameter in model.parameters()}
    return devices <= ({"cuda"} if digit_version(torch.__version__) < digit_version(ON_CPU) else {"cpu", "cuda"})
