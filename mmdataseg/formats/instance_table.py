"""The annotations of an instance dataset as columns: 2 million images and 30 million boxes in about a gigabyte.

Python objects take ten to fifty times the memory of the numbers they hold, and each data loader worker would copy them.
Columns are plain arrays, sorted by image. A cached table is memory-mapped, so a start takes seconds and workers share
the pages.
"""

import json
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

# A file is probably in xyxy if it has this many boxes, this share of them is outside the image as xywh, and this share
# is inside it as xyxy.
_MANY, _OUTSIDE, _CORNERS = 5, 0.2, 0.95

COUNTS = (
    "void",  # boxes in the file left out because their category is void
    "clipped",  # of the N boxes: clipped to their image
    "bad",  # other boxes in the file dropped as bad
    "crowd",  # of the N boxes: crowd regions
    "images_without_box",
    "outside",  # boxes in the file that extend beyond their image by more than a pixel
    "corners",  # boxes in the file that are inside their image if read as xyxy
    "fractions",  # boxes in the file within 0 .. 1 with an extent
    "repeated_ids",  # annotations in the file whose id is not unique
    "flat",  # of the N boxes: of width or height 0
)
"""Names of the counts of an `InstanceTable`, in their order."""


@dataclass(frozen=True)
class InstanceTable:
    """I images and N boxes. Image i has the boxes from ``box_offsets[i]`` up to ``box_offsets[i + 1]``.

    Args:
        image_ids: (I,) int64.
        sizes: (I, 2) int32, height and width in pixels.
        names: Concatenated UTF-8 file names, uint8.
        name_offsets: (I + 1,) int64.
        box_offsets: (I + 1,) int64.
        boxes: (N, 4) float32, xyxy pixels, clipped to the image. With masks, some may have width or height 0.
        labels: (N,) int32.
        is_crowd: (N,) bool, crowd regions and annotations with ``ignore``.
        masks: Concatenated JSON of each ``segmentation``, uint8; empty without ``with_masks``.
        mask_offsets: (N + 1,) int64; empty without ``with_masks``.
        rows: (J,) int32, the images that are used: all but those in ``leave_out``.
        counts: (10,) int64, in the order of `COUNTS`; `count` returns one of them.
    """

    image_ids: np.ndarray
    sizes: np.ndarray
    names: np.ndarray
    name_offsets: np.ndarray
    box_offsets: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    is_crowd: np.ndarray
    masks: np.ndarray
    mask_offsets: np.ndarray
    rows: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.image_ids)

    def name(self, image: int) -> str:
        """Return the file name of an image, as in the JSON or shortened by ``path_parts``."""
        return self.names[self.name_offsets[image] : self.name_offsets[image + 1]].tobytes().decode()

    def instances(self, image: int) -> list[dict[str, Any]]:
        """Return the image's instances with mmdet's keys: ``bbox``, ``bbox_label``, ``ignore_flag`` and, with masks,
        ``mask``."""
        start, stop = int(self.box_offsets[image]), int(self.box_offsets[image + 1])
        found: list[dict[str, Any]] = [
            {"bbox": box, "bbox_label": label, "ignore_flag": int(crowd)}
            for box, label, crowd in zip(
                self.boxes[start:stop].tolist(),
                self.labels[start:stop].tolist(),
                self.is_crowd[start:stop].tolist(),
                strict=True,
            )
        ]
        if len(self.mask_offsets):
            for row, instance in enumerate(found, start):
                text = self.masks[self.mask_offsets[row] : self.mask_offsets[row + 1]].tobytes()
                instance["mask"] = json.loads(text)
        return found

    def count(self, name: str) -> int:
        """Return the count of this name in `COUNTS`."""
        return int(self.counts[COUNTS.index(name)])

    def summary(self) -> str:
        """Return one line of counts for the log."""
        flat = self.count("flat")
        by_mask = f", {flat} without extent, of which only the mask is used" if flat else ""
        return (
            f"{len(self)} images ({self.count('images_without_box')} without box, {len(self) - len(self.rows)} left "
            f"out by leave_out), {len(self.boxes)} boxes ({self.count('crowd')} crowd, {self.count('clipped')} clipped "
            f"to their image{by_mask}; left out: {self.count('void')} void by label_map, {self.count('bad')} bad)"
        )

    @property
    def _num_boxes_in_file(self) -> int:
        return len(self.boxes) + self.count("void") + self.count("bad")

    @property
    def num_targets(self) -> int:
        """Number of objects that training uses: all but crowd regions. It is 0 without masks if every box is within
        0 .. 1."""
        no_box_has_a_pixel = self._only_fractions and not len(self.mask_offsets)
        return 0 if no_box_has_a_pixel else len(self.boxes) - self.count("crowd")

    @property
    def _only_fractions(self) -> bool:
        """Whether each box in the file is within 0 .. 1."""
        return 0 < self.count("fractions") == self._num_boxes_in_file

    @property
    def suspicions(self) -> list[str]:
        """Probable mistakes in the boxes as a whole, although each box can be read."""
        total, crowd = self._num_boxes_in_file, self.count("crowd")
        outside, corners = self.count("outside"), self.count("corners")
        found = []
        if total >= _MANY and outside >= _OUTSIDE * total and corners >= _CORNERS * total:
            found.append(
                f"{outside} of {total} boxes extend beyond their image as x, y, width, height (COCO's order), and "
                f"{corners} are inside it as x1, y1, x2, y2; if they are corners, write x2 - x1 and y2 - y1 instead"
            )
        if self._only_fractions:
            found.append(
                f"all {total} boxes are within 0 .. 1, so each is smaller than a pixel; if they are fractions of the "
                "image, multiply them by its width and height"
            )
        if crowd and crowd == len(self.boxes):
            found.append(
                f"all {crowd} annotations are crowd regions (iscrowd 1), which training leaves out; some exporters "
                "write this for every mask: set iscrowd to 0 for single objects"
            )
        return found

    @property
    def repeated_ids(self) -> int:
        """Number of annotations whose id an earlier one has. They are kept here, but another tool may keep one per
        id."""
        return self.count("repeated_ids")

    @classmethod
    def columns(cls) -> list[str]:
        return [f.name for f in fields(cls)]
