"""Masks of COCO instances: polygons and run-length encodings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mmdataseg.formats.coco_values import id_column

_LONGEST_RUN = 6  # characters of five bits, so 2^30 pixels
_FARTHEST = 1 << 20  # pixels
_DAMAGED = "the compressed RLE is damaged: "


def describe_mask(mask: np.ndarray) -> dict[str, Any]:
    """Return the fields of a COCO annotation that describe a bitmap.

    Args:
        mask: (H, W) bool.

    Returns:
        ``area`` in pixels, ``bbox`` (x, y, width, height in pixels; zeros if the mask is empty), and ``segmentation``,
        a compressed RLE.
    """
    return _described(coco_mask.encode(np.asfortranarray(mask.astype(np.uint8))))


def describe_window(window: np.ndarray, *, corner: tuple[int, int], size: tuple[int, int]) -> dict[str, Any]:
    """Return what `describe_mask` returns, for a mask of which only a window is given.

    Args:
        window: (h, w) bool, a part of the mask; outside it, the mask has no pixel.
        corner: x, y of the upper left pixel of the window.
        size: (height, width) of the mask.
    """
    (x, y), (height, width) = corner, size
    strip = np.zeros((height, window.shape[1]), np.uint8, order="F")
    strip[y : y + window.shape[0]] = window
    # a run-length encoding goes down the columns: those left and right of the strip lengthen its first and last run
    runs = compressed_runs(coco_mask.encode(strip)["counts"]).tolist() if strip.size else [0]
    if len(runs) % 2 == 0:
        runs.append(0)
    runs[0] += height * x
    runs[-1] += height * (width - x - window.shape[1])
    if not runs[-1] and len(runs) > 1:
        runs.pop()
    rle = coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)
    return _described(rle)


def _described(rle: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "area": int(coco_mask.area(rle)),
        "bbox": [int(number) for number in coco_mask.toBbox(rle)],
        "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
    }


def decode_mask(segmentation: Any, height: int | None, width: int | None) -> np.ndarray:
    """Decode a COCO ``segmentation`` to a bitmap.

    Args:
        segmentation: Polygons (lists of x1, y1, x2, y2, ... pixels), an uncompressed or a compressed RLE.
        height: Height of the image; None: the height of the RLE.
        width: Width of the image; None: the width of the RLE.

    Returns:
        (height, width) uint8, 0 or 1.

    Raises:
        ValueError: `check_segmentation` refuses the segmentation.
    """
    checked = check_segmentation(segmentation, height, width)
    if isinstance(checked, dict):
        listed = isinstance(checked["counts"], list)
        return coco_mask.decode(coco_mask.frPyObjects(checked, height, width) if listed else checked)
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(checked, height, width)))


def check_segmentation(
    segmentation: Any, height: int | None = None, width: int | None = None
) -> dict[str, Any] | list[list[float]]:
    """Check a COCO ``segmentation``, since pycocotools checks nothing.

    Args:
        segmentation: Polygons (lists of x1, y1, x2, y2, ... pixels), or one polygon as a flat list; an uncompressed or
            a compressed RLE.
        height: Height of the image; None: unknown, the size of the RLE is used.
        width: Width of the image; None: unknown.

    Returns:
        The RLE, or a list of polygons.

    Raises:
        ValueError: The segmentation has none of these forms; a polygon has fewer than three points; or an RLE has
            another size than the image, or runs that do not add up to its size.
    """
    if isinstance(segmentation, Mapping):
        return _checked_rle(segmentation, height, width)
    if not isinstance(segmentation, Sequence) or isinstance(segmentation, str | bytes) or not segmentation:
        raise ValueError("expected a segmentation of polygons or RLE")
    flat = not isinstance(segmentation[0], Sequence) or isinstance(segmentation[0], str)
    return [_polygon(points) for points in ([segmentation] if flat else segmentation)]


def compressed_runs(counts: str | bytes) -> np.ndarray:
    """Decode the runs of a compressed RLE: five bits per character; from the third run on, differences.

    Args:
        counts: The ``counts`` of the RLE.

    Returns:
        (R,) int64, run lengths in pixels: off, on, off, ...

    Raises:
        ValueError: A character is not valid; the text ends within a number; or a run is negative or too long.
    """
    text = counts.encode("latin-1", "replace") if isinstance(counts, str) else bytes(counts)
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if not len(codes):
        raise ValueError(_DAMAGED + "it is empty")
    if codes.min() < 0 or codes.max() > 63:
        wrong = int(np.flatnonzero((codes < 0) | (codes > 63))[0])
        raise ValueError(_DAMAGED + f"character {wrong} is {chr(text[wrong])!r}")
    ends = np.flatnonzero(codes < 32)
    if not len(ends) or ends[-1] != len(codes) - 1:
        raise ValueError(_DAMAGED + "it ends within a number")
    lengths = np.diff(ends, prepend=-1)
    if lengths.max() > _LONGEST_RUN:
        raise ValueError(_DAMAGED + "a run is longer than any image")
    starts = ends - lengths + 1
    place = np.arange(len(codes)) - np.repeat(starts, lengths)
    runs = np.add.reduceat((codes & 31) << (5 * place), starts)
    runs -= np.where(codes[ends] & 16, np.int64(1) << (5 * lengths), 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    if runs.min() < 0:
        raise ValueError(_DAMAGED + f"run {int(np.argmin(runs))} has {int(runs.min())} pixels")
    return runs


def _checked_rle(rle: Mapping[str, Any], height: int | None, width: int | None) -> dict[str, Any]:
    if "size" not in rle or "counts" not in rle:
        raise ValueError("the RLE has no 'size' or no 'counts'")
    try:
        size = id_column(rle["size"], "size").tolist()
    except (TypeError, ValueError):
        size = []
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"'size' of the RLE: expected height and width, got {rle['size']!r}")
    if height is not None and size != [height, width]:
        raise ValueError(f"the RLE has {size[0]} x {size[1]} pixels (height x width), the image {height} x {width}")
    counts = rle["counts"]
    if isinstance(counts, str | bytes):
        runs = compressed_runs(counts)
    elif isinstance(counts, Sequence):
        runs = id_column(counts, "counts")
        if len(runs) and runs.min() < 0:
            raise ValueError(f"the RLE has a run of {int(runs.min())} pixels")
        counts = runs.tolist()
    else:
        raise ValueError(f"'counts' of the RLE: expected text or a list, got {type(counts).__name__}")
    pixels = sum(runs.tolist())  # Python integers: a sum of int64 may overflow
    if pixels != size[0] * size[1]:
        raise ValueError(
            f"the runs of the RLE add up to {pixels} pixels, but the image has {size[0] * size[1]}"
            + ("; was a backslash lost when the file was written?" if isinstance(counts, str) else "")
        )
    return {"size": size, "counts": counts}


def _polygon(points: Any) -> list[float]:
    try:
        numbers = np.asarray(points, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"expected a polygon as a list x1, y1, x2, y2, ..., got {str(points)[:80]}") from None
    if numbers.ndim != 1 or len(numbers) < 6 or len(numbers) % 2 or not np.isfinite(numbers).all():
        count = numbers.size
        raise ValueError(f"expected polygons of three or more finite points x, y; got one of {count} numbers")
    if np.abs(numbers).max() > _FARTHEST:  # pycocotools traces each edge pixel by pixel
        raise ValueError(f"a polygon has coordinate {numbers[np.abs(numbers).argmax()]:g}, which is outside any image")
    return numbers.tolist()
