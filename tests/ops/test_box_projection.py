"""Projections of masks and boxes."""

import pytest
import torch

from mmdataseg.ops.box_projection import box_profiles, mask_profiles, projection_cost, projection_loss

SURE = 30.0  # a logit whose probability is 1 in float32


def mask_of(rows: slice, columns: slice, size: tuple[int, int] = (6, 8)) -> torch.Tensor:
    logits = torch.full(size, -SURE)
    logits[rows, columns] = SURE
    return logits


def test_a_cell_counts_by_the_share_that_the_box_covers():
    # stride 4: rows 1..2 of 4 px are covered from y = 6 to y = 11; columns 0..1 from x = 0 to x = 5
    rows, columns = box_profiles(torch.tensor([[0.0, 6.0, 5.0, 11.0]]), (4, 3), 4)
    torch.testing.assert_close(rows, torch.tensor([[0.0, 0.5, 0.75, 0.0]]))
    torch.testing.assert_close(columns, torch.tensor([[1.0, 0.25, 0.0]]))


def test_profiles_add_up_to_the_sides_of_the_part_on_the_grid():
    boxes = torch.tensor([[3.0, 1.0, 17.5, 9.25], [-8.0, 2.0, 200.0, 300.0], [5.1, 5.1, 5.4, 5.3]])
    rows, columns = box_profiles(boxes, (6, 8), 4)
    inside = torch.stack([boxes[:, ::2].clamp(0, 32), boxes[:, 1::2].clamp(0, 24)], dim=1)
    torch.testing.assert_close(4 * columns.sum(1), inside[:, 0, 1] - inside[:, 0, 0])
    torch.testing.assert_close(4 * rows.sum(1), inside[:, 1, 1] - inside[:, 1, 0])
    assert rows.max() <= 1
    assert columns.max() <= 1


def test_mask_profiles_are_the_largest_probabilities():
    rows, columns = mask_profiles(torch.tensor([[0.0, -2.0, 3.0], [1.0, -5.0, -4.0]]))
    torch.testing.assert_close(rows, torch.tensor([3.0, 1.0]).sigmoid())
    torch.testing.assert_close(columns, torch.tensor([1.0, -2.0, 3.0]).sigmoid())


def test_a_mask_equal_to_its_box_costs_nothing_and_a_disjoint_mask_costs_two():
    mask = mask_of(slice(1, 3), slice(2, 6))[None]
    same, elsewhere = torch.tensor([[8.0, 4.0, 24.0, 12.0]]), torch.tensor([[24.0, 16.0, 32.0, 24.0]])
    torch.testing.assert_close(projection_loss(mask, same, 4), torch.zeros(1), atol=1e-5, rtol=0)
    torch.testing.assert_close(projection_loss(mask, elsewhere, 4), torch.full((1,), 2.0))


def test_a_ring_that_touches_all_sides_of_its_box_costs_nothing():
    """The projection constrains where a mask ends, not its interior: a shape need not fill its box."""
    ring = mask_of(slice(1, 5), slice(1, 6))
    ring[2:4, 2:5] = -SURE
    loss = projection_loss(ring[None], torch.tensor([[4.0, 4.0, 24.0, 20.0]]), 4)
    torch.testing.assert_close(loss, torch.zeros(1), atol=1e-5, rtol=0)


def test_half_a_box_by_hand():
    # rows agree; columns: 2 of the box's 4, dice = 1 - 2 * 2 / (2 + 4) = 1 / 3
    mask = mask_of(slice(0, 2), slice(0, 2))[None]
    loss = projection_loss(mask, torch.tensor([[0.0, 0.0, 16.0, 8.0]]), 4)
    torch.testing.assert_close(loss, torch.tensor([1 / 3]), atol=1e-5, rtol=0)


def test_the_cost_is_the_loss_of_every_pair():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 6, 8)
    boxes = torch.tensor([[1.0, 2.0, 20.0, 13.0], [8.0, 8.0, 30.0, 24.0]])
    cost = projection_cost(*mask_profiles(logits), boxes, 4)
    expected = torch.stack(
        [torch.stack([projection_loss(logits[:, q], boxes[[n, n]], 4) for n in range(2)], 1) for q in range(3)], 1
    )
    torch.testing.assert_close(cost, expected)


def test_the_loss_pulls_the_mask_towards_the_box():
    logits = torch.zeros(1, 6, 8, requires_grad=True)
    box = torch.tensor([[8.0, 4.0, 24.0, 12.0]])
    projection_loss(logits, box, 4).sum().backward()
    step = logits.detach() - 100 * logits.grad
    assert projection_loss(step, box, 4) < projection_loss(logits.detach(), box, 4)
    # inside up, outside (a row and a column that the box does not touch) down
    assert (step[0, 1:3, 2:6] > 0).all()
    assert (step[0, 3:, 6:] < 0).all()


def test_without_boxes_losses_and_costs_are_empty():
    boxes = torch.zeros(0, 4)
    assert projection_loss(torch.zeros(0, 6, 8), boxes, 4).shape == (0,)
    assert projection_cost(*mask_profiles(torch.zeros(2, 3, 6, 8)), boxes, 4).shape == (2, 3, 0)


def test_a_box_without_extent_gives_no_nan():
    """Loaders refuse such boxes; if one gets through, it must not spoil the batch."""
    logits = torch.randn(1, 6, 8, requires_grad=True)
    loss = projection_loss(logits, torch.tensor([[8.0, 8.0, 8.0, 8.0]]), 4)
    loss.sum().backward()
    torch.testing.assert_close(loss.detach(), torch.full((1,), 2.0))
    assert torch.isfinite(logits.grad).all()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"expected \(\.\.\., N, 4\) xyxy, got shape \(4,\)"):
        box_profiles(torch.zeros(4), (2, 2), 4)
    with pytest.raises(ValueError, match="stride: expected a positive number of pixels, got 0"):
        box_profiles(torch.zeros(1, 4), (2, 2), 0)
