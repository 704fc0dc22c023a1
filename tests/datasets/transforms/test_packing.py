"""Packing: tensors and data samples."""

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks

from mmdataseg.datasets import PackInputs
from mmdataseg.errors import UserError

IMAGE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def pack(**kwargs):
    packed = PackInputs()({"img": IMAGE, "img_path": "a/b.jpg"} | kwargs)
    return packed["inputs"], packed["data_samples"]


def boxes(*rows):
    return HorizontalBoxes(torch.tensor(rows, dtype=torch.float32).reshape(-1, 4))


@pytest.mark.parametrize(
    "img", [IMAGE, IMAGE[:, ::-1][:, ::-1], IMAGE.astype(np.float32) + 0.4], ids=["uint8", "flipped twice", "float"]
)
def test_image(img):
    inputs, _ = pack(img=img)
    assert inputs.dtype == torch.uint8
    assert inputs.is_contiguous()
    assert (inputs.numpy() == IMAGE.transpose(2, 0, 1)).all()


def test_float_image_is_rounded_and_clipped():
    inputs, _ = pack(img=np.array([[[-3.0, 254.6, 300.0]]], np.float32))
    assert inputs.flatten().tolist() == [0, 255, 255]


@pytest.mark.parametrize("img", [IMAGE[..., 0], IMAGE.astype(np.uint16) * 100])
def test_an_image_without_channels_or_of_16_bits_is_refused(img):
    """Values above 255 would all become 255."""
    with pytest.raises(UserError, match=r"'a/b\.jpg': expected an image .* of 8 bits, got shape .*color_type='color'"):
        pack(img=img)


def test_rows_that_are_gone_are_dropped_and_ids_renumbered():
    id_map = np.array([[3, 3, -1], [1, 3, -1]], np.int32)
    _, sample = pack(gt_seg_map=id_map, gt_segment_labels=np.array([7, 8, 9, 5]))
    assert sample.gt_id_map.data.tolist() == [[[1, 1, -1], [0, 1, -1]]]
    assert sample.gt_id_map.data.dtype == torch.int32
    assert sample.gt_instances.labels.tolist() == [8, 5]
    assert sample.gt_instances.labels.dtype == torch.int64
    assert "is_crowd" not in sample.gt_instances


def test_views_become_contiguous():
    id_map = np.zeros((4, 6), np.int32)[::2, ::-2]
    _, sample = pack(gt_seg_map=id_map, gt_segment_labels=np.array([7]))
    assert sample.gt_id_map.data.is_contiguous()


def test_nothing_but_void():
    _, sample = pack(gt_seg_map=np.full((2, 3), -1, np.int32), gt_segment_labels=np.array([7, 8]))
    assert (sample.gt_id_map.data == -1).all()
    assert sample.gt_instances.labels.shape == (0,)


def test_scoring_packs_crowd_flags():
    id_map = np.array([[0, 2]], np.int32)
    _, sample = pack(
        gt_seg_map=id_map, gt_segment_labels=np.array([4, 4, 6]), gt_segment_is_crowd=np.array([False, False, True])
    )
    assert sample.gt_instances.is_crowd.tolist() == [False, True]
    assert sample.gt_id_map.data.tolist() == [[[0, 1]]]


def test_boxes_degenerate_or_crowd_are_dropped():
    _, sample = pack(
        gt_bboxes=boxes([0, 0, 2, 2], [1, 0, 1.5, 2], [0, 1, 3, 1], [0, 0, 3, 2]),
        gt_bboxes_labels=np.array([3, 4, 5, 6]),
        gt_ignore_flags=np.array([False, False, False, True]),
    )
    assert sample.gt_instances.labels.tolist() == [3]
    assert sample.gt_instances.bboxes.tolist() == [[0, 0, 2, 2]]
    assert isinstance(sample.gt_instances.bboxes, torch.Tensor)
    assert sample.gt_instances.bboxes.dtype == torch.float32
    assert "masks" not in sample.gt_instances
    assert "gt_id_map" not in sample


def test_no_box():
    _, sample = pack(gt_bboxes=boxes(), gt_bboxes_labels=np.zeros(0, np.int64), gt_ignore_flags=np.zeros(0, bool))
    assert sample.gt_instances.bboxes.shape == (0, 4)
    assert sample.gt_instances.labels.shape == (0,)


def test_bitmaps_and_void():
    masks = np.zeros((3, 2, 3), np.uint8)
    masks[0, 0, 0] = masks[2] = 1
    arguments = {
        "gt_bboxes": boxes([0, 0, 0.5, 1], [0, 0, 3, 2], [0, 0, 3, 2]),
        "gt_bboxes_labels": np.array([3, 4, 5]),
        "gt_ignore_flags": np.array([False, False, False]),
        "gt_masks": BitmapMasks(masks, 2, 3),
        "gt_seg_map": np.array([[0, 0, -1], [0, 0, 0]], np.int32),
    }
    _, sample = pack(**arguments)
    assert sample.gt_instances.labels.tolist() == [3, 5]
    assert sample.gt_instances.masks.dtype == torch.bool
    assert sample.gt_instances.masks.tolist() == (masks[[0, 2]] == 1).tolist()
    assert sample.gt_void.data.tolist() == [[[False, False, True], [False, False, False]]]
    assert sample.gt_void.data.dtype == torch.bool
    _, scored = pack(**arguments, gt_segment_is_crowd=np.array([False, True, False]))
    assert scored.gt_instances.labels.tolist() == [3, 4, 5]
    assert scored.gt_instances.is_crowd.tolist() == [False, True, False]


def test_metainfo():
    _, sample = pack(
        source="ade", sample_idx=5, img_id=9, ori_shape=(4, 6), img_shape=(2, 3), scale_factor=(0.5, 0.5), flip=True,
        flip_direction="horizontal", height=4,
    )  # fmt: skip
    assert sample.metainfo == {
        "source": "ade",
        "sample_idx": 5,
        "img_path": "a/b.jpg",
        "img_id": 9,
        "ori_shape": (4, 6),
        "img_shape": (2, 3),
        "scale_factor": (0.5, 0.5),
        "flip": True,
        "flip_direction": "horizontal",
    }


def test_metainfo_of_what_was_not_done():
    _, sample = pack()
    assert sample.metainfo == {
        "img_path": "a/b.jpg",
        "img_id": "b",
        "scale_factor": (1.0, 1.0),
        "flip": False,
        "flip_direction": None,
    }
    assert "gt_instances" not in sample
