"""MERGE in the criterion: what is matched, the loss of each proposal, and which members leave their row."""

import pytest
import torch
import torch.nn.functional as F

from mmdataseg.models import criterion as module
from mmdataseg.models.targets.mask_targets import MaskAnnotation
from mmdataseg.ops.id_map import VOID
from tests.models.criterion_cases import (
    BACKGROUND,
    BOTTOM_LEFT,
    HEIGHT,
    LEFT,
    NOTHING,
    RIGHT,
    SIZE,
    STRIDE,
    TOP_LEFT,
    WIDTH,
    classes_of,
    criterion_of,
    cross_entropy,
    losses_of,
    masks_of,
    proposals_of,
    regions,
)


class TestFigure:
    """The paper's figure: two riders, a horse, the left and the right part of one building; and a background proposal.

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

    def test_semantic_matches_one_row_per_class(self):
        """Three rows are matched: both riders, the horse, both parts; each counts once."""
        one, two, horse, left, right, nothing = self.entropies((0, 0, 1, 2, 2, 3))
        rows = [(one + two) / 2, horse, (left + right) / 2]
        losses = self.losses("semantic")
        torch.testing.assert_close(losses["loss_class"], 2 * (sum(rows) + 0.1 * nothing) / 3.1)
        # each row's mask is its target's, cell for cell
        torch.testing.assert_close(losses["loss_dice"], torch.tensor(0.0), atol=1e-3, rtol=0)
        torch.testing.assert_close(losses["loss_focal"], torch.tensor(0.0), atol=1e-3, rtol=0)

    def test_panoptic_matches_things_alone_and_stuff_merged(self):
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

    def test_instance_matches_things_alone(self):
        """Three rows are matched: each rider and the horse; the parts of the building are background, one by one."""
        one, two, horse, left, right, nothing = self.entropies((0, 0, 1, 3, 3, 3))
        expected = 2 * (one + two + horse + 0.1 * (left + right + nothing)) / 3.3
        torch.testing.assert_close(self.losses("instance")["loss_class"], expected)

    @pytest.mark.parametrize("task", ["semantic", "panoptic"])
    def test_without_merge_a_part_is_matched_as_the_whole(self, task):
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

    def test_without_mergeable_classes_the_losses_equal_no_merge_bit_for_bit(self):
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

    def targets_and_losses(self, monkeypatch, classes, masks, annotation, masks_on=None):
        found = []
        match = module.match
        monkeypatch.setattr(module, "match", lambda *a: (found.append(match(*a)), found[0])[1])
        torch.manual_seed(0)
        losses = losses_of(criterion_of(masks_on), proposals_of(masks[None]), classes, [annotation])
        return found[0][0, 0].tolist(), losses

    @pytest.mark.parametrize("label", [0, 1])
    def test_every_target_gets_one_of_identical_proposals(self, monkeypatch, label):
        masks = torch.zeros(self.NUM_QUERIES, HEIGHT, WIDTH, requires_grad=True)
        classes = classes_of(*[label] * self.NUM_QUERIES)
        targets, losses = self.targets_and_losses(monkeypatch, classes, masks, self.quarters())
        assert sorted(targets) == [-1, -1, -1, 0, 1, 2]
        assert targets[0] != -1  # the row itself, by its leader
        sum(value for name, value in losses.items() if "loss" in name).backward()
        assert (masks.grad.abs().sum((1, 2)) > 0).all()  # those that stay in the row, by ties, and those that left

    def test_the_members_that_leave_are_trained_for_their_own_target(self, monkeypatch):
        """Two targets, one row of three: the member whose mask fits the second target leaves."""
        id_map = torch.zeros(SIZE, dtype=torch.int32)
        id_map[:, SIZE[1] // 2 :] = 1
        masks, classes = masks_of(TOP_LEFT, BOTTOM_LEFT, RIGHT), classes_of(0, 0, 0)
        classes[..., 0, 0] += 0.5  # the first leads
        cells = {"num_points": None}
        targets, losses = self.targets_and_losses(monkeypatch, classes, masks, regions(id_map, 0, 1), masks_on=cells)
        assert targets == [0, -1, 1]
        first, second = (cross_entropy(classes, q, 0) for q in (0, 1))
        left = cross_entropy(classes, 2, 1)
        torch.testing.assert_close(losses["loss_class"], 2 * ((first + second) / 2 + left) / 2)
        # the two that stay are the left half, the one that left is the right
        torch.testing.assert_close(losses["loss_dice"], torch.tensor(0.0), atol=1e-3, rtol=0)

    def test_no_member_leaves_while_there_are_enough_rows(self, monkeypatch):
        """A row of background fits the second target badly; still it is taken before a member of the first row."""
        masks, classes = masks_of(LEFT, RIGHT, NOTHING), classes_of(0, 0, BACKGROUND)
        id_map = torch.zeros(SIZE, dtype=torch.int32)
        id_map[:, SIZE[1] // 2 :] = 1
        targets, _ = self.targets_and_losses(monkeypatch, classes, masks, regions(id_map, 0, 1))
        assert targets[1] == -1

    def test_with_more_targets_than_proposals_every_proposal_is_matched(self, monkeypatch):
        masks, classes = torch.zeros(2, HEIGHT, WIDTH), classes_of(0, 0)
        targets, losses = self.targets_and_losses(monkeypatch, classes, masks, self.quarters())
        assert -1 not in targets
        # the row and the one that left it, each with the class of its target
        labels = self.quarters().labels_N[targets].tolist()
        expected = sum(cross_entropy(classes, q, k) for q, k in enumerate(labels))
        torch.testing.assert_close(losses["loss_class"], 2 * expected / 2)


@pytest.mark.parametrize("merge", ["before_matching", "after_matching", "none"])
@pytest.mark.parametrize("spoilt", [slice(0, 1), slice(None)])
def test_a_diverged_step_shows_in_the_loss_and_raises_nothing(left_map, merge, spoilt):
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

    def test_without_mergeable_classes_nothing_is_logged(self, left_map):
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

    def test_class_weights_are_1_if_matched_0_if_absorbed_and_a_tenth_for_background(self, left_map):
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
