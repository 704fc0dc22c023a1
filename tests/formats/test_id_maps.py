"""From ids on disk to id maps: small arrays, worked out by hand."""

import numpy as np
import pytest

from mmdataseg.errors import UserError
from mmdataseg.formats.id_maps import label_table, segments_of_label_png, segments_of_panoptic_png


def test_label_table_of_ade():
    table = label_table(256, 150, zero_is_void=True, ignore_index=255)
    assert table[[0, 1, 150, 151, 254, 255]].tolist() == [-1, 0, 149, -2, -2, -1]


def test_label_table_of_labels_as_they_are():
    table = label_table(256, 19, zero_is_void=False, ignore_index=255)
    assert table[[0, 18, 19, 255]].tolist() == [0, 18, -2, -1]


@pytest.mark.parametrize("ignore_index", [-1, 4, None])
def test_an_ignore_index_that_is_no_value_of_the_table_makes_nothing_void(ignore_index):
    assert label_table(4, 4, zero_is_void=False, ignore_index=ignore_index).tolist() == [0, 1, 2, 3]


def test_label_map_comes_last_and_may_lead_to_void():
    table = label_table(8, 2, zero_is_void=True, ignore_index=255, label_map={0: 1, 1: 0, 2: 255, 3: -1})
    assert table.tolist() == [-1, 1, 0, -1, -1, -2, -2, -2]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_segments_of_label_png(dtype):
    table = label_table(256, 4, zero_is_void=True, ignore_index=255)
    segments = segments_of_label_png(np.array([[4, 4, 0], [2, 255, 4]], dtype), table)
    assert segments.id_map.tolist() == [[1, 1, -1], [0, -1, 1]]
    assert segments.id_map.dtype == np.int32
    assert segments.labels.tolist() == [1, 3]
    assert segments.labels.dtype == np.int64
    assert segments.is_crowd.tolist() == [False, False]


def test_segments_of_label_png_all_void():
    segments = segments_of_label_png(
        np.zeros((2, 2), np.uint8), label_table(256, 4, zero_is_void=True, ignore_index=255)
    )
    assert (segments.id_map == -1).all()
    assert len(segments.labels) == 0
    only_void = segments_of_label_png(np.zeros((2, 2), np.uint8), np.full(256, -1, np.int32))
    assert (only_void.id_map == -1).all()


def test_segments_of_label_png_equal_class_by_class_comparison():
    generator = np.random.default_rng(0)
    png = generator.integers(0, 151, (40, 50)).astype(np.uint8)
    segments = segments_of_label_png(png, label_table(256, 150, zero_is_void=True, ignore_index=255))
    for row, label in enumerate(segments.labels):
        assert ((segments.id_map == row) == (png == label + 1)).all()
    assert ((segments.id_map == -1) == (png == 0)).all()


@pytest.mark.parametrize(("value", "dtype"), [(5, np.uint8), (300, np.uint16)])
def test_value_without_class(value, dtype):
    with pytest.raises(ValueError, match=rf"values \[{value}\] have no class"):
        segments_of_label_png(np.full((1, 2), value, dtype), label_table(256, 4, zero_is_void=True, ignore_index=255))


IDS = np.array([[9, 9, 70000, 0], [300, 300, 70001, 4]])
SEGMENTS = {
    "ids": [70000, 9, 300, 4, 70001],
    "labels": [2, 0, 0, 0, 2],
    "is_thing": [False, True, True, True, False],
    "is_crowd": [False, False, False, True, False],
}


@pytest.mark.parametrize(
    ("merge", "id_map", "labels", "is_crowd"),
    [
        ("stuff", [[1, 1, 0, -1], [2, 2, 0, -1]], [2, 0, 0], [False] * 3),
        ("all", [[1, 1, 0, -1], [1, 1, 0, -1]], [2, 0], [False] * 2),
        ("none", [[1, 1, 0, -1], [2, 2, 4, 3]], [2, 0, 0, 0, 2], [False, False, False, True, False]),
    ],
)
def test_segments_of_panoptic_png(merge, id_map, labels, is_crowd):
    segments = segments_of_panoptic_png(IDS, **SEGMENTS, merge=merge)
    assert segments.id_map.tolist() == id_map
    assert segments.id_map.dtype == np.int32
    assert segments.labels.tolist() == labels
    assert segments.is_crowd.tolist() == is_crowd


def test_segments_of_void_categories_are_void():
    segments = segments_of_panoptic_png(IDS, **SEGMENTS | {"labels": [2, -1, 0, 0, 2]}, merge="stuff")
    assert segments.id_map.tolist() == [[-1, -1, 0, -1], [1, 1, 0, -1]]


def test_no_segment():
    segments = segments_of_panoptic_png(
        np.zeros((2, 3), int), ids=[], labels=[], is_thing=[], is_crowd=[], merge="stuff"
    )
    assert segments.id_map.tolist() == [[-1] * 3] * 2
    assert len(segments.labels) == 0


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({70000: 8}, r"PNG has segment ids \[8\] that are not in the JSON"),
        ({70000: 2**24 - 1}, r"PNG has segment ids \[16777215\] that are not in the JSON"),
        ({4: 300}, r"JSON has segment ids \[4\] that are not in the PNG"),
    ],
)
def test_png_and_json_disagree(change, match):
    ids = IDS.copy()
    for old, new in change.items():
        ids[ids == old] = new
    with pytest.raises(ValueError, match=match):
        segments_of_panoptic_png(ids, **SEGMENTS, merge="stuff")


def test_a_segment_id_of_more_than_64_bits():
    with pytest.raises(UserError, match=r"segment id that cannot be used \('id': .*at most 64 bits, got 1000000000"):
        segments_of_panoptic_png(IDS, **{**SEGMENTS, "ids": [10**30, *SEGMENTS["ids"][1:]]}, merge="stuff")


def test_segment_ids_that_appear_twice():
    with pytest.raises(ValueError, match="the JSON has 9 twice"):
        segments_of_panoptic_png(IDS, **SEGMENTS | {"ids": [70000, 9, 9, 4, 70001]}, merge="stuff")
