"""Masks of COCO instances: polygons and run-length encodings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask


def describe_mask(mask: np.ndarray) -> dict[str, Any]:
    """Describe a bitmap as an annotation of COCO's does.

    Args:
        mask: (H, W) bool.

    Returns:
        ``area`` in pixels, ``bbox`` (x, y, width, height in pixels; zeros if the mask is empty), and ``segmentation``,
        a compressed RLE.
    """
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {
        "area": int(coco_mask.area(rle)),
        "bbox": [int(number) for number in coco_mask.toBbox(rle)],
        "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
    }


def decode_mask(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Bitmap of a COCO ``segmentation``.

    Args:
        segmentation: Polygons (lists of x1, y1, x2, y2, ... pixels), an uncompressed or a compressed RLE.
        height: Of the image.
        width: Of the image.

    Returns:
        (height, width) uint8, 0 or 1.

    Raises:
        ValueError: None of the three forms, a polygon of fewer than three points, or an RLE of another size.
    """
    if isinstance(segmentation, Mapping):
        if "size" not in segmentation or "counts" not in segmentation:
            raise ValueError("its RLE lacks 'size' or 'counts'")
        size = [int(s) for s in segmentation["size"]]
        if size != [height, width]:
            raise ValueError(f"its RLE is {size[0]} x {size[1]} (height x width), the image {height} x {width}")
        rle = dict(segmentation)
        if isinstance(rle["counts"], list):
            if sum(rle["counts"]) != height * width:
                raise ValueError(f"its RLE counts {sum(rle['counts'])} pixels, the image has {height * width}")
            rle = coco_mask.frPyObjects(rle, height, width)
        return coco_mask.decode(rle)
    if not isinstance(segmentation, Sequence) or isinstance(segmentation, str) or not segmentation:
        raise ValueError("expected polygons or RLE as its segmentation")
    for polygon in segmentation:
        if len(polygon) < 6 or len(polygon) % 2 or not np.isfinite(polygon).all():
            raise ValueError(f"a polygon needs three or more finite points x, y; one has {len(polygon)} numbers")
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(list(segmentation), height, width)))
