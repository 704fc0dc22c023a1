"""Post-processors write the fields that mmdet reads."""

import math

import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.registry import MODELS as MMENGINE_MODELS

from mmdataseg.errors import UserError
from mmdataseg.ops.postprocess import ImageSizes
from mmdataseg.structures import LabelSpace

SPACE = LabelSpace(name="three", classes=("cat", "dog", "sky"), is_thing=(True, True, False))
SIZES = ImageSizes(padded=(8, 12), image=(8, 12), original=(16, 24))
CONFIGS = {
    "panoptic": {"type": "mmdataseg.PanopticPostProcessor", "score_threshold": 0.5, "kept_share": 0.5},
    "semantic": {"type": "mmdataseg.SemanticPostProcessor"},
    "instance": {"type": "mmdataseg.InstancePostProcessor", "max_instances": 5},
}


def build(task: str, **changes):
    return MMENGINE_MODELS.build({**CONFIGS[task], **changes})


@pytest.fixture
def proposals() -> tuple[torch.Tensor, torch.Tensor]:
    """Two dogs left and right above, sky below, and a background proposal; the lower right corner is in no mask."""
    classes = 9 * torch.eye(4)[[1, 1, 2, 3]]
    masks = torch.full((4, 8, 12), -9.0)
    masks[0, :4, :6] = masks[1, :4, 6:] = masks[2, 4:, :9] = masks[3] = 9.0
    return classes, masks


def test_panoptic_ids_hold_class_and_number(proposals):
    segmentation = build("panoptic")(*proposals, SPACE, SIZES)["pred_panoptic_seg"]
    ids = segmentation.sem_seg
    assert ids.shape == (1, 16, 24)
    assert ids.dtype == torch.int64
    corners = [ids[0, y, x].item() for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1))]
    left, right, sky, void = corners
    assert sorted((left, right)) == [1001, 2001]  # two of class 1
    assert sky == 3002
    assert void == 0
    assert set(ids.unique().tolist()) == set(corners)
    assert segmentation.label_names == ["cat", "dog", "sky"]
    assert segmentation.ignore_index == 0
    sure = math.exp(9) / (math.exp(9) + 3)  # logits 9, 0, 0, 0
    assert segmentation.scores == pytest.approx([sure] * 3)


def test_no_id_is_void_even_of_the_first_class(proposals):
    classes = 9 * torch.eye(4)[[0, 3, 3, 3]]
    ids = build("panoptic")(classes, proposals[1], SPACE, SIZES)["pred_panoptic_seg"].sem_seg
    assert ids.unique().tolist() == [0, 1000]


def test_more_classes_than_ids_can_hold_are_refused(proposals):
    many = LabelSpace(name="many", classes=[f"c{i}" for i in range(1001)], is_thing=[True] * 1001)
    with pytest.raises(ValueError, match="label space 'many': panoptic ids tell 1000 classes apart, it has 1001"):
        build("panoptic")(torch.zeros(4, 1002), proposals[1], many, SIZES)


def test_semantic_has_a_class_everywhere(proposals):
    segmentation = build("semantic")(*proposals, SPACE, SIZES)["pred_sem_seg"]
    assert segmentation.sem_seg.shape == (1, 16, 24)
    assert segmentation.sem_seg[0, 0].unique().tolist() == [1]
    assert segmentation.sem_seg[0, -1, :16].unique().tolist() == [2]
    assert segmentation.label_names == ["cat", "dog", "sky"]


def test_the_semantic_merge_can_be_chosen():
    # one pixel: two dogs of .4 x .9 beat a cat of .6 x .9 together, but not separately
    classes = torch.tensor([[0.6, 0.1, 0.1, 0.2], [0.1, 0.4, 0.1, 0.4], [0.1, 0.4, 0.1, 0.4]]).log()
    masks, sizes = torch.full((3, 1, 1), 2.2), ImageSizes((1, 1), (1, 1), (1, 1))
    read = {m: build("semantic", merge=m)(classes, masks, SPACE, sizes)["pred_sem_seg"] for m in ("probability", "max")}
    assert {merge: segmentation.sem_seg.item() for merge, segmentation in read.items()} == {"probability": 1, "max": 0}


def test_instances_of_things_with_the_boxes_of_their_masks(proposals):
    found = build("instance", max_instances=2)(*proposals, SPACE, SIZES)["pred_instances"]
    assert found.labels.tolist() == [1, 1]
    assert found.masks.shape == (2, 16, 24)
    assert found.masks.dtype == torch.bool
    assert sorted(found.bboxes.tolist()) == [[0, 0, 12, 8], [12, 0, 24, 8]]
    assert (found.scores > 0.95).all()
    assert len(build("instance", max_instances=1)(*proposals, SPACE, SIZES)["pred_instances"]) == 1


def test_without_remaining_proposals_answers_are_empty_or_void():
    classes, masks = 9 * torch.eye(4)[[3, 3]], torch.full((2, 8, 12), -9.0)
    assert (build("panoptic")(classes, masks, SPACE, SIZES)["pred_panoptic_seg"].sem_seg == 0).all()
    found = build("instance")(classes, masks, SPACE, SIZES)["pred_instances"]
    assert len(found) == 0
    assert found.bboxes.shape == (0, 4)
    assert found.masks.shape == (0, 16, 24)


@pytest.mark.parametrize("task", CONFIGS)
def test_proposals_with_gradients_give_the_same_answer(task, proposals):
    """`model.test_step` outside of mmengine's test loop records gradients."""
    with_gradients = [logits.clone().requires_grad_() for logits in proposals]
    (expected,), (got,) = (build(task)(*logits, SPACE, SIZES).values() for logits in (proposals, with_gradients))
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        assert torch.equal(torch.as_tensor(getattr(got, name)), torch.as_tensor(value)), name


def test_an_unknown_semantic_merge_is_refused():
    with pytest.raises(UserError, match=r"merge to be one of \('max', 'probability'\), got 'mean'"):
        build("semantic", merge="mean")


@pytest.mark.parametrize("task", list(CONFIGS))
def test_mmdets_visualiser_draws_the_answer(task, proposals, tmp_path):
    sample = DetDataSample()
    for field, value in build(task)(*proposals, SPACE, SIZES).items():
        setattr(sample, field, value)
    visualizer = DetLocalVisualizer(save_dir=str(tmp_path))
    visualizer.dataset_meta = {"classes": SPACE.classes, "palette": [(255, 0, 0), (0, 255, 0), (0, 0, 255)]}
    image = torch.full((16, 24, 3), 128, dtype=torch.uint8).numpy()
    visualizer.add_datasample("x", image, sample, draw_gt=False, pred_score_thr=0.1)
    drawn = visualizer.get_image()
    assert drawn.shape == image.shape
    assert (drawn != image).any()
