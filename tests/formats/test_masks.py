"""Masks of COCO instances."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmdataseg.formats.masks import compressed_runs, decode_mask, describe_mask, describe_window

SQUARE = np.zeros((4, 6), np.uint8)
SQUARE[1:3, 2:5] = 1


@pytest.mark.parametrize(
    "segmentation",
    [
        [[2, 1, 5, 1, 5, 3, 2, 3]],
        [[2, 1, 4, 1, 4, 3, 2, 3], [3, 1, 5, 1, 5, 3, 3, 3]],
        {"size": [4, 6], "counts": [9, 2, 2, 2, 2, 2, 5]},
        coco_mask.encode(np.asfortranarray(SQUARE)),
    ],
    ids=["polygon", "overlapping polygons", "uncompressed", "compressed"],
)
def test_decode_mask(segmentation):
    assert decode_mask(segmentation, 4, 6).tolist() == SQUARE.tolist()


@pytest.mark.parametrize(
    ("segmentation", "match"),
    [
        ([], "expected a segmentation of polygons or RLE"),
        ("abc", "expected a segmentation of polygons or RLE"),
        (None, "expected a segmentation of polygons or RLE"),
        ([[1, 2, 3, 4]], "three or more finite points x, y; got one of 4 numbers"),
        ([[1, 2, 3, 4, 5, 6, 7]], "got one of 7 numbers"),
        ([[1, 2, 3, 4, 5, float("nan")]], "finite points"),
        ({"size": [6, 4], "counts": [24]}, "the RLE has 6 x 4 .*, the image 4 x 6"),
        ({"size": [4, 6], "counts": [9, 2]}, "the RLE add up to 11 pixels, but the image has 24"),
        ({"size": [4, 6]}, "no 'size' or no 'counts'"),
    ],
)
def test_a_segmentation_that_is_not_valid_is_refused(segmentation, match):
    with pytest.raises(ValueError, match=match):
        decode_mask(segmentation, 4, 6)


def test_describe_mask_by_hand():
    described = describe_mask(SQUARE.astype(bool))
    assert described["area"] == 6
    assert described["bbox"] == [2, 1, 3, 2]
    assert decode_mask(described["segmentation"], 4, 6).tolist() == SQUARE.tolist()


def test_an_empty_mask_has_an_empty_box():
    described = describe_mask(np.zeros((4, 6), bool))
    assert (described["area"], described["bbox"]) == (0, [0, 0, 0, 0])
    assert not decode_mask(described["segmentation"], 4, 6).any()


def test_compressed_runs_are_those_of_pycocotools():
    rng = np.random.default_rng(0)
    for _ in range(50):
        height, width = rng.integers(1, 60, 2)
        mask = (rng.random((height, width)) < rng.random()).astype(np.uint8)
        mask[: rng.integers(0, height + 1)] = rng.integers(0, 2)  # long runs, too
        encoded = coco_mask.encode(np.asfortranarray(mask))
        runs = compressed_runs(encoded["counts"])
        assert runs.sum() == height * width
        assert np.array_equal(np.repeat(np.arange(len(runs)) % 2, runs), mask.ravel(order="F"))
        assert np.array_equal(compressed_runs(encoded["counts"].decode()), runs)


def test_a_character_lost_from_a_compressed_rle_is_never_decoded():
    mask = np.zeros((48, 64), np.uint8)
    mask[5:30, 7:40] = 1
    mask[20:44, 30:60] = 1
    counts = describe_mask(mask)["segmentation"]["counts"]
    for place in range(len(counts)):
        lost = counts[:place] + counts[place + 1 :]
        with pytest.raises(ValueError, match=r"compressed RLE is damaged|add up to \d+ pixels, but the image has 3072"):
            decode_mask({"size": [48, 64], "counts": lost}, 48, 64)


@pytest.mark.parametrize(
    ("counts", "match"),
    [
        ("", "it is empty"),
        ("zz", "character 0 is 'z'"),
        ("0P", "it ends within a number"),
        ("PPPPPPP0", "a run is longer than any image"),
        ("O", "run 0 has -1 pixels"),
        ("é0", "character 0 is"),
    ],
)
def test_damaged_compressed_rles(counts, match):
    with pytest.raises(ValueError, match=match):
        compressed_runs(counts)


def test_a_flat_polygon_and_numbers_as_text_are_read():
    square = [2, 1, 6, 1, 6, 4, 2, 4]
    expected = decode_mask([square], 10, 20)
    assert expected.sum() == 12
    assert np.array_equal(decode_mask(square, 10, 20), expected)
    assert np.array_equal(decode_mask([[str(x) for x in square]], 10, 20), expected)


@pytest.mark.parametrize("box", [(0, 0, 6, 4), (0, 1, 2, 3), (4, 0, 6, 4), (2, 2, 3, 3), (0, 0, 0, 0), (3, 0, 3, 4)])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_window_is_described_like_the_whole_mask(box, share):
    x1, y1, x2, y2 = box
    window = np.random.default_rng(0).random((y2 - y1, x2 - x1)) < share
    mask = np.zeros((4, 6), bool)
    mask[y1:y2, x1:x2] = window
    assert describe_window(window, corner=(x1, y1), size=(4, 6)) == describe_mask(mask)
