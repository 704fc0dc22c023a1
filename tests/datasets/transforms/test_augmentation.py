"""mmcv's and mmdet's transforms move image, id map, boxes and bitmaps of our loaders together."""

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

SIZE = (90, 120)
# rows: top, left, bottom, right; in colours that survive resizing
RECTANGLES = [(10, 15, 50, 40), (20, 70, 85, 110), (60, 5, 80, 55)]


@pytest.fixture(autouse=True)
def _scope():
    np.random.seed(1)
    with DefaultScope.overwrite_default_scope("mmdet"):
        yield


def sample(kind):
    image = np.zeros((*SIZE, 3), np.uint8)
    id_map = np.full(SIZE, -1, np.int32)
    masks = np.zeros((3, *SIZE), np.uint8)
    for row, (top, left, bottom, right) in enumerate(RECTANGLES):
        image[top:bottom, left:right] = 80 * (row + 1)
        id_map[top:bottom, left:right] = row
        masks[row, top:bottom, left:right] = 1
    results = {"img": image, "img_shape": SIZE, "ori_shape": SIZE, "img_path": "x.jpg"}
    if kind == "id map":
        return results | {"gt_seg_map": id_map, "gt_segment_labels": np.array([4, 5, 6]), "seg_fields": ["gt_seg_map"]}
    boxes = torch.tensor([[left, top, right, bottom] for top, left, bottom, right in RECTANGLES], dtype=torch.float32)
    results |= {
        "gt_bboxes": HorizontalBoxes(boxes),
        "gt_bboxes_labels": np.array([4, 5, 6]),
        "gt_ignore_flags": np.zeros(3, bool),
    }
    if kind == "masks":
        results |= {
            "gt_masks": BitmapMasks(masks, *SIZE),
            "gt_seg_map": np.where(id_map == 1, np.int32(-1), np.int32(0)),
        }
    return results


def pipeline(colour=False):
    return Compose(
        [
            {
                "type": "RandomResize",
                "resize_type": "mmdet.Resize",
                "scale": SIZE[::-1],
                "ratio_range": (0.5, 2.0),
                "keep_ratio": True,
            },
            {"type": "mmdataseg.RandomCrop", "size": (64, 64)},
            {"type": "mmdet.RandomFlip", "prob": 0.5},
            *([{"type": "mmdet.PhotoMetricDistortion"}] if colour else []),
            {"type": "mmdataseg.PackInputs"},
        ]
    )


def run(kind, seed, **kwargs):
    np.random.seed(seed)
    packed = pipeline(**kwargs)(sample(kind))
    return packed["inputs"].numpy(), packed["data_samples"]


def tight_box(mask):
    rows, columns = np.nonzero(mask)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


@pytest.mark.parametrize("seed", range(25))
def test_id_map_boxes_and_bitmaps_move_with_the_image(seed):
    """The same draw moves all: box, tight box of the moved id map, bitmap, and the grey of the image."""
    inputs, by_id = run("id map", seed)
    _, by_box = run("boxes", seed)
    _, by_mask = run("masks", seed)
    for sample_ in (by_box, by_mask):
        assert sample_.flip == by_id.flip
        assert sample_.scale_factor == by_id.scale_factor
    id_map = by_id.gt_id_map.data[0].numpy()
    assert id_map.shape == inputs.shape[1:] == by_id.img_shape
    assert len(by_box.gt_instances) >= 1
    shown = 0
    for label, box in zip(by_box.gt_instances.labels.tolist(), by_box.gt_instances.bboxes.numpy(), strict=True):
        rows = (by_id.gt_instances.labels == label).nonzero().flatten().tolist()
        if not rows:  # a box of about a pixel may have no pixel's centre in it
            assert (box[2:] - box[:2]).min() < 2
            continue
        moved = id_map == rows[0]
        shown += 1
        assert np.abs(tight_box(moved) - box).max() <= 1.5
        inner = cv2.erode(moved.astype(np.uint8), np.ones((5, 5)), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
        grey = inputs[0][inner]
        assert (grey == 80 * (label - 3)).all()
        if label in by_mask.gt_instances.labels.tolist():
            mask = by_mask.gt_instances.masks[by_mask.gt_instances.labels.tolist().index(label)].numpy()
            assert (mask != moved).mean() < 0.05
    assert shown >= 1 or len(by_id.gt_instances) == 0
    void = by_mask.gt_void.data[0].numpy()
    is_five = id_map == by_id.gt_instances.labels.tolist().index(5) if 5 in by_id.gt_instances.labels else id_map > 99
    assert (void == is_five).all()


def test_both_flips_and_several_scales_were_drawn():
    seen = [run("id map", seed)[1] for seed in range(25)]
    assert {s.flip for s in seen} == {True, False}
    assert len({s.scale_factor for s in seen}) > 5


def test_colour_moves_nothing_and_ends_as_bytes():
    plain, coloured = run("id map", 3), run("id map", 3, colour=True)
    assert coloured[0].dtype == np.uint8
    assert (coloured[0] != plain[0]).any()
    assert (coloured[1].gt_id_map.data == plain[1].gt_id_map.data).all()


@pytest.mark.parametrize("size", [(37, 61), (200, 123)])
def test_resizing_keeps_ids(size):
    """Nearest on int32, -1 and ids over 255 included: no id is invented."""
    id_map = np.random.default_rng(0).integers(-1, 70000, (40, 50)).astype(np.int32)
    results = {"img": np.zeros((40, 50, 3), np.uint8), "gt_seg_map": id_map}
    moved = Compose([{"type": "mmdet.Resize", "scale": size, "keep_ratio": False}])(results)["gt_seg_map"]
    assert moved.dtype == np.int32
    assert moved.shape == size[::-1]
    assert np.isin(moved, id_map).all()
    rows = np.minimum(np.arange(size[1]) * 40 // size[1], 39)
    columns = np.minimum(np.arange(size[0]) * 50 // size[0], 49)
    assert (moved == id_map[rows][:, columns]).mean() > 0.99
