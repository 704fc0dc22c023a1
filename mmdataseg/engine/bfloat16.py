"""Trains in bfloat16."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmdataseg.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """mmengine's ``OptimWrapper``, with the forward pass under bfloat16 autocast, on any device.

    bfloat16 has the range of float32, so the loss is not scaled and no step is skipped. mmengine's ``AmpOptimWrapper``
    adds a gradient scaler and refuses CPUs.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enable autocast, and disable the exchange of gradients within an accumulated step."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, dtype=torch.bfloat16):
            yield
