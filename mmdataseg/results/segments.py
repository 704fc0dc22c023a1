"""One answer about an image, for one task and one vocabulary, as a list of segments.

Frames: masks and boxes are in pixels of the image after the rotation that its EXIF tag asks for.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from mmdet.evaluation import INSTANCE_OFFSET
from mmdet.structures import DetDataSample
from scipy import ndimage

from mmdataseg.formats.masks import describe_mask
from mmdataseg.ops.panoptic_map import read_panoptic_map
from mmdataseg.sources import Source
from mmdataseg.structures import LabelSpace, Task


@dataclass(frozen=True, eq=False, kw_only=True)
class Segment:
    """A segment of an image.

    Args:
        id: 1, 2, ... in the order of the answer's segments.
        name: Word or class name.
        label: Index of the class in the vocabulary, from 0.
        is_thing: Whether the segment is a single object.
        score: 0 .. 1. For an instance: class probability times mask quality. For a panoptic segment: class
            probability. None for a segment of a semantic map, which has no scores.
        area: Area in pixels.
        box: x1, y1, x2, y2 in pixels, tight around the mask; x2 and y2 are exclusive, so x2 - x1 is the width.
        map_HW: (H, W) map that the segment is a part of; all segments of a panoptic or semantic answer share one.
        value: Value of the map at the pixels of the segment.
    """

    id: int
    name: str
    label: int
    is_thing: bool
    score: float | None
    area: int
    box: tuple[int, int, int, int]
    map_HW: np.ndarray = field(repr=False)
    value: int | bool = field(repr=False)

    @property
    def mask(self) -> np.ndarray:
        """The mask, (H, W) bool, computed on each access."""
        return self.map_HW == self.value

    @property
    def rle(self) -> dict[str, Any]:
        """The mask as compressed COCO RLE with ``size`` (height, width) and ``counts``, computed on each access."""
        return describe_mask(self.mask)["segmentation"]

    def __str__(self) -> str:
        score = "" if self.score is None else f" {self.score:.2f}"
        return f"{self.name}{score} ({self.area} pixels)"


@dataclass(frozen=True, eq=False, kw_only=True)
class Answer:
    """The answer for one task and one vocabulary.

    Args:
        source: Source with the task and the label space; nothing else of it is read.
        sample: mmdet's data sample, on the CPU, with the fields that the task's post-processor wrote.
        min_score: Instances with a lower score are left out of the segments, but stay in the sample.
    """

    source: Source
    sample: DetDataSample
    min_score: float = 0.0

    @property
    def task(self) -> Task:
        """The task."""
        return self.source.task

    @property
    def label_space(self) -> LabelSpace:
        """The vocabulary."""
        return self.source.label_space

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The segments. Panoptic segments and instances: highest score first. Semantic: in the order of the classes."""
        if self.task is Task.INSTANCE:
            return self._of_instances()
        map_HW, labels, scores = self._map_and_table()
        areas = np.bincount(map_HW.ravel() + 1, minlength=len(labels) + 1)[1:]
        windows = ndimage.find_objects(map_HW + 1, max_label=len(labels))
        order = [row for row in range(len(labels)) if areas[row]]
        if self.task is Task.PANOPTIC:
            order.sort(key=lambda row: -(scores[row] or 0))
        return tuple(
            self._segment(
                number,
                labels[row],
                scores[row],
                area=int(areas[row]),
                box=(windows[row][1].start, windows[row][0].start, windows[row][1].stop, windows[row][0].stop),
                map_HW=map_HW,
                value=row,
            )
            for number, row in enumerate(order, 1)
        )

    @cached_property
    def id_map(self) -> np.ndarray:
        """The `Segment.id` of each pixel, (H, W) int32; 0 where there is no segment.

        Where instances overlap, the pixel has the id of the one with the highest score.
        """
        ids = np.zeros(self.size, np.int32)
        for segment in reversed(self.segments):
            ids[segment.mask] = segment.id
        return ids

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the image, in pixels."""
        height, width = self.sample.ori_shape[:2]
        return int(height), int(width)

    def _map_and_table(self) -> tuple[np.ndarray, list[int], list[float | None]]:
        """Return (H, W) row numbers, -1 for no segment, and the label and score of each row."""
        if self.task is Task.SEMANTIC:
            labels = list(range(len(self.label_space)))
            return self.sample.pred_sem_seg.sem_seg[0].numpy().astype(np.int32), labels, [None] * len(labels)
        prediction = self.sample.pred_panoptic_seg
        rows_HW, labels_M = read_panoptic_map(
            prediction.sem_seg[0],
            num_classes=len(self.label_space),
            offset=INSTANCE_OFFSET,
            ignore_index=prediction.get("ignore_index"),
        )
        labels = labels_M.tolist()
        scores = prediction.get("scores") or [None] * len(labels)
        return rows_HW.numpy().astype(np.int32), labels, list(scores)

    def _of_instances(self) -> tuple[Segment, ...]:
        found = self.sample.pred_instances
        found = found[found.scores >= self.min_score]
        boxes = found.bboxes.round().int().tolist()
        pairs = zip(found.labels.tolist(), found.scores.tolist(), boxes, found.masks.numpy(), strict=True)
        return tuple(
            self._segment(number, label, score, area=int(mask.sum()), box=tuple(box), map_HW=mask, value=True)
            for number, (label, score, box, mask) in enumerate(pairs, 1)
        )

    def _segment(self, number: int, label: int, score: float | None, **found: Any) -> Segment:
        space = self.label_space
        return Segment(
            id=number, name=space.classes[label], label=label, is_thing=space.is_thing[label], score=score, **found
        )
