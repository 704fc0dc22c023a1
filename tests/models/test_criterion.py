"""Matching, MERGE and losses, worked by hand: mask embeddings are unit vectors, so the features are the mask logits."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmdataseg.models import DaTaSegCriterion, Proposals
from mmdataseg.models import criterion as module
from mmdataseg.models.targets import ImageTargets
from mmdataseg.ops.id_map import VOID

SURE = 12.0
HEIGHT, WIDTH, STRIDE = 8, 8, 4  # cells
SIZE = (STRIDE * HEIGHT, STRIDE * WIDTH)
BACKGROUND = 2


def proposals_of(mask_logits_BQHW: torch.Tensor, num_outputs: int = 1) -> Proposals:
    batch_size, num_queries = mask_logits_BQHW.shape[:2]
    embeds = torch.eye(num_queries).expand(num_outputs, batch_size, -1, -1)
    return Proposals(None, embeds.clone(), mask_logits_BQHW)


def masks_of(*regions: tuple[slice, slice]) -> torch.Tensor:
    """(Q, H, W) logits that are sure of the given regions, in cells."""
    logits = torch.full((len(regions), HEIGHT, WIDTH), -SURE)
    for mask, region in zip(logits, regions, strict=True):
        mask[region] = SURE
    return logits


def classes_of(*classes: int) -> torch.Tensor:
    """(1, 1, Q, K + 1) logits whose most likely classes are the given ones."""
    return 2.0 * F.one_hot(torch.tensor(classes), BACKGROUND + 1).float()[None, None]


def regions(id_map: torch.Tensor, *labels: int, mergeable: bool = True) -> ImageTargets:
    return ImageTargets(
        labels_N=torch.tensor(labels, dtype=torch.int64),
        mergeable_N=torch.full((len(labels),), mergeable),
        size=tuple(id_map.shape),
        id_map_HW=id_map,
        void_HW=id_map == VOID,
    )


def boxes(size: tuple[int, int], box_list: list[list[float]], labels: list[int]) -> ImageTargets:
    labels_N = torch.tensor(labels, dtype=torch.int64)
    return ImageTargets(
        labels_N, torch.zeros(len(labels), dtype=torch.bool), size, boxes_N4=torch.tensor(box_list).reshape(-1, 4)
    )


LEFT, RIGHT = (slice(None), slice(0, 4)), (slice(None), slice(4, 8))
TOP_LEFT, BOTTOM_LEFT = (slice(0, 4), slice(0, 4)), (slice(4, 8), slice(0, 4))
NOTHING = (slice(0, 0), slice(0, 0))


@pytest.fixture
def left_map() -> torch.Tensor:
    """The left half is segment 0, the right half void."""
    id_map = torch.full(SIZE, VOID, dtype=torch.int32)
    id_map[:, : SIZE[1] // 2] = 0
    return id_map


def cross_entropy(class_logits, query, label):
    return -class_logits[0, 0, query].log_softmax(-1)[label]


class TestClassLoss:
    MASKS = masks_of(LEFT, TOP_LEFT, NOTHING, RIGHT)
    CLASSES = classes_of(0, 0, BACKGROUND, 1)  # matched, absorbed, background, a class that is not there

    def loss(self, left_map, **changes):
        torch.manual_seed(0)
        criterion = DaTaSegCriterion(num_points=64, **changes)
        return criterion(proposals_of(self.MASKS[None]), self.CLASSES, [regions(left_map, 0)], SIZE)["loss_class"]

    def entropies(self):
        return [cross_entropy(self.CLASSES, q, k) for q, k in enumerate((0, BACKGROUND, BACKGROUND, BACKGROUND))]

    def test_matched_1_absorbed_0_background_a_tenth(self, left_map):
        matched, _, background, wrong = self.entropies()
        expected = 2 * (matched + 0.1 * background + 0.1 * wrong) / 1.2
        torch.testing.assert_close(self.loss(left_map), expected)

    def test_without_merge_nothing_is_absorbed(self, left_map):
        matched, *others = self.entropies()
        torch.testing.assert_close(self.loss(left_map, merge=False), 2 * (matched + 0.1 * sum(others)) / 1.3)

    def test_things_absorb_nothing(self, left_map):
        torch.manual_seed(0)
        proposals, targets = proposals_of(self.MASKS[None]), regions(left_map, 0, mergeable=False)
        loss = DaTaSegCriterion(num_points=64)(proposals, self.CLASSES, [targets], SIZE)["loss_class"]
        torch.testing.assert_close(loss, self.loss(left_map, merge=False))

    def test_weights_are_those_given(self, left_map):
        matched, _, background, wrong = self.entropies()
        expected = 3 * (matched + 0.5 * background + 0.5 * wrong) / 2
        torch.testing.assert_close(self.loss(left_map, class_weight=3.0, background_weight=0.5), expected)


class TestMaskLoss:
    def losses(self, masks, classes, targets, **changes):
        torch.manual_seed(0)
        losses = DaTaSegCriterion(num_points=256, **changes)(proposals_of(masks[None]), classes, [targets], SIZE)
        return losses["loss_mask"], losses["loss_dice"]

    def test_two_proposals_that_share_a_region_are_right_together(self, left_map):
        masks, classes = masks_of(TOP_LEFT, BOTTOM_LEFT), classes_of(0, 0)
        # all of the left half is known, and half of the shape is missing without MERGE
        together = self.losses(masks, classes, regions(left_map, 0), importance_ratio=0.0)
        apart = self.losses(masks, classes, regions(left_map, 0), importance_ratio=0.0, merge=False)
        assert together[0] < 1  # at the border the mask blends with the void side
        assert together[1] < 0.25
        assert apart[0] > 20
        assert 1 < apart[1] < 2.5  # 5 x (1 - (2 x 1/2) / (1/2 + 1)) = 1.67

    def test_the_absorbed_proposal_learns_too(self, left_map):
        masks = masks_of(TOP_LEFT, BOTTOM_LEFT)
        masks = (masks / 12).requires_grad_()
        sum(self.losses(masks, classes_of(0, 0), regions(left_map, 0))).backward()
        grad = masks.grad[:, :, :4]
        # each pixel's gradient goes to the proposal that claims it most
        assert (grad[0, :4] < 0).any()
        assert (grad[1, 4:] < 0).any()
        assert (grad[0, 4:] == 0).all()
        assert (grad[1, :4] == 0).all()

    def test_void_is_outside_every_loss(self, left_map):
        masks = masks_of(LEFT, NOTHING).requires_grad_()
        classes = classes_of(0, BACKGROUND)
        targets = regions(left_map, 0)
        before = self.losses(masks, classes, targets, importance_ratio=0.0)
        sum(before).backward()
        # half a cell right of the border still blends with the known
        assert (masks.grad[:, :, 5:] == 0).all()
        changed = masks.detach().clone()
        changed[:, :, 5:] = torch.randn(2, HEIGHT, 3)
        after = self.losses(changed, classes, targets, importance_ratio=0.0)
        torch.testing.assert_close(after, tuple(t.detach() for t in before))

    def test_all_void_gives_no_mask_loss(self):
        nothing_known = torch.full(SIZE, VOID, dtype=torch.int32)
        loss_mask, loss_dice = self.losses(masks_of(LEFT), classes_of(0), regions(nothing_known, 0))
        assert loss_mask == 0
        assert loss_dice == 0

    def test_bitmaps_and_id_map_of_the_same_segments_agree(self, left_map):
        masks = masks_of(TOP_LEFT, NOTHING)
        by_map = regions(left_map, 0, mergeable=False)
        by_bitmap = ImageTargets(
            by_map.labels_N, by_map.mergeable_N, SIZE, void_HW=by_map.void_HW, masks_NHW=(left_map == 0)[None]
        )
        expected = self.losses(masks, classes_of(0, BACKGROUND), by_map)
        torch.testing.assert_close(self.losses(masks, classes_of(0, BACKGROUND), by_bitmap), expected)


class TestBoxLoss:
    def losses(self, mask_logits, classes, targets, size=SIZE, **changes):
        criterion = DaTaSegCriterion(**changes)
        return criterion(proposals_of(mask_logits[None]), classes, [targets], size)

    def test_the_mask_that_is_its_box(self):
        targets = boxes(SIZE, [[0.0, 0.0, 16.0, 16.0]], [0])
        losses = self.losses(masks_of(TOP_LEFT, RIGHT), classes_of(0, BACKGROUND), targets)
        assert set(losses) == {"loss_class", "loss_projection"}
        torch.testing.assert_close(losses["loss_projection"], torch.tensor(0.0), atol=1e-3, rtol=0)

    def test_by_hand(self):
        # the columns agree; of the box's 8 rows the mask has 4: 5 x (1 - 2 x 4 / (4 + 8)) = 5 / 3
        targets = boxes(SIZE, [[0.0, 0.0, 16.0, 32.0]], [0])
        losses = self.losses(masks_of(TOP_LEFT), classes_of(0), targets)
        torch.testing.assert_close(losses["loss_projection"], torch.tensor(5 / 3), atol=1e-3, rtol=1e-3)

    def test_the_projection_decides_the_match(self):
        """Both proposals say the same class; without the projection in the cost the surer one is matched."""
        targets = boxes(SIZE, [[0.0, 16.0, 16.0, 32.0]], [0])
        masks, classes = masks_of(TOP_LEFT, BOTTOM_LEFT), classes_of(0, 0)
        classes[0, 0, 0, 0] += 0.5  # the other is a little surer of the class
        assert self.losses(masks, classes, targets)["loss_projection"] < 0.01
        assert self.losses(masks, classes, targets, projection_cost=False)["loss_projection"] > 4

    def test_the_padding_of_an_image_is_outside(self):
        # an image of 18 x 22 pixels: 4.5 x 5.5 cells, the last one covered by half
        targets = boxes((18, 22), [[0.0, 0.0, 22.0, 18.0]], [0])
        mask = torch.full((1, HEIGHT, WIDTH), SURE)
        losses = self.losses(mask, classes_of(0), targets)
        # rows: 4 cells and a half one; columns: 5 and a half: 1 - 2 (n + 1/2) / (n + 1 + n + 1/4)
        expected = 5 * sum(1 - 2 * (n + 0.5) / (2 * n + 1.25) for n in (4, 5))
        torch.testing.assert_close(losses["loss_projection"], torch.tensor(expected), atol=1e-3, rtol=1e-3)
        mask[:, 5:] = mask[:, :, 6:] = -SURE
        again = self.losses(mask, classes_of(0), targets)
        torch.testing.assert_close(again["loss_projection"], losses["loss_projection"])


class TestColorAffinity:
    """Left half black, right half white: cells are alike within a half only."""

    IMAGES = torch.zeros(1, 3, *SIZE)
    IMAGES[..., SIZE[1] // 2 :] = 255.0
    BOX = boxes(SIZE, [[0.0, 0.0, 32.0, 32.0]], [0])

    def loss(self, mask_logits, targets=BOX, images=IMAGES, **changes):
        criterion = DaTaSegCriterion(**{"affinity_weight": 3.0, **changes})
        losses = criterion(proposals_of(mask_logits[None]), classes_of(0), [targets], SIZE, images)
        return losses.get("loss_affinity")

    def test_undecided_cells_cost_ln_2(self):
        undecided = torch.zeros(1, HEIGHT, WIDTH)
        torch.testing.assert_close(self.loss(undecided), torch.tensor(3 * math.log(2)))

    def test_a_mask_should_end_where_the_colour_does(self):
        assert self.loss(masks_of(LEFT)) < 0.01
        assert self.loss(masks_of((slice(0, 4), slice(None)))) > 3

    def test_only_the_cells_of_the_box_count(self):
        corner = boxes(SIZE, [[0.0, 0.0, 13.0, 14.0]], [0])  # 3.25 columns, of which 3 count, and 3.5 rows: 4
        mask = torch.zeros(1, HEIGHT, WIDTH, requires_grad=True)
        self.loss(mask, corner).backward()
        untouched = torch.zeros(HEIGHT, WIDTH)
        torch.testing.assert_close(mask.grad[0], untouched)  # at 0 both sides pull alike
        mask = torch.ones(1, HEIGHT, WIDTH, requires_grad=True)
        self.loss(mask, corner).backward()
        assert (mask.grad[0, :6, :4] != 0).all()  # cells of the box and their neighbours two cells off, in the dark
        assert (mask.grad[0, 6:] == 0).all()
        assert (mask.grad[0, :, 5:] == 0).all()

    def test_it_adds_to_the_projection_and_weighs_nothing_unless_asked(self):
        mask = masks_of(TOP_LEFT)
        with_it, without = (
            DaTaSegCriterion(affinity_weight=w)(proposals_of(mask[None]), classes_of(0), [self.BOX], SIZE, self.IMAGES)
            for w in (3.0, 0.0)
        )
        assert with_it.pop("loss_affinity") > 0
        assert with_it == without

    def test_boxes_in_pieces_are_the_boxes_together(self, monkeypatch):
        many = boxes(SIZE, [[0.0, 0.0, 32.0, 32.0], [4, 4, 30, 20], [8, 0, 32, 9]], [0, 1, 0])
        logits = torch.randn(1, 4, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
        classes = torch.randn(1, 1, 4, BACKGROUND + 1, generator=torch.Generator().manual_seed(1))
        values = []
        for chunk in (64, 2):
            monkeypatch.setattr(module, "AFFINITY_CHUNK", chunk)
            leaf = logits.clone().requires_grad_()
            loss = DaTaSegCriterion(affinity_weight=1.0)(proposals_of(leaf), classes, [many], SIZE, self.IMAGES)
            loss["loss_affinity"].backward()
            values.append((loss["loss_affinity"].detach(), leaf.grad))
        torch.testing.assert_close(values[1], values[0])

    def test_the_padding_of_an_image_has_no_colour(self):
        """The last cells average the image's own pixels alone."""
        targets = boxes((30, 27), [[0.0, 0.0, 27.0, 30.0]], [0])
        mask = torch.randn(1, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
        painted = self.IMAGES.clone()
        painted[..., 30:, :] = painted[..., 27:] = 99.0
        torch.testing.assert_close(self.loss(mask, targets, painted), self.loss(mask, targets))

    def test_no_box(self):
        assert self.loss(masks_of(LEFT), boxes(SIZE, [], [])) == 0

    def test_without_images(self):
        with pytest.raises(ValueError, match="affinity_weight: the colour affinity needs the images; pass images_B3HW"):
            self.loss(masks_of(LEFT), images=None)


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
        values.append(DaTaSegCriterion(num_points=128)(proposals_of(features), classes, [targets], padded))
    torch.testing.assert_close(values[1], values[0])


def test_losses_are_divided_once_by_the_number_of_targets():
    """Three targets in two images: the sum of the images' losses times their own numbers, over three."""
    first, second = boxes(SIZE, [[0.0, 0.0, 9.0, 13.0]], [0]), boxes(SIZE, [[1, 2, 8, 30], [5, 5, 31, 9]], [1, 0])
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, HEIGHT, WIDTH, generator=generator)
    classes = torch.randn(1, 2, 4, BACKGROUND + 1, generator=generator)
    criterion = DaTaSegCriterion()

    def projection(images, targets):
        return criterion(proposals_of(logits[images]), classes[:, images], targets, SIZE)["loss_projection"]

    together = projection([0, 1], [first, second])
    torch.testing.assert_close(together, (projection([0], [first]) + 2 * projection([1], [second])) / 3)


def test_more_targets_than_proposals():
    many = boxes(SIZE, [[0.0, 0.0, 16.0, 16.0]] * 5, [0] * 5)
    masks = masks_of(TOP_LEFT, TOP_LEFT)
    losses = DaTaSegCriterion()(proposals_of(masks[None]), classes_of(0, 0), [many], SIZE)
    expected = 2 * cross_entropy(classes_of(0, 0), 0, 0)
    torch.testing.assert_close(losses["loss_class"], expected)  # two matched, none is background
    assert losses["loss_projection"] < 0.01


def test_the_loss_is_the_sum_over_the_outputs():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 4, HEIGHT, WIDTH, generator=generator)
    classes = torch.randn(1, 1, 4, BACKGROUND + 1, generator=generator)
    targets = [boxes(SIZE, [[0.0, 0.0, 9.0, 13.0]], [0])]
    one = DaTaSegCriterion()(proposals_of(logits), classes, targets, SIZE)
    three = DaTaSegCriterion()(proposals_of(logits, 3), classes.expand(3, -1, -1, -1), targets, SIZE)
    torch.testing.assert_close(three, {name: 3 * value for name, value in one.items()})


@pytest.mark.parametrize("annotated", ["regions", "boxes"])
@pytest.mark.parametrize("background_weight", [0.1, 0.0])
def test_an_image_without_targets(annotated, background_weight):
    if annotated == "regions":
        targets = regions(torch.full(SIZE, VOID, dtype=torch.int32))
    else:
        targets = boxes(SIZE, [], [])
    proposals = proposals_of(masks_of(LEFT, NOTHING)[None].requires_grad_())
    classes = classes_of(0, BACKGROUND).requires_grad_()
    losses = DaTaSegCriterion(background_weight=background_weight)(proposals, classes, [targets], SIZE)
    sum(losses.values()).backward()
    background = (cross_entropy(classes, 0, BACKGROUND) + cross_entropy(classes, 1, BACKGROUND)).detach()
    expected = background if background_weight else torch.tensor(0.0)  # 2 x mean of the two
    torch.testing.assert_close(losses.pop("loss_class").detach(), expected)
    assert all(value == 0 for value in losses.values())
    assert proposals.mask_features_BCHW.grad is None or torch.isfinite(classes.grad).all()


@pytest.mark.parametrize("annotated", ["regions", "boxes"])
def test_costs_are_float32_under_autocast(monkeypatch, left_map, annotated):
    """Sums over thousands of points: bfloat16 has 3 digits, float16 ends at 65504."""
    seen = []
    match = module.match
    monkeypatch.setattr(module, "match", lambda costs: (seen.append(costs[0]), match(costs))[1])
    masks = torch.randint(-9, 9, (1, 3, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(0)).float()
    targets = regions(left_map, 0) if annotated == "regions" else boxes(SIZE, [[1.0, 2.0, 17.0, 29.0]], [0])
    # points on the centres of cells, where the logits are integers and so exact in either precision
    centres = (torch.randint(0, 8, (2000, 2), generator=torch.Generator().manual_seed(1)) + 0.5) / 8
    monkeypatch.setattr(module, "random_points", lambda *_: centres[None])
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            DaTaSegCriterion(num_points=2000)(proposals_of(masks), classes_of(0, 0, 1), [targets], SIZE)
    torch.testing.assert_close(*seen)


def test_a_batch_that_is_not_padded_to_whole_cells_is_refused():
    targets = [boxes((30, 32), [], [])]
    with pytest.raises(ValueError, match=r"whole cells.*\(30, 32\) pixels and \(8, 8\) cells; set pad_size_divisor=32"):
        DaTaSegCriterion()(proposals_of(masks_of(LEFT)[None]), classes_of(0), targets, (30, 32))
