"""Which segments cover the same pixels: the same object in two answers, and instances at the same place."""

from collections.abc import Mapping, Sequence

import numpy as np
from pycocotools import mask as coco_mask

from mmdataseg.visualization.drawing import Segment

SAME_OBJECT = 0.3
"""Lowest intersection over union of two segments of one class that are shown as the same object."""
SAME_PLACE = 0.5
"""Intersection over union above which the worse of two instances is not drawn."""


def overlap(first: Sequence[Segment], second: Sequence[Segment]) -> np.ndarray:
    """Intersection over union of each pair of N and M segments, (N, M) float64 in 0 .. 1.

    It is that of their boxes where one of the two has no mask.
    """
    found = np.zeros((len(first), len(second)))
    if not found.size:
        return found
    masks = {id(segment): _rle(segment) for segment in (*first, *second) if segment.mask is not None}
    found[:] = coco_mask.iou(_boxes(first, masks), _boxes(second, masks), [0] * len(second))
    rows = [i for i, segment in enumerate(first) if segment.mask is not None]
    columns = [i for i, segment in enumerate(second) if segment.mask is not None]
    if rows and columns:
        ours, others = [masks[id(first[i])] for i in rows], [masks[id(second[i])] for i in columns]
        found[np.ix_(rows, columns)] = coco_mask.iou(ours, others, [0] * len(columns))
    return found


def same_objects(first: Sequence[Segment], second: Sequence[Segment]) -> dict[int, int]:
    """Pair the segments of one class that overlap by `SAME_OBJECT` or more, those that overlap most first.

    Returns:
        Index in ``first`` -> index in ``second``; each appears at most once.
    """
    iou = overlap(first, second)
    pairs: dict[int, int] = {}
    for place in np.argsort(-iou, axis=None, kind="stable"):
        one, other = (int(index) for index in np.unravel_index(place, iou.shape))
        if iou[one, other] < SAME_OBJECT:
            break
        if first[one].label == second[other].label and one not in pairs and other not in pairs.values():
            pairs[one] = other
    return pairs


def best_at_each_place(segments: Sequence[Segment]) -> list[Segment]:
    """Leave out segments that overlap a better one, of any class, by more than `SAME_PLACE`.

    The best segment is the last one. The order is kept.
    """
    iou = overlap(segments, segments)
    kept: list[int] = []
    for index in reversed(range(len(segments))):
        if not any(iou[index, better] > SAME_PLACE for better in kept):
            kept.append(index)
    return [segments[index] for index in sorted(kept)]


def _rle(segment: Segment) -> dict:
    return coco_mask.encode(np.asfortranarray(np.asarray(segment.mask), dtype=np.uint8))


def _boxes(segments: Sequence[Segment], masks: Mapping[int, dict]) -> np.ndarray:
    """(N, 4) x, y, width, height."""
    rows = []
    for segment in segments:
        if segment.mask is not None:
            rows.append(coco_mask.toBbox(masks[id(segment)]))
        else:
            x1, y1, x2, y2 = segment.box
            rows.append(np.array([x1, y1, x2 - x1, y2 - y1], float))
    return np.stack(rows)
