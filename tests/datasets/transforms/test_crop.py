"""The random crop."""

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks

from mmdataseg.datasets import RandomCrop


@pytest.fixture(autouse=True)
def _seed():
    np.random.seed(0)


@pytest.fixture
def one_attempt(monkeypatch):
    """Most crops are then placed around a target."""
    monkeypatch.setattr("mmdataseg.datasets.transforms.crop.ATTEMPTS", 1)


@pytest.fixture
def many_attempts(monkeypatch):
    monkeypatch.setattr("mmdataseg.datasets.transforms.crop.ATTEMPTS", 100)


def image(height, width):
    """Each pixel knows where it is."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, rows * 0], axis=-1).astype(np.uint8)


def with_id_map(id_map, labels):
    id_map = np.asarray(id_map, np.int32)
    return {
        "img": image(*id_map.shape),
        "img_shape": id_map.shape,
        "gt_seg_map": id_map,
        "gt_segment_labels": np.asarray(labels, np.int64),
    }


def with_boxes(size, boxes, crowd=None):
    return {
        "img": image(*size),
        "img_shape": size,
        "gt_bboxes": HorizontalBoxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)),
        "gt_bboxes_labels": np.arange(len(boxes)),
        "gt_ignore_flags": np.zeros(len(boxes), bool) if crowd is None else np.array(crowd),
    }


def test_image_and_id_map_move_together():
    id_map = np.arange(30 * 40).reshape(30, 40)
    for _ in range(20):
        results = RandomCrop(size=(7, 9))(with_id_map(id_map, np.zeros(1200)))
        assert results["img"].shape == (7, 9, 3)
        assert results["img_shape"] == (7, 9)
        rows, columns = results["img"][..., 0].astype(int), results["img"][..., 1].astype(int)
        assert (results["gt_seg_map"] == id_map[rows, columns]).all()


def test_every_place_is_possible():
    corners = {tuple(RandomCrop(size=(2, 2))(with_id_map(np.zeros((4, 4)), [0]))["img"][0, 0, :2]) for _ in range(300)}
    assert corners == {(r, c) for r in range(3) for c in range(3)}


@pytest.mark.parametrize(("size", "expected"), [((50, 50), (20, 30)), ((8, 50), (8, 30)), ((50, 8), (20, 8))])
def test_an_image_smaller_than_the_crop_stays(size, expected):
    results = RandomCrop(size=size)(with_id_map(np.zeros((20, 30)), [0]))
    assert results["img"].shape[:2] == results["gt_seg_map"].shape == results["img_shape"] == expected


@pytest.mark.usefixtures("one_attempt")
def test_a_single_target_pixel_is_always_shown():
    places = set()
    for _ in range(50):
        id_map = np.full((100, 100), -1)
        id_map[97, 3] = 0
        results = RandomCrop(size=(10, 10))(with_id_map(id_map, [0]))
        assert (results["gt_seg_map"] == 0).sum() == 1
        places.add(tuple(np.argwhere(results["gt_seg_map"] == 0)[0]))
    assert len(places) > 5  # the target is not always at the same place of the crop


def test_without_a_target_any_crop_is_taken():
    results = RandomCrop(size=(3, 3))(with_id_map(np.full((9, 9), -1), []))
    assert results["gt_seg_map"].tolist() == [[-1] * 3] * 3
    results = RandomCrop(size=(3, 3))(with_boxes((9, 9), []))
    assert len(results["gt_bboxes"]) == 0
    assert RandomCrop(size=(3, 3))({"img": image(9, 9)})["img"].shape == (3, 3, 3)


def test_boxes_are_moved_clipped_and_dropped_with_their_labels(monkeypatch):
    monkeypatch.setattr(np.random, "randint", lambda *_: 10)
    boxes = [[8, 8, 14, 13], [12, 12, 15, 16], [0, 0, 10.5, 20], [19, 19, 25, 25], [30, 30, 40, 40]]
    results = RandomCrop(size=(10, 10))(with_boxes((50, 50), boxes, [False, True, False, False, False]))
    assert results["gt_bboxes"].tensor.tolist() == [[0, 0, 4, 3], [2, 2, 5, 6], [9, 9, 10, 10]]
    assert results["gt_bboxes_labels"].tolist() == [0, 1, 3]
    assert results["gt_ignore_flags"].tolist() == [False, True, False]


@pytest.mark.usefixtures("one_attempt")
@pytest.mark.parametrize("box", [[90, 2, 91, 3.2], [0, 0, 1, 1], [99, 99, 100, 100], [40.4, 40.6, 41.5, 41.7]])
def test_a_single_box_is_always_shown(box):
    for _ in range(30):
        results = RandomCrop(size=(10, 10))(with_boxes((100, 100), [box]))
        assert len(results["gt_bboxes"]) == 1


@pytest.mark.usefixtures("one_attempt")
def test_a_crowd_region_is_not_a_target():
    for _ in range(30):
        data = with_boxes((100, 100), [[90, 90, 95, 95], [0, 0, 60, 60]], crowd=[False, True])
        assert 0 in RandomCrop(size=(10, 10))(data)["gt_bboxes_labels"]


@pytest.mark.usefixtures("one_attempt")
def test_bitmaps_decide_what_is_left():
    for _ in range(30):
        data = with_boxes((60, 60), [[0, 0, 60, 60], [0, 0, 60, 60]])
        masks = np.zeros((2, 60, 60), np.uint8)
        masks[0, 50:55, 50:55] = 1  # much smaller than its box
        masks[1, :30, :30] = 1
        data |= {"gt_masks": BitmapMasks(masks, 60, 60), "gt_seg_map": np.zeros((60, 60), np.int32)}
        results = RandomCrop(size=(8, 8))(data)
        rows, columns = results["img"][..., 0].astype(int), results["img"][..., 1].astype(int)
        expected = [label for label in (0, 1) if masks[label][rows, columns].any()]
        assert results["gt_bboxes_labels"].tolist() == expected != []
        assert (results["gt_masks"].masks == masks[expected][:, rows, columns]).all()
        assert results["gt_masks"].masks.shape[1:] == results["gt_seg_map"].shape == (8, 8)
        assert (results["gt_masks"].height, results["gt_masks"].width) == (8, 8)


@pytest.mark.usefixtures("many_attempts")
def test_max_class_share():
    """Sky everywhere but in a column: a crop of at most 75 % sky is found where one is tried for."""
    id_map = np.zeros((20, 200))
    id_map[:, 90:100] = 1

    def shares(**kwargs):
        maps = [RandomCrop(size=(20, 20), **kwargs)(with_id_map(id_map, [5, 2]))["gt_seg_map"] for _ in range(100)]
        return np.array([(m == 0).mean() for m in maps])

    assert (shares() > 0.75).mean() > 0.6
    assert (shares(max_class_share=0.75) <= 0.75).mean() > 0.95


@pytest.mark.usefixtures("many_attempts")
def test_max_class_share_counts_classes_and_not_rows():
    id_map = np.arange(400).reshape(20, 20) % 2
    id_map[:, 10:] = 2
    for _ in range(20):
        results = RandomCrop(size=(5, 5), max_class_share=0.9)(with_id_map(id_map, [4, 4, 1]))
        assert 0.1 <= (results["gt_seg_map"] == 2).mean() <= 0.9


def test_max_class_share_that_cannot_be_met_does_not_hang():
    results = RandomCrop(size=(5, 5), max_class_share=0.5)(with_id_map(np.zeros((20, 20)), [3]))
    assert results["gt_seg_map"].shape == (5, 5)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"size": (0, 5)}, r"expected size=\(height, width\) of positive integers, got \(0, 5\)"),
        ({"size": (5,)}, r"expected size=\(height, width\)"),
        ({"size": (5, 5), "max_class_share": 0.0}, r"expected max_class_share in \(0, 1\], got 0.0"),
        ({"size": (5, 5), "max_class_share": 1.5}, r"expected max_class_share in \(0, 1\], got 1.5"),
    ],
)
def test_bad_arguments(kwargs, match):
    with pytest.raises(ValueError, match=match):
        RandomCrop(**kwargs)
