"""Training in bfloat16."""

import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmdataseg.registry import OPTIM_WRAPPERS

WRAPPER = {
    "type": "mmdataseg.Bfloat16OptimWrapper", "optimizer": {"type": "SGD", "lr": 1.0}, "accumulative_counts": 2
}  # fmt: skip


def test_forward_in_bfloat16_and_weights_in_float32() -> None:
    model = nn.Linear(2, 1, bias=False)
    nn.init.constant_(model.weight, 1 + 2**-12)  # in bfloat16 that is 1
    wrapper = build_optim_wrapper(model, WRAPPER)
    assert isinstance(wrapper, OPTIM_WRAPPERS.get("Bfloat16OptimWrapper"))
    with wrapper.optim_context(model):
        output = model(torch.ones(1, 2))
    assert output.dtype is torch.bfloat16
    assert output.item() == 2
    assert model(torch.ones(1, 2)).dtype is torch.float32
    wrapper.update_params(output.float().sum())
    assert model.weight.dtype is torch.float32
    assert model.weight[0, 0].item() == 1 + 2**-12  # a step is two iterations
    with wrapper.optim_context(model):
        output = model(torch.ones(1, 2))
    wrapper.update_params(output.float().sum())
    assert model.weight[0, 0].item() == 2**-12  # the mean of both gradients is 1
