"""Colour affinity by hand."""

import math

import pytest
import torch

from mmdataseg.ops.color_affinity import color_affinity_loss, color_similarity, neighbours

# columns 0-2 black, columns 3-5 white
COLORS = torch.zeros(3, 4, 6)
COLORS[0, :, 3:] = 100.0


def loss(logits: torch.Tensor, inside: torch.Tensor | None = None, threshold: float = 0.3) -> torch.Tensor:
    inside = torch.ones_like(logits, dtype=torch.bool) if inside is None else inside
    return color_affinity_loss(logits, color_similarity(COLORS, 1), inside, dilation=1, threshold=threshold)


def test_neighbours_are_the_eight_around_in_reading_order() -> None:
    grid = torch.arange(9.0).view(1, 1, 3, 3)
    assert neighbours(grid, 1, -1.0)[0, 0, :, 1, 1].tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert neighbours(grid, 1, -1.0)[0, 0, :, 0, 0].tolist() == [-1, -1, -1, -1, 1, -1, 3, 4]
    assert neighbours(grid, 2, -1.0)[0, 0, :, 2, 2].tolist() == [0, 2, -1, 6, -1, -1, -1, -1]


def test_equal_colours_are_similar_and_nothing_is_similar_to_the_outside() -> None:
    similarity = color_similarity(COLORS, 1)
    assert similarity.shape == (8, 4, 6)
    assert similarity[:, 1, 1].tolist() == pytest.approx([1.0] * 8)
    assert similarity[4, 1, 2] == pytest.approx(math.exp(-50), rel=1e-4, abs=0)
    assert similarity[0, 0, 0] == 0


def test_undecided_cells_cost_ln_2() -> None:
    assert loss(torch.zeros(1, 4, 6)).item() == pytest.approx(math.log(2), rel=1e-5)


def test_a_mask_that_follows_the_colours_costs_nothing_and_one_that_crosses_them_costs_much() -> None:
    along, across = torch.full((4, 6), -10.0), torch.full((4, 6), -10.0)
    along[:, 3:], across[:2] = 10.0, 10.0
    follows, cuts = loss(torch.stack([along, across]))
    assert follows < 1e-3
    assert cuts > 1


def test_cells_outside_the_box_do_not_count() -> None:
    logits = torch.randn(1, 4, 6, requires_grad=True)
    inside = torch.zeros(1, 4, 6, dtype=torch.bool)
    inside[:, :, 4:] = True
    loss(logits, inside).sum().backward()
    assert (logits.grad[:, :, :3] == 0).all()
    assert (logits.grad[:, :, 4:] != 0).all()


def test_without_a_counted_pair_the_loss_is_zero() -> None:
    assert loss(torch.randn(2, 4, 6), torch.zeros(2, 4, 6, dtype=torch.bool)).tolist() == [0, 0]
    assert loss(torch.randn(0, 4, 6)).shape == (0,)


def test_a_threshold_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"threshold: expected a similarity in \(0, 1\], got 1\.5"):
        loss(torch.zeros(1, 4, 6), threshold=1.5)
