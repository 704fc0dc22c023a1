"""MERGE, matching and losses, worked by hand: mask embeddings are unit vectors, so the features are the mask logits."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmdataseg.models import DaTaSegCriterion, Proposals, box_targets, mask_targets
from mmdataseg.models import criterion as module
from mmdataseg.models.box_targets import BoxAnnotation
from mmdataseg.models.color_similarity import ColorSimilarityPreprocessor
from mmdataseg.models.mask_targets import MaskAnnotation
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
    """(1, 1, Q, J) logits whose most likely classes are the given ones."""
    return 2.0 * F.one_hot(torch.tensor(classes), BACKGROUND + 1).float()[None, None]


def regions(id_map: torch.Tensor, *labels: int) -> MaskAnnotation:
    return MaskAnnotation(
        labels_N=torch.tensor(labels, dtype=torch.int64),
        size=tuple(id_map.shape),
        void_HW=id_map == VOID,
        id_map_HW=id_map,
    )


def boxes(size: tuple[int, int], box_list: list[list[float]], labels: list[int]) -> BoxAnnotation:
    return BoxAnnotation(torch.tensor(labels, dtype=torch.int64), size, boxes_N4=torch.tensor(box_list).reshape(-1, 4))


def criterion_of(
    masks: dict[str, Any] | None = None, boxes: dict[str, Any] | None = None, **changes: Any
) -> DaTaSegCriterion:
    """The default criterion on 64 points, with changes."""
    return DaTaSegCriterion(
        **{
            "targets": {
                "masks": {"type": "mmdataseg.MaskTargets", "num_points": 64, **(masks or {})},
                "boxes": {
                    "type": "mmdataseg.BoxTargets",
                    "loss": {"type": "mmdataseg.BoxProjectionLoss"},
                    "cost": {"type": "mmdataseg.BoxProjectionCost"},
                    **(boxes or {}),
                },
            },
            **changes,
        }
    )


def losses_of(criterion, proposals, classes, annotations, mergeable=(True, True), padded=SIZE):
    """The losses of a batch; boxes are of things, so nothing of theirs is merged."""
    boxes_alone = isinstance(annotations[0], BoxAnnotation)
    return criterion(
        proposals,
        classes,
        annotations,
        supervision="boxes" if boxes_alone else "masks",
        mergeable=(False, False) if boxes_alone else mergeable,
        padded_size=padded,
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


class TestFigure:
    """The paper's figure: two riders, a horse, the left and the right part of one building; and a proposal of nothing.

    Each column of the grid is one object: rider, rider, horse, building, building, nothing.
    """

    PERSON, HORSE, BUILDING, NOTHING = range(4)
    COLUMNS = [(slice(None), slice(n, n + 1)) for n in (0, 1, 2)]
    PARTS = [(slice(None), slice(3, 5)), (slice(None), slice(5, 8))]
    MASKS = masks_of(*COLUMNS, *PARTS, (slice(0, 0), slice(0, 0)))
    CLASSES = 3.0 * F.one_hot(torch.tensor([0, 0, 1, 2, 2, 3]), 4).float()[None, None]
    MERGEABLE = {"semantic": (True,) * 3, "panoptic": (False, False, True), "instance": (False,) * 3}
    # regions of the id map by task: columns 0, 1 and 2, and the building
    IDS = {"semantic": (0, 0, 1, 2), "panoptic": (0, 1, 2, 3), "instance": (0, 1, 2, VOID)}
    LABELS = {"semantic": (0, 1, 2), "panoptic": (0, 0, 1, 2), "instance": (0, 0, 1)}

    def annotation(self, task):
        columns = torch.tensor(self.IDS[task]).repeat_interleave(STRIDE * torch.tensor([1, 1, 1, 5]))
        return regions(columns.int().expand(SIZE).contiguous(), *self.LABELS[task])

    def losses(self, task, classes=None, masks=None, **changes):
        torch.manual_seed(0)
        criterion = criterion_of(masks={"num_points": None}, **changes)
        masks = self.MASKS if masks is None else masks
        classes = self.CLASSES if classes is None else classes
        return losses_of(criterion, proposals_of(masks[None]), classes, [self.annotation(task)], self.MERGEABLE[task])

    def entropies(self, labels):
        return [cross_entropy(self.CLASSES, q, k) for q, k in enumerate(labels)]

    def test_semantic(self):
        """Three rows are matched: both riders, the horse, both parts; each counts once."""
        one, two, horse, left, right, nothing = self.entropies((0, 0, 1, 2, 2, 3))
        rows = [(one + two) / 2, horse, (left + right) / 2]
        losses = self.losses("semantic")
        torch.testing.assert_close(losses["loss_class"], 2 * (sum(rows) + 0.1 * nothing) / 3.1)
        # each row's mask is its target's, cell for cell
        torch.testing.assert_close(losses["loss_dice"], torch.tensor(0.0), atol=1e-3, rtol=0)
        torch.testing.assert_close(losses["loss_focal"], torch.tensor(0.0), atol=1e-3, rtol=0)

    def test_panoptic(self):
        """Four rows are matched: each rider, the horse, both parts."""
        one, two, horse, left, right, nothing = self.entropies((0, 0, 1, 2, 2, 3))
        losses = self.losses("panoptic")
        expected = 2 * (one + two + horse + (left + right) / 2 + 0.1 * nothing) / 4.1
        torch.testing.assert_close(losses["loss_class"], expected)
        torch.testing.assert_close(losses["loss_dice"], torch.tensor(0.0), atol=1e-3, rtol=0)
        torch.testing.assert_close(losses["loss_focal"], torch.tensor(0.0), atol=1e-3, rtol=0)

    @pytest.mark.parametrize(
        ("task", "trained"), [("semantic", [0, 1, 2, 3, 4]), ("panoptic", [0, 1, 2, 3, 4]), ("instance", [0, 1, 2])]
    )
    def test_which_proposals_get_a_mask_loss(self, task, trained):
        masks = (self.MASKS / 12).requires_grad_()
        losses = self.losses(task, masks=masks)
        (losses["loss_focal"] + losses["loss_dice"]).backward()
        learns = masks.grad.abs().sum((1, 2)) > 0
        assert learns.nonzero().flatten().tolist() == trained
        if task != "instance":  # each pixel of the building's row trains the part that claims it
            assert (masks.grad[3, :, 3:5] != 0).all()
            assert (masks.grad[4, :, 3:5] == 0).all()

    def test_instance(self):
        """Three rows are matched: each rider and the horse; the parts of the building are background, one by one."""
        one, two, horse, left, right, nothing = self.entropies((0, 0, 1, 3, 3, 3))
        expected = 2 * (one + two + horse + 0.1 * (left + right + nothing)) / 3.3
        torch.testing.assert_close(self.losses("instance")["loss_class"], expected)

    @pytest.mark.parametrize("task", ["semantic", "panoptic"])
    def test_without_merge_a_part_is_taken_for_the_whole(self, task):
        assert self.losses(task, merge="none")["loss_dice"] > self.losses(task)["loss_dice"] + 0.05

    @pytest.mark.parametrize("task", ["semantic", "panoptic", "instance"])
    def test_permuting_the_queries_changes_nothing(self, task):
        generator = torch.Generator().manual_seed(0)
        masks, classes = (
            torch.randn(12, HEIGHT, WIDTH, generator=generator),
            torch.randn(1, 1, 12, 4, generator=generator),
        )
        order = torch.randperm(12, generator=generator)
        permuted = self.losses(task, classes[:, :, order], masks[order])
        torch.testing.assert_close(permuted, self.losses(task, classes, masks))

    def test_with_no_mergeable_class_it_is_bit_for_bit_no_merge(self):
        generator = torch.Generator().manual_seed(0)
        masks, classes = (
            torch.randn(12, HEIGHT, WIDTH, generator=generator),
            torch.randn(1, 1, 12, 4, generator=generator),
        )
        before, none, after = (
            self.losses("instance", classes, masks, merge=m) for m in ("before_matching", "none", "after_matching")
        )
        for name, value in none.items():
            assert torch.equal(before[name], value)
            assert torch.equal(after[name], value)


class TestSplitting:
    """At the start of a training all proposals predict the same class: one row, and several targets."""

    NUM_QUERIES = 6

    def quarters(self) -> MaskAnnotation:
        id_map = torch.zeros(SIZE, dtype=torch.int32)
        id_map[: SIZE[0] // 2, SIZE[1] // 2 :] = 1
        id_map[SIZE[0] // 2 :] = 2
        return regions(id_map, 0, 1, 1)

    def pairs_and_losses(self, monkeypatch, classes, masks, annotation, masks_on=None):
        found = []
        match = module.match
        monkeypatch.setattr(module, "match", lambda *a: (found.extend(match(*a)), found)[1])
        torch.manual_seed(0)
        losses = losses_of(criterion_of(masks_on), proposals_of(masks[None]), classes, [annotation])
        return found[0], losses

    @pytest.mark.parametrize("label", [0, 1])
    def test_identical_proposals_every_target_gets_one(self, monkeypatch, label):
        masks = torch.zeros(self.NUM_QUERIES, HEIGHT, WIDTH, requires_grad=True)
        classes = classes_of(*[label] * self.NUM_QUERIES)
        (queries, targets), losses = self.pairs_and_losses(monkeypatch, classes, masks, self.quarters())
        assert targets.tolist() == [[0, 1, 2]]
        assert queries.unique().numel() == 3
        assert 0 in queries  # the row itself, by its leader
        sum(value for name, value in losses.items() if "loss" in name).backward()
        assert (masks.grad.abs().sum((1, 2)) > 0).all()  # those that stay in the row, by ties, and those that left

    def test_the_members_that_leave_are_trained_for_their_own_target(self, monkeypatch):
        """Two targets, one row of three: the member whose mask fits the second target leaves."""
        id_map = torch.zeros(SIZE, dtype=torch.int32)
        id_map[:, SIZE[1] // 2 :] = 1
        masks, classes = masks_of(TOP_LEFT, BOTTOM_LEFT, RIGHT), classes_of(0, 0, 0)
        classes[..., 0, 0] += 0.5  # the first leads
        cells = {"num_points": None}
        (queries, _), losses = self.pairs_and_losses(monkeypatch, classes, masks, regions(id_map, 0, 1), masks_on=cells)
        assert queries.tolist() == [[0, 2]]
        first, second = (cross_entropy(classes, q, 0) for q in (0, 1))
        left = cross_entropy(classes, 2, 1)
        torch.testing.assert_close(losses["loss_class"], 2 * ((first + second) / 2 + left) / 2)
        # the two that stay are the left half, the one that left is the right
        torch.testing.assert_close(losses["loss_dice"], torch.tensor(0.0), atol=1e-3, rtol=0)

    def test_nothing_leaves_while_rows_are_enough(self, monkeypatch):
        """A row of background fits the second target badly; still it is taken before a member of the first row."""
        masks, classes = masks_of(LEFT, RIGHT, NOTHING), classes_of(0, 0, BACKGROUND)
        id_map = torch.zeros(SIZE, dtype=torch.int32)
        id_map[:, SIZE[1] // 2 :] = 1
        (queries, _), _ = self.pairs_and_losses(monkeypatch, classes, masks, regions(id_map, 0, 1))
        assert 1 not in queries

    def test_more_targets_than_proposals(self, monkeypatch):
        masks, classes = torch.zeros(2, HEIGHT, WIDTH), classes_of(0, 0)
        (queries, targets), losses = self.pairs_and_losses(monkeypatch, classes, masks, self.quarters())
        assert queries.shape == targets.shape == (1, 2)
        assert queries.unique().numel() == 2
        # the row and the one that left it, each with the class of its target
        labels = self.quarters().labels_N[targets[0]].tolist()
        expected = sum(cross_entropy(classes, q, k) for q, k in zip(queries[0].tolist(), labels, strict=True))
        torch.testing.assert_close(losses["loss_class"], 2 * expected / 2)


@pytest.mark.parametrize("merge", ["before_matching", "after_matching", "none"])
@pytest.mark.parametrize("spoilt", [slice(0, 1), slice(None)])
def test_a_diverged_step_shows_in_the_loss_and_stops_nothing(left_map, merge, spoilt):
    classes = classes_of(0, 0, 1, BACKGROUND)
    classes[:, :, spoilt] = float("nan")
    losses = losses_of(
        criterion_of(merge=merge), proposals_of(torch.zeros(1, 4, HEIGHT, WIDTH)), classes, [regions(left_map, 0)]
    )
    assert torch.isnan(losses["loss_class"])


class TestStatistics:
    """Logged, not trained: their names hold no "loss", and they have no gradient."""

    NAMES = ("merged_share", "rows_per_target", "split_share")

    def statistics(self, classes, annotation, mergeable=(True, True), **changes):
        masks = torch.zeros(classes.shape[2], HEIGHT, WIDTH, requires_grad=True)
        losses = losses_of(criterion_of(**changes), proposals_of(masks[None]), classes, [annotation], mergeable)
        found = [losses[name] for name in self.NAMES if name in losses]
        assert not any(value.requires_grad for value in found)
        return [value.item() for value in found]

    def test_by_hand(self, left_map):
        # rows {0, 1, 2} and {3}, one target: two of four are merged away
        assert self.statistics(classes_of(0, 0, 0, BACKGROUND), regions(left_map, 0)) == [0.5, 2, 0]

    def test_a_split_is_a_row(self):
        id_map = torch.zeros(SIZE, dtype=torch.int32)
        id_map[:, SIZE[1] // 2 :] = 1
        # one row of four, two targets: one member leaves
        assert self.statistics(classes_of(0, 0, 0, 0), regions(id_map, 0, 1)) == [0.5, 1, 0.5]

    def test_where_nothing_can_merge_nothing_is_logged(self, left_map):
        classes, targets = classes_of(0, 0), regions(left_map, 0)
        assert self.statistics(classes, targets, (False, False)) == []
        assert self.statistics(classes, targets, merge="none") == []
        assert self.statistics(classes, regions(torch.full(SIZE, VOID, dtype=torch.int32))) == []


class TestAfterMatching:
    MASKS = masks_of(LEFT, TOP_LEFT, NOTHING, RIGHT)
    CLASSES = classes_of(0, 0, BACKGROUND, 1)  # matched, absorbed, background, a class that is not there

    def loss(self, left_map, mergeable=(True, True), **changes):
        torch.manual_seed(0)
        criterion = criterion_of(**{"merge": "after_matching", **changes})
        return losses_of(criterion, proposals_of(self.MASKS[None]), self.CLASSES, [regions(left_map, 0)], mergeable)[
            "loss_class"
        ]

    def entropies(self):
        return [cross_entropy(self.CLASSES, q, k) for q, k in enumerate((0, BACKGROUND, BACKGROUND, BACKGROUND))]

    def test_matched_1_absorbed_0_background_a_tenth(self, left_map):
        matched, _, background, wrong = self.entropies()
        expected = 2 * (matched + 0.1 * background + 0.1 * wrong) / 1.2
        torch.testing.assert_close(self.loss(left_map), expected)

    def test_without_merge_nothing_is_absorbed(self, left_map):
        matched, *others = self.entropies()
        torch.testing.assert_close(self.loss(left_map, merge="none"), 2 * (matched + 0.1 * sum(others)) / 1.3)

    def test_things_absorb_nothing(self, left_map):
        torch.testing.assert_close(self.loss(left_map, (False, False)), self.loss(left_map, merge="none"))

    def test_weights_are_those_given(self, left_map):
        matched, _, background, wrong = self.entropies()
        expected = 3 * (matched + 0.5 * background + 0.5 * wrong) / 2
        torch.testing.assert_close(self.loss(left_map, class_weight=3.0, background_weight=0.5), expected)


class TestMaskLoss:
    """With binary cross-entropy, whose values are the easiest to reckon; void and MERGE are the same for all terms."""

    BCE = {"focal_weight": 0.0, "bce_weight": 5.0, "dice_weight": 5.0, "num_points": 256}

    def losses(self, masks, classes, targets, *, merge="before_matching", mergeable=(True, True), **changes):
        torch.manual_seed(0)
        criterion = criterion_of(masks={**self.BCE, **changes}, merge=merge)
        losses = losses_of(criterion, proposals_of(masks[None]), classes, [targets], mergeable)
        return tuple(losses[f"loss_{name}"] for name in ("focal", "bce", "dice") if f"loss_{name}" in losses)

    def test_two_proposals_that_share_a_region_are_right_together(self, left_map):
        masks, classes = masks_of(TOP_LEFT, BOTTOM_LEFT), classes_of(0, 0)
        # all of the left half is known, and half of the shape is missing without MERGE
        together = self.losses(masks, classes, regions(left_map, 0), importance_ratio=0.0)
        apart = self.losses(masks, classes, regions(left_map, 0), importance_ratio=0.0, merge="none")
        assert together[0] < 1  # at the border the mask blends with the void side
        assert together[1] < 0.25
        assert apart[0] > 20
        assert 1 < apart[1] < 2.5  # 5 x (1 - (2 x 1/2) / (1/2 + 1)) = 1.67

    @pytest.mark.parametrize("merge", ["before_matching", "after_matching"])
    def test_every_member_learns(self, left_map, merge):
        masks = masks_of(TOP_LEFT, BOTTOM_LEFT)
        masks = (masks / 12).requires_grad_()
        sum(self.losses(masks, classes_of(0, 0), regions(left_map, 0), merge=merge)).backward()
        grad = masks.grad[:, :, :4]
        # each pixel's gradient goes to the proposal that claims it most
        assert (grad[0, :4] < 0).any()
        assert (grad[1, 4:] < 0).any()
        assert (grad[0, 4:] == 0).all()
        assert (grad[1, :4] == 0).all()

    @pytest.mark.parametrize("terms", [{}, {"focal_weight": 20.0, "bce_weight": 0.0}])
    def test_void_is_outside_every_loss(self, left_map, terms):
        masks = masks_of(LEFT, NOTHING).requires_grad_()
        classes = classes_of(0, BACKGROUND)
        targets = regions(left_map, 0)
        before = self.losses(masks, classes, targets, importance_ratio=0.0, **terms)
        sum(before).backward()
        # half a cell right of the border still blends with the known
        assert (masks.grad[:, :, 5:] == 0).all()
        changed = masks.detach().clone()
        changed[:, :, 5:] = torch.randn(2, HEIGHT, 3)
        after = self.losses(changed, classes, targets, importance_ratio=0.0, **terms)
        torch.testing.assert_close(after, tuple(t.detach() for t in before))

    @pytest.mark.parametrize("num_points", [256, None])
    def test_all_void_gives_no_mask_loss(self, num_points):
        nothing_known = torch.full(SIZE, VOID, dtype=torch.int32)
        losses = self.losses(
            masks_of(LEFT), classes_of(0), regions(nothing_known, 0), num_points=num_points, focal_weight=20.0
        )
        assert [value.item() for value in losses] == [0, 0, 0]

    def test_bitmaps_and_id_map_of_the_same_segments_agree(self, left_map):
        masks = masks_of(TOP_LEFT, NOTHING)
        by_map = regions(left_map, 0)
        by_bitmap = MaskAnnotation(by_map.labels_N, SIZE, by_map.void_HW, masks_NHW=(left_map == 0)[None])
        expected = self.losses(masks, classes_of(0, BACKGROUND), by_map)
        torch.testing.assert_close(self.losses(masks, classes_of(0, BACKGROUND), by_bitmap), expected)

    def test_focal_and_dice_are_the_default_and_weights_are_those_given(self, left_map):
        masks, targets = masks_of(TOP_LEFT) / 4, regions(left_map, 0)

        def losses(**changes):
            torch.manual_seed(0)
            return losses_of(criterion_of(masks=changes), proposals_of(masks[None]), classes_of(0), [targets])

        default, heavy = losses(), losses(focal_weight=40.0, dice_weight=15.0)
        assert list(default)[:3] == ["loss_class", "loss_focal", "loss_dice"]
        torch.testing.assert_close(heavy["loss_focal"], 2 * default["loss_focal"])
        torch.testing.assert_close(heavy["loss_dice"], 3 * default["loss_dice"])
        assert list(losses(bce_weight=1.0, focal_weight=0.0))[:3] == ["loss_class", "loss_bce", "loss_dice"]

    def test_on_all_cells_nothing_is_drawn(self, left_map, monkeypatch):
        """The centre of a cell reads the four pixels around it: all of the left half, or all void."""
        monkeypatch.setattr(torch, "rand", None)
        masks = masks_of(TOP_LEFT)
        bce, dice = self.losses(masks, classes_of(0), regions(left_map, 0), num_points=None)
        # of 32 known cells, all of the target, 16 are wrong by 12 and the others right
        torch.testing.assert_close(bce, torch.tensor(5 * SURE / 2), atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(dice, torch.tensor(5 * (1 - (2 * 16 + 1) / (16 + 32 + 1))), atol=1e-3, rtol=1e-4)
        focal = self.losses(
            masks, classes_of(0), regions(left_map, 0), num_points=None, focal_weight=20.0, bce_weight=0.0
        )
        # the wrong cells: alpha (1 - p)^2 (-log p) with p about 0
        torch.testing.assert_close(focal[0], torch.tensor(20 * 0.25 * SURE / 2), atol=1e-2, rtol=1e-3)

    @pytest.mark.parametrize("num_points", [256, None])
    def test_rows_in_pieces_are_the_rows_together(self, left_map, monkeypatch, num_points):
        base = torch.rand(1, 1000, 2, generator=torch.Generator().manual_seed(0))
        monkeypatch.setattr(torch, "rand", lambda n, p, *_, **__: base[:, :p].expand(n, -1, -1).clone())
        masks = torch.randn(5, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
        id_map = left_map.clone()
        id_map[: SIZE[0] // 2, SIZE[1] // 2 :] = 1
        id_map[SIZE[0] // 2 :, SIZE[1] // 2 :] = 2
        arguments = masks, classes_of(0, 0, 1, 1, BACKGROUND), regions(id_map, 0, 1, 1)
        values = []
        for held in (2**20, 256):
            monkeypatch.setitem(mask_targets.VALUES_AT_A_TIME, "cpu", held)
            values.append(self.losses(*arguments, num_points=num_points, mergeable=(False, False)))
        torch.testing.assert_close(values[1], values[0])

    @pytest.mark.parametrize("weights", [{"focal_weight": -1.0}, {"focal_weight": 0.0, "dice_weight": 0.0}])
    def test_weights_that_train_nothing_are_refused(self, weights):
        with pytest.raises(ValueError, match="weights of mask losses of at least 0, one of them above 0, got"):
            criterion_of(masks=weights)


class TestBoxLoss:
    def losses(self, mask_logits, classes, targets, **changes):
        return losses_of(criterion_of(boxes=changes), proposals_of(mask_logits[None]), classes, [targets])

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
        assert self.losses(masks, classes, targets, cost=None)["loss_projection"] > 4

    def test_mergeable_classes_are_one_row(self):
        """Two halves of one box, of a class that MERGE joins: together they project as the box."""
        targets = boxes(SIZE, [[0.0, 0.0, 16.0, 32.0]], [0])
        arguments = proposals_of(masks_of(TOP_LEFT, BOTTOM_LEFT)[None]), classes_of(0, 0), [targets]
        options = {"supervision": "boxes", "padded_size": SIZE}
        merged = criterion_of()(*arguments, **options, mergeable=(True, True))
        apart = criterion_of()(*arguments, **options, mergeable=(False, False))
        assert merged["loss_projection"] < 0.01
        assert apart["loss_projection"] > 1.6

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

    def test_a_cost_for_cells_of_another_size_is_refused(self):
        targets = boxes(SIZE, [[0.0, 0.0, 16.0, 32.0]], [0])
        with pytest.raises(ValueError, match=r"cells of 8 pixels, the mask features have 4; set targets\.boxes"):
            self.losses(
                masks_of(TOP_LEFT), classes_of(0), targets, cost={"type": "mmdataseg.BoxProjectionCost", "stride": 8}
            )


class TestColorAffinity:
    """Left half black, right half white: cells are alike within a half only."""

    IMAGE = torch.zeros(3, *SIZE)
    IMAGE[..., SIZE[1] // 2 :] = 255.0
    BOX = boxes(SIZE, [[0.0, 0.0, 32.0, 32.0]], [0])

    def loss(self, mask_logits, targets=BOX, image=IMAGE):
        """The image is cut to the size of the annotation, as the pipeline gives it: without padding."""
        image = image[:, : targets.size[0], : targets.size[1]]
        sample = DetDataSample(metainfo={"img_shape": targets.size})
        sample.gt_instances = InstanceData(bboxes=targets.boxes_N4)
        batch = {"inputs": [image], "data_samples": [sample]}
        (sample,) = ColorSimilarityPreprocessor(pad_size_divisor=32)(batch, training=True)["data_samples"]
        targets = replace(targets, similarity_EHW=sample.gt_color_similarity.data)
        criterion = criterion_of(boxes={"affinity_weight": 3.0})
        return losses_of(criterion, proposals_of(mask_logits[None]), classes_of(0), [targets])["loss_affinity"]

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
        box = replace(self.BOX, similarity_EHW=torch.ones(8, HEIGHT, WIDTH))
        with_it, without = (
            losses_of(criterion_of(boxes={"affinity_weight": w}), proposals_of(mask[None]), classes_of(0), [box])
            for w in (3.0, 0.0)
        )
        assert with_it.pop("loss_affinity") > 0
        assert with_it == without

    def test_boxes_in_pieces_are_the_boxes_together(self, monkeypatch):
        many = boxes(SIZE, [[0.0, 0.0, 32.0, 32.0], [4, 4, 30, 20], [8, 0, 32, 9]], [0, 1, 0])
        similarity = torch.rand(8, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(2))
        many = replace(many, similarity_EHW=similarity)
        logits = torch.randn(1, 4, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
        classes = torch.randn(1, 1, 4, BACKGROUND + 1, generator=torch.Generator().manual_seed(1))
        values = []
        for chunk in (64, 2):
            monkeypatch.setattr(box_targets, "AFFINITY_CHUNK", chunk)
            leaf = logits.clone().requires_grad_()
            loss = losses_of(criterion_of(boxes={"affinity_weight": 1.0}), proposals_of(leaf), classes, [many])
            loss["loss_affinity"].backward()
            values.append((loss["loss_affinity"].detach(), leaf.grad))
        torch.testing.assert_close(values[1], values[0])

    def test_no_box(self):
        assert self.loss(masks_of(LEFT), boxes(SIZE, [], [])) == 0


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


def test_more_targets_than_proposals():
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
def test_an_image_without_targets(annotated, background_weight):
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
