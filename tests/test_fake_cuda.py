"""What the stand-in for a GPU accepts and refuses; a real GPU agrees (``-m gpu``)."""

import numpy as np
import pytest
import torch


def test_tensors_know_their_device(device):
    x = torch.arange(6, device=device)
    for made in (x, x[1:], x + 1, x.new_zeros(2), torch.zeros_like(x), torch.zeros(2, device=x.device), x * 2.0):
        assert made.is_cuda
        assert made.device.type == "cuda"
    for made in (torch.zeros(3), x.cpu(), x.to("cpu"), x.to(torch.zeros(1)), torch.zeros_like(x, device="cpu")):
        assert not made.is_cuda
        assert made.device.type == "cpu"
    assert torch.ones(2).to(x).is_cuda
    assert torch.ones(2).cuda().is_cuda
    assert x.tolist() == [0, 1, 2, 3, 4, 5]
    assert int(x[3]) == 3


def test_a_moved_tensor_is_a_copy(device):
    x = torch.zeros(2)
    y = x.to(device)
    y += 1
    assert x.tolist() == [0, 0]
    assert y.cpu().numpy().tolist() == [1, 1]


@pytest.mark.parametrize(
    "mixed",
    [
        lambda x: x + torch.ones(3),
        lambda x: torch.ones(3) @ x,
        lambda x: torch.cat([x, torch.ones(3)]),
        lambda x: torch.where(x > 0, x, torch.ones(3)),
        lambda x: torch.arange(9)[x.long()],
        lambda x: torch.nn.functional.linear(x, torch.ones(2, 3)),
    ],
)
def test_a_mix_of_devices_is_an_error(device, mixed):
    with pytest.raises(RuntimeError, match="cuda"):
        mixed(torch.ones(3, device=device))


@pytest.mark.parametrize("read", [lambda x: x.numpy(), np.asarray])
def test_numpy_reads_only_the_cpu(device, read):
    x = torch.ones(3, device=device)
    with pytest.raises((RuntimeError, TypeError), match="cuda"):
        read(x)
    assert read(x.cpu()).tolist() == [1, 1, 1]


def test_scalars_and_indices_of_the_cpu_may_meet_the_device(device):
    assert (torch.ones(3, device=device) * torch.tensor(2.0)).is_cuda
    assert torch.ones(3, device=device)[torch.tensor([0, 2])].is_cuda


def test_a_module_moves_and_trains(device):
    layer = torch.nn.Linear(3, 2).to(device)
    assert all(p.is_cuda for p in layer.parameters())
    layer(torch.ones(1, 3, device=device)).sum().backward()
    assert layer.weight.grad.tolist() == [[1, 1, 1], [1, 1, 1]]
    with pytest.raises(RuntimeError, match="cuda"):
        layer(torch.ones(1, 3))
