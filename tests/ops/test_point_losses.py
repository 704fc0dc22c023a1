"""Focal, dice and binary cross-entropy on points, and the costs that equal them."""

import math

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import sigmoid_focal_loss

from mmdataseg.ops.point_losses import (
    class_cost,
    point_bce_cost,
    point_bce_loss,
    point_dice_cost,
    point_dice_loss,
    point_focal_cost,
    point_focal_loss,
)

LOSSES = [point_bce_loss, point_dice_loss, point_focal_loss]
PAIRS = [
    (point_bce_loss, point_bce_cost),
    (point_dice_loss, point_dice_cost),
    (point_focal_loss, point_focal_cost),
]


def test_by_hand():
    # probabilities 1/2 and 3/4, targets 1 and 0; the third point is void
    logits, targets = torch.tensor([[0.0, math.log(3), 5.0]]), torch.tensor([[1.0, 0.0, 1.0]])
    weights = torch.tensor([[1.0, 1.0, 0.0]])
    bce = (math.log(2) + math.log(4)) / 2
    dice = 1 - (2 * 0.5 + 1) / (0.5 + 0.75 + 1 + 1)
    focal = (0.25 * (1 / 2) ** 2 * math.log(2) + 0.75 * (3 / 4) ** 2 * math.log(4)) / 2
    torch.testing.assert_close(point_bce_loss(logits, targets, weights), torch.tensor([bce]))
    torch.testing.assert_close(point_dice_loss(logits, targets, weights), torch.tensor([dice]))
    torch.testing.assert_close(point_focal_loss(logits, targets, weights), torch.tensor([focal]))


def test_the_class_cost_is_minus_the_probability():
    logits = torch.tensor([[[0.0, math.log(2), 0.0]]])  # 1/4, 1/2, 1/4
    torch.testing.assert_close(class_cost(logits, torch.tensor([1, 0, 1])), torch.tensor([[[-0.5, -0.25, -0.5]]]))
    assert class_cost(logits, torch.zeros(0, dtype=torch.int64)).shape == (1, 1, 0)


def test_a_correct_and_certain_mask_costs_nothing():
    targets = torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    logits, weights = 40 * targets - 20, torch.ones(1, 4)
    for loss in LOSSES:
        torch.testing.assert_close(loss(logits, targets, weights), torch.zeros(1), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("loss", "cost"), PAIRS)
def test_the_cost_is_the_loss_of_every_pair(loss, cost):
    generator = torch.Generator().manual_seed(0)
    logits = 30 * torch.randn(2, 3, 50, generator=generator)  # large ones too: softplus must not overflow
    targets = torch.rand(4, 50, generator=generator)
    weights = (torch.rand(50, generator=generator) > 0.3).float()
    actual = cost(logits, targets, weights)
    for output in range(2):
        for query in range(3):
            each = loss(logits[output, query].expand(4, -1), targets, weights.expand(4, -1))
            torch.testing.assert_close(actual[output, query], each, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_void_points_change_nothing(loss):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 20, generator=generator).requires_grad_()
    targets, weights = torch.rand(3, 20, generator=generator), torch.ones(3, 20)
    weights[:, 12:] = 0
    masked = loss(logits, targets, weights)
    torch.testing.assert_close(masked, loss(logits[:, :12], targets[:, :12], weights[:, :12]))
    masked.sum().backward()
    assert (logits.grad[:, 12:] == 0).all()
    assert (logits.grad[:, :12] != 0).all()


@pytest.mark.parametrize(("loss", "cost"), PAIRS)
def test_all_void_is_zero(loss, cost):
    logits, targets = torch.randn(2, 5, requires_grad=True), torch.ones(2, 5)
    value = loss(logits, targets, torch.zeros(2, 5))
    value.sum().backward()
    assert value.tolist() == [0, 0]
    assert (logits.grad == 0).all()
    assert (cost(logits.detach()[None], targets, torch.zeros(5)) == 0).all()


@pytest.mark.parametrize(("loss", "cost"), PAIRS)
def test_without_targets_costs_are_empty(loss, cost):
    assert loss(torch.zeros(0, 5), torch.zeros(0, 5), torch.zeros(0, 5)).shape == (0,)
    assert cost(torch.zeros(2, 3, 5), torch.zeros(0, 5), torch.ones(5)).shape == (2, 3, 0)


def test_focal_equals_torchvisions_for_targets_of_0_and_1():
    generator = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(3, 40, generator=generator)
    targets = (torch.rand(3, 40, generator=generator) > 0.5).float()
    expected = sigmoid_focal_loss(logits, targets, alpha=0.25, gamma=2.0).mean(1)
    torch.testing.assert_close(point_focal_loss(logits, targets, torch.ones(3, 40)), expected, atol=1e-5, rtol=1e-4)


def test_focal_is_linear_in_the_target():
    logits, weights = torch.randn(1, 30, generator=torch.Generator().manual_seed(0)), torch.ones(1, 30)
    inside, outside = (point_focal_loss(logits, torch.full((1, 30), t), weights) for t in (1.0, 0.0))
    between = point_focal_loss(logits, torch.full((1, 30), 0.3), weights)
    torch.testing.assert_close(between, 0.3 * inside + 0.7 * outside)


def test_the_derivative_of_focal_is_that_of_its_values():
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(2, 15, generator=generator, dtype=torch.float64)
    targets = torch.rand(2, 15, generator=generator, dtype=torch.float64)
    weights = (torch.rand(2, 15, generator=generator) > 0.3).double()
    assert torch.autograd.gradcheck(lambda x: point_focal_loss(x, targets, weights), logits.requires_grad_())


def test_focal_is_finite_with_its_gradient_at_extreme_logits():
    logits = torch.tensor([[-200.0, 200.0, -30.0, 30.0, 0.0]], requires_grad=True)
    for target in (0.0, 1.0):
        loss = point_focal_loss(logits, torch.full((1, 5), target), torch.ones(1, 5))
        (grad,) = torch.autograd.grad(loss.sum(), logits)
        assert torch.isfinite(loss).all()
        assert torch.isfinite(grad).all()


def test_equals_torch_without_void():
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(3, 20, generator=generator), torch.rand(3, 20, generator=generator)
    expected = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(1)
    torch.testing.assert_close(point_bce_loss(logits, targets, torch.ones(3, 20)), expected)


@pytest.mark.parametrize(("loss", "cost"), PAIRS)
def test_targets_of_another_number_of_points_are_refused(loss, cost):
    with pytest.raises((ValueError, RuntimeError), match=r"size|shape"):
        loss(torch.zeros(2, 5), torch.zeros(2, 4), torch.ones(2, 5))
    with pytest.raises((ValueError, RuntimeError), match=r"size|shape"):
        cost(torch.zeros(1, 2, 5), torch.zeros(2, 4), torch.ones(5))
