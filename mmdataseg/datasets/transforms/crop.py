"""A random crop that shows a target if the image has one."""

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.mask import BitmapMasks

from mmdataseg.datasets.transforms.boxes import large_enough
from mmdataseg.errors import UserError
from mmdataseg.registry import TRANSFORMS

ATTEMPTS = 10  # as many as mmseg's RandomCrop makes


@TRANSFORMS.register_module()
class RandomCrop(BaseTransform):
    """Crop image, id map, boxes and bitmaps together, to at most the given size.

    Up to ten crops are drawn until one shows a target. If none does, the crop is placed around a target chosen at
    random. So a sample has no target only if its image has none. Boxes are clipped. A box of which nothing is left is
    dropped with its label, flag and bitmap. Other annotations, such as points, are not moved. An image smaller than
    the crop keeps its size; the data preprocessor pads.

    Args:
        size: (height, width) of the crop in pixels.
        max_class_share: Largest share of the labelled pixels of the crop that one class may have (mmseg's
            ``cat_max_ratio``, for id maps). It is ignored if none of ten crops meets it. 1: no limit.

    Raises:
        UserError: A size is below 1, or the share is outside (0, 1].
    """

    def __init__(self, *, size: tuple[int, int], max_class_share: float = 1.0) -> None:
        if len(size) != 2 or min(size) < 1:
            raise UserError(f"RandomCrop: expected size=(height, width) of positive integers, got {size}")
        if not 0 < max_class_share <= 1:
            raise UserError(f"RandomCrop: expected max_class_share in (0, 1], got {max_class_share}")
        self.size = (int(size[0]), int(size[1]))
        self.max_class_share = max_class_share

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop the sample.

        Returns:
            The sample with ``img``, ``img_shape`` and, if present, ``gt_seg_map``, ``gt_bboxes``,
            ``gt_bboxes_labels``, ``gt_ignore_flags`` and ``gt_masks`` cropped.
        """
        height, width = results["img"].shape[:2]
        size = (min(self.size[0], height), min(self.size[1], width))
        if size == (height, width):
            return results
        window = self._choose(results, height, width, size)
        results["img"] = results["img"][window]
        results["img_shape"] = size
        if results.get("gt_seg_map") is not None:
            results["gt_seg_map"] = results["gt_seg_map"][window]
        if results.get("gt_bboxes") is not None:
            self._crop_rows(results, window, size)
        return results

    def _choose(self, results: dict[str, Any], height: int, width: int, size: tuple[int, int]) -> tuple[slice, slice]:
        """Return the window of the crop: its rows and columns."""
        fallback = None
        for _ in range(ATTEMPTS):
            top = np.random.randint(0, height - size[0] + 1)
            left = np.random.randint(0, width - size[1] + 1)
            window = (slice(top, top + size[0]), slice(left, left + size[1]))
            if not _shows_target(results, window):
                continue
            if (
                self.max_class_share == 1
                or "gt_segment_labels" not in results
                or _class_share(results, window) <= self.max_class_share
            ):
                return window
            fallback = window
        if fallback is not None:
            return fallback
        around = _around_a_target(results, size)
        return window if around is None else around

    @staticmethod
    def _crop_rows(results: dict[str, Any], window: tuple[slice, slice], size: tuple[int, int]) -> None:
        """Move the boxes into the window, and drop the boxes of which nothing is left."""
        keep = _visible(results, window)
        top, left = window[0].start, window[1].start
        boxes = results["gt_bboxes"]
        boxes.translate_([-left, -top])
        boxes.clip_(size)
        results["gt_bboxes"] = boxes[keep]
        if results.get("gt_masks") is not None:
            bitmaps = results["gt_masks"].masks[:, window[0], window[1]][keep]  # copies only the window
            results["gt_masks"] = BitmapMasks(bitmaps, *size)
        for key in ("gt_bboxes_labels", "gt_ignore_flags", "gt_segment_is_crowd"):
            if key in results:
                results[key] = results[key][keep]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, max_class_share={self.max_class_share})"


def _visible(results: dict[str, Any], window: tuple[slice, slice]) -> np.ndarray:
    """Return (N,) bool, whether the window shows each row: a pixel of its bitmap or, without bitmaps, enough of its
    box."""
    if results.get("gt_masks") is not None:
        return results["gt_masks"].masks[:, window[0], window[1]].any(axis=(1, 2))
    boxes = results["gt_bboxes"].tensor.numpy().copy()
    boxes[:, 0::2] = boxes[:, 0::2].clip(window[1].start, window[1].stop)
    boxes[:, 1::2] = boxes[:, 1::2].clip(window[0].start, window[0].stop)
    return large_enough(boxes)


def _visible_targets(results: dict[str, Any], window: tuple[slice, slice]) -> np.ndarray:
    """Return `_visible` without the crowd regions, which are not targets."""
    visible = _visible(results, window)
    return visible & ~results["gt_ignore_flags"] if "gt_ignore_flags" in results else visible


def _shows_target(results: dict[str, Any], window: tuple[slice, slice]) -> bool:
    if results.get("gt_bboxes") is not None:
        return bool(_visible_targets(results, window).any())
    if results.get("gt_seg_map") is not None:
        return bool((results["gt_seg_map"][window] >= 0).any())
    return True


def _class_share(results: dict[str, Any], window: tuple[slice, slice]) -> float:
    """Return the share of the most frequent class among the labelled pixels of the window."""
    labels = results["gt_segment_labels"]
    area_of_row = np.bincount(results["gt_seg_map"][window].ravel() + 1, minlength=len(labels) + 1)[1:]
    area_of_class = np.bincount(labels, weights=area_of_row)
    return float(area_of_class.max() / area_of_class.sum())


def _around_a_target(results: dict[str, Any], size: tuple[int, int]) -> tuple[slice, slice] | None:
    """Return a window that shows a random target, or None if the image has no target."""
    image_size = results["img"].shape[:2]
    if results.get("gt_bboxes") is not None:
        targets = np.flatnonzero(_visible_targets(results, (slice(0, image_size[0]), slice(0, image_size[1]))))
    else:
        targets = np.unique(results["gt_seg_map"][results["gt_seg_map"] >= 0])
    if not len(targets):
        return None
    target = np.random.choice(targets)
    if results.get("gt_bboxes") is not None and results.get("gt_masks") is None:
        x1, y1, x2, y2 = results["gt_bboxes"].tensor[target].tolist()
        # In the middle: a window with the box at its edge may show less than a pixel of it.
        starts = [int(c - length / 2) for c, length in zip(((y1 + y2) / 2, (x1 + x2) / 2), size, strict=True)]
    else:
        masks = results.get("gt_masks")
        rows, columns = np.nonzero(results["gt_seg_map"] == target if masks is None else masks.masks[target])
        chosen = np.random.randint(len(rows))
        starts = [
            int(point) - np.random.randint(length)
            for point, length in zip((rows[chosen], columns[chosen]), size, strict=True)
        ]
    starts = [min(max(s, 0), total - length) for s, total, length in zip(starts, image_size, size, strict=True)]
    return (slice(starts[0], starts[0] + size[0]), slice(starts[1], starts[1] + size[1]))
