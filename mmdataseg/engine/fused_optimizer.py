"""Optimizers that update all parameters of a group in one kernel, where torch has it."""

from typing import Any

import torch
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.utils import digit_version
from torch import nn
from torch.optim import Optimizer

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
        name = getattr(cfg["type"], "__name__", cfg["type"])
        fused = name in FUSED and not {"fused", "foreach"} & set(cfg) and has_kernels(model)
        self.optimizer_cfg = {**cfg, "fused": True} if fused else cfg
        try:
            wrapper = super().__call__(model)
        finally:
            self.optimizer_cfg = cfg
        wrapper.optimizer.register_load_state_dict_pre_hook(_stay_fused_or_not)
        return wrapper


def _stay_fused_or_not(optimizer: Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """Continue a state as this optimizer was built. torch would take ``fused`` from the state, although only an
    optimizer that was built fused gets its loss scale from ``GradScaler``."""
    if "fused" not in optimizer.defaults:
        return state
    fused = optimizer.defaults["fused"]
    return {**state, "param_groups": [{**group, "fused": fused} for group in state["param_groups"]]}


def has_kernels(model: nn.Module) -> bool:
    """Whether torch has fused optimizers for the device of a model."""
    devices = {parameter.device.type for parameter in model.parameters()}
    return devices <= ({"cuda"} if digit_version(torch.__version__) < digit_version(ON_CPU) else {"cpu", "cuda"})
