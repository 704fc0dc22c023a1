"""Supervision by masks, worked by hand."""

import pytest
import torch

from mmdataseg.errors import UserError
from mmdataseg.models.targets import mask_targets
from mmdataseg.models.targets.mask_targets import MaskAnnotation, TrueMasks
from mmdataseg.ops.id_map import VOID, masks_from_id_map
from mmdataseg.ops.points import sample_maps
from tests.models.criterion_cases import (
    BACKGROUND,
    BOTTOM_LEFT,
    HEIGHT,
    LEFT,
    NOTHING,
    SIZE,
    SURE,
    TOP_LEFT,
    WIDTH,
    classes_of,
    criterion_of,
    losses_of,
    masks_of,
    proposals_of,
    regions,
)


class TestMaskLoss:
    """With binary cross-entropy, whose values are the easiest to compute by hand; void and MERGE are the same for all
    terms."""

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
    def test_every_member_of_a_row_gets_a_gradient(self, left_map, merge):
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

    @pytest.mark.parametrize("shared", [True, False])
    def test_bitmaps_are_read_a_few_at_a_time(self, monkeypatch, shared):
        """Those of all decoder outputs at once, in float32, would take gigabytes."""
        generator = torch.Generator().manual_seed(0)
        known = torch.zeros(SIZE, dtype=torch.bool)
        masks = torch.rand(3, *SIZE, generator=generator) > 0.5
        annotation = MaskAnnotation(torch.arange(3), SIZE, known, masks_NHW=masks)
        true = TrueMasks([annotation, annotation], torch.tensor([SIZE[::-1]] * 2).float())
        images, rows = torch.tensor([0, 1, 1, 0, 1]), torch.tensor([2, 0, 1, 2, 1])
        points = torch.rand(1 if shared else 5, 7, 2, generator=generator)
        expected, sizes, read = true.at(images, rows, points), [], mask_targets.sample_maps
        monkeypatch.setattr(mask_targets, "PIXELS_AT_A_TIME", 2 * masks[0].numel())
        monkeypatch.setattr(mask_targets, "sample_maps", lambda m, *rest: (sizes.append(len(m)), read(m, *rest))[1])
        assert torch.equal(true.at(images, rows, points), expected)
        assert sizes == [2, 2, 1]
        assert true.at(images[:0], rows[:0], points[:0]).shape == (0, 7)

    def test_bitmaps_and_regions_of_one_batch_are_read_alike(self):
        """The second image is smaller, has fewer targets, and an id map instead of bitmaps."""
        generator = torch.Generator().manual_seed(0)
        sizes = (SIZE, (20, 26))
        maps = [torch.randint(-1, n, size, generator=generator) for n, size in zip((3, 2), sizes, strict=True)]
        masks = masks_from_id_map(maps[0], 3)
        annotations = [
            MaskAnnotation(torch.zeros(3), sizes[0], maps[0] == VOID, masks_NHW=masks),
            regions(maps[1], 0, 0),
        ]
        ours = TrueMasks(annotations, torch.tensor([size[::-1] for size in sizes]).float())
        points = torch.rand(2, 1, 30, 2, generator=generator)
        read = ours.at(torch.arange(2)[:, None], torch.arange(3), points)
        for image, (id_map, number) in enumerate(zip(maps, (3, 2), strict=True)):  # those it does not have are ignored
            expected = sample_maps(masks_from_id_map(id_map, number).float(), points[image].expand(number, -1, -1))
            torch.testing.assert_close(read[image, :number], expected, atol=1e-5, rtol=0)

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
    def test_chunks_of_rows_give_the_loss_of_all_rows(self, left_map, monkeypatch, num_points):
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
    def test_weights_that_are_negative_or_all_zero_are_refused(self, weights):
        with pytest.raises(UserError, match="weights of mask losses of at least 0, one of them above 0, got"):
            criterion_of(masks=weights)

    @pytest.mark.parametrize(
        ("option", "expected"),
        [
            ({"num_points": 0}, "at least 1, or None for all cells, got 0"),
            ({"oversample_ratio": 0.5}, r"at least 1, got 0\.5"),
            ({"importance_ratio": 1.1}, r"a share in 0 \.\. 1, got 1\.1"),
        ],
    )
    def test_points_that_cannot_be_drawn_are_refused(self, option, expected):
        with pytest.raises(UserError, match=f"{next(iter(option))}: expected {expected}"):
            criterion_of(masks=option)
