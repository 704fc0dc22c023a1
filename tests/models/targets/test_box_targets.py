"""Supervision by boxes alone, and the colour affinity, worked by hand."""

import math
from dataclasses import replace

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmdataseg.models.data_preprocessors.color_similarity import ColorSimilarityPreprocessor
from mmdataseg.models.targets import box_targets
from tests.models.criterion_cases import (
    BACKGROUND,
    BOTTOM_LEFT,
    HEIGHT,
    LEFT,
    RIGHT,
    SIZE,
    SURE,
    TOP_LEFT,
    WIDTH,
    boxes,
    classes_of,
    criterion_of,
    losses_of,
    masks_of,
    proposals_of,
)


class TestBoxLoss:
    def losses(self, mask_logits, classes, targets, **changes):
        return losses_of(criterion_of(boxes=changes), proposals_of(mask_logits[None]), classes, [targets])

    def test_a_mask_equal_to_its_box_has_no_projection_loss(self):
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
        """Both proposals predict the same class; without the projection in the cost, the surer one is matched."""
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

    def test_padding_counts_as_outside_of_the_mask(self):
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
        torch.testing.assert_close(mask.grad[0], untouched)  # at 0 the gradients of both sides cancel
        mask = torch.ones(1, HEIGHT, WIDTH, requires_grad=True)
        self.loss(mask, corner).backward()
        assert (mask.grad[0, :6, :4] != 0).all()  # cells of the box and their dark neighbours at distance two
        assert (mask.grad[0, 6:] == 0).all()
        assert (mask.grad[0, :, 5:] == 0).all()

    def test_the_affinity_is_added_to_the_projection_and_is_off_by_default(self):
        mask = masks_of(TOP_LEFT)
        box = replace(self.BOX, similarity_EHW=torch.ones(8, HEIGHT, WIDTH))
        with_it, without = (
            losses_of(criterion_of(boxes={"affinity_weight": w}), proposals_of(mask[None]), classes_of(0), [box])
            for w in (3.0, 0.0)
        )
        assert with_it.pop("loss_affinity") > 0
        assert with_it == without

    def test_chunks_of_boxes_give_the_loss_of_all_boxes(self, monkeypatch):
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

    def test_without_boxes_the_affinity_is_zero(self):
        assert self.loss(masks_of(LEFT), boxes(SIZE, [], [])) == 0
