"""Losses and costs for other OpenMMLab configs, by their registered names."""

import pytest
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.registry import TASK_UTILS as MMDET_TASK_UTILS
from mmengine.structures import InstanceData

SURE = 20.0
BOXES = torch.tensor([[0.0, 0.0, 8.0, 8.0], [8.0, 8.0, 16.0, 16.0]])


@pytest.fixture
def masks() -> torch.Tensor:
    """Three masks on 4 x 4 cells: the second box, nothing, the first box."""
    logits = torch.full((3, 4, 4), -SURE)
    logits[0, 2:, 2:] = logits[2, :2, :2] = SURE
    return logits


def test_the_loss_can_be_built_by_its_prefix(masks):
    loss = MMDET_MODELS.build({"type": "mmdataseg.BoxProjectionLoss", "loss_weight": 3.0})
    right = loss(masks[[2, 0]], BOXES, stride=4, avg_factor=2)
    wrong = loss(masks[[0, 2]], BOXES, stride=4, avg_factor=2)
    torch.testing.assert_close(right, torch.tensor(0.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(wrong, torch.tensor(3.0 * (2 + 2) / 2))


def test_the_loss_without_pairs_has_a_gradient_of_zero(masks):
    masks = masks.requires_grad_()
    loss = MMDET_MODELS.build({"type": "mmdataseg.BoxProjectionLoss"})(masks[:0], BOXES[:0], stride=4, avg_factor=1)
    loss.backward()
    assert loss == 0
    assert (masks.grad == 0).all()


def test_the_cost_matches_in_mmdets_assigner(masks):
    assigner = MMDET_TASK_UTILS.build(
        {
            "type": "HungarianAssigner",
            "match_costs": [
                {"type": "ClassificationCost", "weight": 1.0},
                {"type": "mmdataseg.BoxProjectionCost", "weight": 5.0, "stride": 4},
            ],
        }
    )
    scores = torch.zeros(3, 3)
    scores[1, 0] = 1.0  # the empty mask is a little surer of the class, but the projection has more weight
    predicted = InstanceData(masks=masks, scores=scores)
    truth = InstanceData(bboxes=BOXES, labels=torch.tensor([0, 1]))
    assigned = assigner.assign(predicted, truth, img_meta={})
    assert assigned.gt_inds.tolist() == [2, 0, 1]  # 1 + the box, 0 for background
    assert assigned.labels.tolist() == [1, -1, 0]


def test_the_cost_is_the_loss_of_every_pair(masks):
    cost = MMDET_TASK_UTILS.build({"type": "mmdataseg.BoxProjectionCost", "weight": 3.0, "stride": 4})
    loss = MMDET_MODELS.build({"type": "mmdataseg.BoxProjectionLoss", "loss_weight": 3.0})
    matrix = cost(InstanceData(masks=masks), InstanceData(bboxes=BOXES))
    expected = [[loss(m[None], b[None], stride=4, avg_factor=1) for b in BOXES] for m in masks]
    torch.testing.assert_close(matrix, torch.tensor(expected))


def test_bad_input_is_refused(masks):
    loss = MMDET_MODELS.build({"type": "mmdataseg.BoxProjectionLoss"})
    with pytest.raises(ValueError, match="stride: expected a positive number of pixels, got 0"):
        loss(masks[:2], BOXES, stride=0, avg_factor=1)
    with pytest.raises(ValueError, match=r"expected \(\.\.\., N, 4\) xyxy, got shape \(2, 5\)"):
        loss(masks[:2], torch.zeros(2, 5), stride=4, avg_factor=1)
