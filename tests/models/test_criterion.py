"""Matching and losses of a batch, for every kind of supervision."""

import pytest
import torch

from mmdataseg.models import criterion as module
from mmdataseg.models.targets import mask_targets
from mmdataseg.ops.id_map import VOID
from tests.models.criterion_cases import (
    BACKGROUND,
    HEIGHT,
    LEFT,
    NOTHING,
    SIZE,
    STRIDE,
    TOP_LEFT,
    WIDTH,
    boxes,
    classes_of,
    criterion_of,
    cross_entropy,
    losses_of,
    masks_of,
    proposals_of,
    regions,
)


@pytest.mark.parametrize("size", [SIZE, (30, 27)])
@pytest.mark.parametrize("annotated", ["regions", "boxes"])
def test_padding_the_batch_changes_nothing(annotated, size):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 5, HEIGHT, -(-size[1] // STRIDE), generator=generator)
    classes = torch.randn(1, 1, 5, BACKGROUND + 1, generator=generator)
    if annotated == "boxes":
        targets = boxes(size, [[1.0, 2.0, 17.0, 29.0], [3.0, 3.0, 26.5, 11.0]], [0, 1])
    else:
        targets = regions(torch.randint(-1, 2, (size[0] // 3, size[1] // 3)).repeat(3, 3), 0, 1)
    values = []
    for cells in ((HEIGHT, logits.shape[-1]), (11, 16)):
        features = torch.full((1, 5, *cells), 7.0)
        features[:, :, :HEIGHT, : logits.shape[-1]] = logits
        torch.manual_seed(1)
        padded = (STRIDE * cells[0], STRIDE * cells[1])
        values.append(losses_of(criterion_of(), proposals_of(features), classes, [targets], padded=padded))
    torch.testing.assert_close(values[1], values[0])


def test_losses_are_divided_once_by_the_number_of_targets():
    """Three targets in two images: the sum of the images' losses times their own numbers, over three."""
    first, second = boxes(SIZE, [[0.0, 0.0, 9.0, 13.0]], [0]), boxes(SIZE, [[1, 2, 8, 30], [5, 5, 31, 9]], [1, 0])
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, HEIGHT, WIDTH, generator=generator)
    classes = torch.randn(1, 2, 4, BACKGROUND + 1, generator=generator)
    criterion = criterion_of()

    def projection(images, targets):
        return losses_of(criterion, proposals_of(logits[images]), classes[:, images], targets)["loss_projection"]

    together = projection([0, 1], [first, second])
    torch.testing.assert_close(together, (projection([0], [first]) + 2 * projection([1], [second])) / 3)


def test_with_more_targets_than_proposals_every_proposal_is_matched():
    many = boxes(SIZE, [[0.0, 0.0, 16.0, 16.0]] * 5, [0] * 5)
    masks = masks_of(TOP_LEFT, TOP_LEFT)
    losses = losses_of(criterion_of(), proposals_of(masks[None]), classes_of(0, 0), [many])
    expected = 2 * cross_entropy(classes_of(0, 0), 0, 0)
    torch.testing.assert_close(losses["loss_class"], expected)  # two matched, none is background
    assert losses["loss_projection"] < 0.01


def test_the_loss_is_the_sum_over_the_outputs():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 4, HEIGHT, WIDTH, generator=generator)
    classes = torch.randn(1, 1, 4, BACKGROUND + 1, generator=generator)
    targets = [boxes(SIZE, [[0.0, 0.0, 9.0, 13.0]], [0])]
    one = losses_of(criterion_of(), proposals_of(logits), classes, targets)
    three = losses_of(criterion_of(), proposals_of(logits, 3), classes.expand(3, -1, -1, -1), targets)
    torch.testing.assert_close(three, {name: 3 * value for name, value in one.items()})


@pytest.mark.parametrize("annotated", ["regions", "boxes"])
@pytest.mark.parametrize("background_weight", [0.1, 0.0])
def test_an_image_without_targets_trains_the_background_only(annotated, background_weight):
    if annotated == "regions":
        targets = regions(torch.full(SIZE, VOID, dtype=torch.int32))
    else:
        targets = boxes(SIZE, [], [])
    proposals = proposals_of(masks_of(LEFT, NOTHING)[None].requires_grad_())
    classes = classes_of(0, BACKGROUND).requires_grad_()
    losses = losses_of(criterion_of(background_weight=background_weight), proposals, classes, [targets])
    sum(losses.values()).backward()
    background = (cross_entropy(classes, 0, BACKGROUND) + cross_entropy(classes, 1, BACKGROUND)).detach()
    expected = background if background_weight else torch.tensor(0.0)  # 2 x mean of the two
    torch.testing.assert_close(losses.pop("loss_class").detach(), expected)
    assert all(value == 0 for value in losses.values())
    assert proposals.mask_features_BCHW.grad is None or torch.isfinite(classes.grad).all()


def test_a_batch_in_which_nothing_counts_has_gradients_of_zero():
    """Also if the loss is scaled, as with float16."""
    classes = classes_of(0, BACKGROUND).requires_grad_()
    criterion = criterion_of(class_weight=5.0, background_weight=0.0)
    losses = losses_of(criterion, proposals_of(masks_of(LEFT, NOTHING)[None]), classes, [boxes(SIZE, [], [])])
    (2.0**16 * losses["loss_class"]).backward()
    assert torch.equal(classes.grad, torch.zeros_like(classes))


@pytest.mark.parametrize("annotated", ["regions", "boxes"])
def test_costs_are_float32_under_autocast(monkeypatch, left_map, annotated):
    """Sums over thousands of points: bfloat16 has 3 digits, float16 ends at 65504."""
    seen = []
    match = module.match
    monkeypatch.setattr(module, "match", lambda costs, *rest: (seen.append(costs[0]), match(costs, *rest))[1])
    masks = torch.randint(-9, 9, (1, 3, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(0)).float()
    targets = regions(left_map, 0) if annotated == "regions" else boxes(SIZE, [[1.0, 2.0, 17.0, 29.0]], [0])
    # points on the centres of cells, where the logits are integers and so exact in either precision
    centres = (torch.randint(0, 8, (2000, 2), generator=torch.Generator().manual_seed(1)) + 0.5) / 8
    monkeypatch.setattr(mask_targets, "random_points", lambda *_: centres[None])
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            criterion = criterion_of(masks={"num_points": 2000})
            losses_of(criterion, proposals_of(masks), classes_of(0, 0, 1), [targets])
    torch.testing.assert_close(*seen)


def test_a_batch_that_is_not_padded_to_whole_cells_is_refused():
    targets = [boxes((30, 32), [], [])]
    with pytest.raises(ValueError, match=r"whole cells.*\(30, 32\) pixels and \(8, 8\) cells; set pad_size_divisor=32"):
        losses_of(criterion_of(), proposals_of(masks_of(LEFT)[None]), classes_of(0), targets, padded=(30, 32))


def test_an_unknown_merge_is_refused():
    with pytest.raises(ValueError, match=r"merge: expected one of \('before_matching', .*\), got 'sometimes'"):
        criterion_of(merge="sometimes")
