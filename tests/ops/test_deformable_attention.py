"""Deformable attention as a sparse product: by hand, against mmcv, and with positions far outside or NaN.

The package deformops is tested where it is installed, on the CPU.
"""

from functools import partial
from importlib.util import find_spec

import pytest
import torch
from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

from mmdataseg.ops import deformable_attention as module
from mmdataseg.ops.deformable_attention import deformable_attention

SIZES = [(3, 5), (6, 10)]
CELLS = 75
NEEDS_DEFORMOPS = pytest.mark.skipif(not find_spec("deformops"), reason="deformops is not installed")
WAYS = ["sparse", "grid_sample", pytest.param("deformops", marks=NEEDS_DEFORMOPS)]


def case(batch: int = 2, queries: int = 7, heads: int = 3, channels: int = 4, points: int = 2, dtype=torch.float32):
    """Values, columns, rows and weights; many of the points are outside the maps."""
    generator = torch.Generator().manual_seed(0)
    shape = (batch, queries, heads, len(SIZES), points)
    value = torch.randn(batch, CELLS, heads, channels, generator=generator)
    x, y = 8 * torch.rand(2, *shape, generator=generator) - 2
    return [part.to(dtype).requires_grad_() for part in (value, x, y, torch.rand(shape, generator=generator))]


def by_mmcv(value, x, y, weights):
    shapes = torch.tensor(SIZES)
    size = shapes.flip(1)[:, None].float()
    return multi_scale_deformable_attn_pytorch(value, shapes, (torch.stack([x, y], -1) + 0.5) / size, weights)


@pytest.mark.parametrize("way", WAYS)
def test_one_point_by_hand(way):
    attend = partial(deformable_attention, way=way)
    value = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1, 1)  # one map, (1, 2) over (3, 4)
    x, y, weights = (torch.tensor(number).view(1, 1, 1, 1, 1) for number in (0.25, 0.5, 2.0))
    # rows 0.75 * 1 + 0.25 * 2 and 0.75 * 3 + 0.25 * 4, their mean, twice
    assert attend(value, [(2, 2)], x, y, weights).item() == pytest.approx(2 * (1.25 + 3.25) / 2)
    half_outside = torch.full_like(x, -0.5)
    assert attend(value, [(2, 2)], half_outside, 0 * y, weights).item() == pytest.approx(2 * 0.5 * 1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("batch", [1, 2])
def test_values_and_gradients_equal_mmcvs(way, batch):
    inputs = case(batch)
    expected = by_mmcv(*inputs)
    upstream = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    expected_grads = torch.autograd.grad(expected, inputs, upstream)
    actual = deformable_attention(inputs[0], SIZES, *inputs[1:], way=way).flatten(2)
    grads = torch.autograd.grad(actual, inputs, upstream)
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(grad, expected_grad, rtol=1e-5, atol=1e-5 * float(expected_grad.abs().max()))


def test_far_outside_the_output_and_the_gradient_are_zero():
    value, x, y, weights = case()
    far = (1e9 * torch.sign(x.detach())).requires_grad_()
    answer = deformable_attention(value, SIZES, far, y, weights)
    assert torch.equal(answer, torch.zeros_like(answer))
    answer.sum().backward()
    assert all(torch.equal(part.grad, torch.zeros_like(part)) for part in (value, far, y, weights))


def test_a_nan_position_gives_nan_and_no_crash():
    value, x, y, weights = case()
    bad = x.detach().clone()
    bad[0, 0, 0, 0, 0] = float("nan")
    answer = deformable_attention(value, SIZES, bad, y, weights)
    assert answer[0, 0, 0].isnan().all()
    assert answer[1].isfinite().all()
    answer.sum().backward()


def test_backward_twice_gives_the_same():
    inputs = case()
    answer = deformable_attention(inputs[0], SIZES, *inputs[1:]).square().sum()
    first = torch.autograd.grad(answer, inputs, retain_graph=True)
    assert all(map(torch.equal, first, torch.autograd.grad(answer, inputs)))


@pytest.mark.parametrize("way", WAYS)
def test_half_precision_is_kept(way):
    inputs = case(dtype=torch.bfloat16)
    answer = deformable_attention(inputs[0], SIZES, *inputs[1:], way=way)
    assert answer.dtype == torch.bfloat16
    expected = deformable_attention(inputs[0].float(), SIZES, *(part.float() for part in inputs[1:]))
    torch.testing.assert_close(answer.float(), expected, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("way", WAYS)
def test_values_of_16_bits_are_read_at_the_right_place(way):
    """A column of 100.3 is 100.5 in bfloat16."""
    value = torch.arange(128.0).view(1, 128, 1, 1)
    x, y, weight = (torch.full((1,) * 5, number) for number in (100.3, 0.0, 1.0))
    answer = deformable_attention(value.bfloat16() - 100, [(1, 128)], x, y, weight, way=way)
    assert answer.item() == pytest.approx(0.3, abs=0.002)


def test_no_query_gives_an_empty_output():
    value, *points = case()
    none = [part[:, :0] for part in points]
    answer = deformable_attention(value, SIZES, *none)
    assert answer.shape == (2, 0, 3, 4)


def test_bad_shapes_are_refused():
    value, x, y, weights = case()
    with pytest.raises(ValueError, match=r"value: expected \(B, 75, A, c\)"):
        deformable_attention(value[:, 1:], SIZES, x, y, weights)
    with pytest.raises(ValueError, match=r"expected points of shape \(2, N, 3, 2, P\)"):
        deformable_attention(value, SIZES, x[:, :, :1], y, weights)
    with pytest.raises(ValueError, match="expected rows and weights for columns of shape"):
        deformable_attention(value, SIZES, x, y[:, 1:], weights)
    with pytest.raises(ValueError, match=r"way: expected one of \('auto', .*\), got 'fast'"):
        deformable_attention(value, SIZES, x, y, weights, way="fast")


def test_more_cells_than_int32_can_count_are_refused():
    with pytest.raises(ValueError, match=r"fewer than 2\^31 cells and points"):
        module._Layout([(2**15, 2**15)], 1, 1, 8, 4)
