"""Matching and losses of a batch, for every kind of supervision."""

from dataclasses import replace

import pytest
import torch

from mmdataseg.models import criterion as module
from mmdataseg.models.data_preprocessors.color_similarity import AFFINITY_DILATION
from mmdataseg.models.targets import mask_targets
from mmdataseg.ops.color_affinity import color_similarity
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


def annotations_of(kind: str, sizes: list[tuple[int, int]], generator: torch.Generator) -> list:
    """Annotations of images of some sizes: the first with two targets, the next with one, the next with none, ..."""
    found = []
    for n, (height, width) in enumerate(sizes):
        labels = [0, 1][: 2 - n % 3]
        if kind == "boxes":
            corners = torch.tensor([[0.1, 0.2, 0.6, 0.9], [0.3, 0.1, 1.0, 0.5]])[: len(labels)]
            annotation = boxes((height, width), (corners * torch.tensor([width, height] * 2)).tolist(), labels)
            cells = (-(-height // STRIDE), -(-width // STRIDE))
            colours = torch.randn(3, *cells, generator=generator)
            found.append(replace(annotation, similarity_EHW=color_similarity(colours, AFFINITY_DILATION)))
            continue
        blocks = torch.randint(-1, max(1, len(labels)), (-(-height // 5), -(-width // 5)), generator=generator)
        id_map = blocks.repeat_interleave(5, 0).repeat_interleave(5, 1)[:height, :width].contiguous()
        annotation = regions(id_map if labels else torch.full_like(id_map, VOID), *labels)
        if kind == "bitmaps":
            masks = torch.rand(len(labels), height, width, generator=generator) < 0.5
            annotation = replace(annotation, id_map_HW=None, masks_NHW=masks)
        found.append(annotation)
    return found


@pytest.mark.parametrize("merge", ["before_matching", "after_matching", "none"])
@pytest.mark.parametrize(
    ("kind", "num_points"), [("regions", None), ("regions", 64), ("bitmaps", None), ("bitmaps", 64), ("boxes", None)]
)
@pytest.mark.parametrize("sizes", [[SIZE] * 5, [(32, 29), (18, 30), (31, 32), (9, 11), (32, 29)]], ids=["one", "five"])
def test_the_losses_of_a_batch_are_those_of_its_images(monkeypatch, kind, num_points, sizes, merge):
    """The mask losses and their gradients; what is in the padding of a smaller image does not count."""
    generator = torch.Generator().manual_seed(0)
    targets = annotations_of(kind, sizes, generator)
    logits = 9 * torch.randn(len(sizes), 5, HEIGHT, WIDTH, generator=generator)
    classes = torch.randn(3, len(sizes), 5, BACKGROUND + 1, generator=generator)
    base = torch.rand(1, 192, 2, generator=generator)  # drawn for every mask
    monkeypatch.setattr(torch, "rand", lambda number, points, *_, **__: base[:, :points].expand(number, -1, -1).clone())
    criterion = criterion_of(masks={"num_points": num_points}, boxes={"affinity_weight": 1.0}, merge=merge)
    terms = criterion.targets["boxes" if kind == "boxes" else "masks"].loss_names

    def losses_and_gradient(images: slice) -> tuple[torch.Tensor, torch.Tensor]:
        leaf = logits[images].clone().requires_grad_()
        found = losses_of(criterion, proposals_of(leaf, 3), classes[:, images], targets[images])
        found = torch.stack([found[name] for name in terms])
        (gradient,) = torch.autograd.grad(found.sum(), leaf)
        return found.detach(), gradient

    together, gradient = losses_and_gradient(slice(None))
    numbers = [len(target.labels_N) for target in targets]
    alone = [losses_and_gradient(slice(n, n + 1)) for n in range(len(sizes))]
    shares = [number / sum(numbers) for number in numbers]
    expected = sum(share * losses for share, (losses, _) in zip(shares, alone, strict=True))
    torch.testing.assert_close(together, expected, rtol=1e-5, atol=1e-7)
    expected = torch.cat([share * part for share, (_, part) in zip(shares, alone, strict=True)])
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", ["regions", "bitmaps"])
def test_images_a_few_at_a_time_have_the_same_costs(monkeypatch, kind):
    generator = torch.Generator().manual_seed(0)
    targets = annotations_of(kind, [(32, 29), (18, 30), (31, 32)], generator)
    proposals = proposals_of(torch.randn(3, 5, HEIGHT, WIDTH, generator=generator), 2)
    classes = torch.randn(2, 3, 5, BACKGROUND + 1, generator=generator)
    base, seen, match = torch.rand(1, 64, 2, generator=generator), [], module.match
    monkeypatch.setattr(mask_targets, "random_points", lambda n, *_: base.expand(n, -1, -1))
    monkeypatch.setattr(module, "match", lambda costs, *rest: (seen.append(costs), match(costs, *rest))[1])
    for values in (2**20, 64):  # all; one candidate of one image
        monkeypatch.setitem(mask_targets.VALUES_AT_A_TIME, "cpu", values)
        losses_of(criterion_of(), proposals, classes, targets)
    torch.testing.assert_close(seen[1], seen[0])


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
