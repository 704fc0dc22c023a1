"""Masks of COCO instances."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmdataseg.formats.masks import decode_mask, describe_mask

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
        ([], "expected polygons or RLE"),
        ("abc", "expected polygons or RLE"),
        (None, "expected polygons or RLE"),
        ([[1, 2, 3, 4]], "three or more finite points x, y; one has 4 numbers"),
        ([[1, 2, 3, 4, 5, 6, 7]], "one has 7 numbers"),
        ([[1, 2, 3, 4, 5, float("nan")]], "finite points"),
        ({"size": [6, 4], "counts": [24]}, "its RLE is 6 x 4 .*, the image 4 x 6"),
        ({"size": [4, 6], "counts": [9, 2]}, "its RLE counts 11 pixels, the image has 24"),
        ({"size": [4, 6]}, "lacks 'size' or 'counts'"),
    ],
)
def test_mask_that_is_none(segmentation, match):
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
