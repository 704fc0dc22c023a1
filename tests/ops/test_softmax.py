"""Softmax over few values: torch's, to rounding."""

import math

import pytest
import torch

from mmdataseg.ops.softmax import softmax_over_few


def test_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)], [5.0, 5.0]])
    torch.testing.assert_close(softmax_over_few(logits), torch.tensor([[0.25, 0.75], [0.5, 0.5]]))


@pytest.mark.parametrize("shape", [(3, 5, 8), (2, 1), (0, 4), (12,)])
def test_values_and_gradients_are_torchs(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = (10 * torch.randn(shape, dtype=torch.float64, generator=generator)).requires_grad_()
    grad = torch.randn(shape, dtype=torch.float64, generator=generator)
    ours, theirs = (
        (probs.detach(), torch.autograd.grad(probs, logits, grad)[0])
        for probs in (softmax_over_few(logits), logits.softmax(-1))
    )
    torch.testing.assert_close(ours, theirs)


def test_rows_sum_to_one_and_a_constant_changes_nothing() -> None:
    logits = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    probs = softmax_over_few(logits)
    torch.testing.assert_close(probs.sum(-1), torch.ones(50))
    torch.testing.assert_close(softmax_over_few(logits + 40), probs)


def test_large_logits_do_not_overflow() -> None:
    assert softmax_over_few(torch.tensor([1e30, 0.0, -1e30])).tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_dtype_stays(dtype: torch.dtype) -> None:
    logits = torch.randn(50, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    probs = softmax_over_few(logits)
    assert probs.dtype is dtype
    torch.testing.assert_close(probs, logits.softmax(-1), rtol=torch.finfo(dtype).eps, atol=1e-7)


def test_no_values_are_an_error() -> None:
    with pytest.raises(IndexError, match="non-zero size"):
        softmax_over_few(torch.zeros(3, 0))
