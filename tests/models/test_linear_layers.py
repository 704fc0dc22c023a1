import copy
import pickle

import pytest
import torch
from mmcv.cnn.bricks import wrappers
from torch import nn

from mmdataseg.models.linear_layers import use_faster_products
from mmdataseg.ops import linear


class Wider(nn.Linear):
    """A subclass with a forward of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    convolutions = [
        nn.Conv2d(3, 8, 3, padding=1),
        wrappers.Conv2d(8, 8, 1),
        nn.Conv2d(8, 8, 1, groups=2),
        nn.Conv2d(8, 8, 1, stride=2),
        nn.Conv2d(8, 8, 1, padding=1),
        nn.Conv2d(8, 8, (1, 1), bias=False),
    ]
    return nn.Sequential(*convolutions, nn.Flatten(2), nn.Linear(49, 16), wrappers.Linear(16, 16), Wider(16, 4))


@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize("change", [lambda m: m, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_results_and_gradients_stay_and_names_too(monkeypatch, onednn, change):
    monkeypatch.setattr(linear, "MKL_LEAVES_OUT_AVX512", onednn)
    monkeypatch.setattr(linear, "LEAST", 1)
    plain, images = network(), torch.randn(2, 3, 10, 10, generator=torch.Generator().manual_seed(1))
    faster = copy.deepcopy(plain)
    use_faster_products(faster)
    faster = change(faster)
    assert list(faster.state_dict()) == list(plain.state_dict())
    outputs = [model(images) for model in (plain, faster)]
    torch.testing.assert_close(outputs[1], outputs[0])
    for output in outputs:
        output.square().sum().backward()
    for ours, theirs in zip(faster.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-4)


def test_only_convolutions_of_one_cell_are_dilated(monkeypatch):
    monkeypatch.setattr(linear, "MKL_LEAVES_OUT_AVX512", True)
    model, seen, convolve = network(), [], torch.nn.functional.conv2d
    use_faster_products(model)

    def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        seen.append((weight.shape[-1], dilation))
        return convolve(x, weight, bias, stride, padding, dilation, groups)

    monkeypatch.setattr(torch.nn.functional, "conv2d", conv2d)
    model(torch.randn(2, 3, 10, 10))
    assert [dilation for _, dilation in seen] == [(1, 1), 2, (1, 1), (1, 1), (1, 1), 2]


def test_torch_compiles_the_layers_in_one_graph(monkeypatch):
    monkeypatch.setattr(linear, "MKL_LEAVES_OUT_AVX512", True)
    monkeypatch.setattr(linear, "LEAST", 1)
    model = network()
    use_faster_products(model)
    try:
        found = torch._dynamo.explain(model)(torch.randn(2, 3, 10, 10))
    except RuntimeError as error:  # as on a Python that is newer than this torch
        pytest.skip(str(error))
    assert (found.graph_count, found.graph_break_count) == (1, 0)


def test_subclasses_keep_their_own_forward():
    model = network()
    use_faster_products(model)
    assert type(model[-1]) is Wider
    assert all(isinstance(layer, nn.Linear) for layer in model[-3:])
