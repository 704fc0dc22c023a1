"""One answer about an image, for one task and one vocabulary, as a list of segments.

Frames: masks and boxes are in pixels of the image after the rotation that its EXIF tag asks for.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from mmdet.evaluation import INSTANCE_OFFSET
from mmdet.structures import DetDataSample
from mmengine.structures import PixelData

from mmdataseg.formats.masks import describe_window
from mmdataseg.ops.box_masks import BoxMask, full_masks, masks_of_map, pack_mask
from mmdataseg.ops.panoptic_map import panoptic_masks
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
        region: The mask in its box. It takes little memory, also for large images.
    """

    id: int
    name: str
    label: int
    is_thing: bool
    score: float | None
    region: BoxMask

    @property
    def area(self) -> int:
        """Area in pixels."""
        return self.region.area

    @property
    def box(self) -> tuple[int, int, int, int]:
        """x1, y1, x2, y2 in pixels, tight around the mask; x2 and y2 are exclusive, so x2 - x1 is the width."""
        return self.region.box

    @property
    def mask(self) -> np.ndarray:
        """The mask, (H, W) bool, computed on each access."""
        return self.region.full().numpy()

    @property
    def window(self) -> np.ndarray:
        """The mask inside the box, (h, w) bool, computed on each access."""
        return self.region.window().numpy()

    @property
    def annotation(self) -> dict[str, Any]:
        """The ``area``, ``bbox`` and ``segmentation`` (`rle`) of a COCO annotation, computed on each access."""
        return describe_window(self.window, corner=self.box[:2], size=self.region.size)

    @property
    def rle(self) -> dict[str, Any]:
        """The mask as compressed COCO RLE with ``size`` (height, width) and ``counts``, computed on each access."""
        return self.annotation["segmentation"]

    def __str__(self) -> str:
        score = "" if self.score is None else f" {self.score:.2f}"
        return f"{self.name}{score} ({self.area} pixels)"


@dataclass(frozen=True, eq=False, kw_only=True)
class Answer:
    """The answer for one task and one vocabulary.

    Args:
        source: Source with the task and the label space; nothing else of it is read.
        prediction: mmdet's data sample, on the CPU, with the fields that the task's post-processor wrote, compact or
            not.
        min_score: Instances with a lower score are left out of the segments, but stay in the sample.
    """

    source: Source
    prediction: DetDataSample
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
        space = self.label_space
        return tuple(
            Segment(
                id=number,
                name=space.classes[label],
                label=label,
                is_thing=space.is_thing[label],
                score=score,
                region=region,
            )
            for number, (label, score, region) in enumerate(self._found(), 1)
        )

    @cached_property
    def sample(self) -> DetDataSample:
        """mmdet's data sample as its metrics and visualiser read it: maps are int64, masks are (N, H, W) bool.

        It is made on the first access. Its masks take a byte per pixel and instance.
        """
        sample = self.prediction.new()
        for name in ("pred_panoptic_seg", "pred_sem_seg"):
            if name in sample:
                segmentation = sample.get(name).new()
                segmentation.sem_seg = segmentation.sem_seg.long()
                sample.set_field(segmentation, name, dtype=PixelData)
        if "pred_instances" in sample:
            found = sample.pred_instances.new()
            if isinstance(found.masks, list):
                found.masks = full_masks(found.masks, self.size)
            sample.pred_instances = found
        return sample

    @cached_property
    def id_map(self) -> np.ndarray:
        """The `Segment.id` of each pixel, (H, W) int32; 0 where there is no segment.

        Where instances overlap, the pixel has the id of the one with the highest score.
        """
        ids = np.zeros(self.size, np.int32)
        for segment in reversed(self.segments):
            x1, y1, x2, y2 = segment.box
            ids[y1:y2, x1:x2][segment.window] = segment.id
        return ids

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the image, in pixels."""
        height, width = self.prediction.ori_shape[:2]
        return int(height), int(width)

    def _found(self) -> list[tuple[int, float | None, BoxMask]]:
        """The label, score and mask of each segment, in the order of the segments."""
        if self.task is Task.INSTANCE:
            found = self.prediction.pred_instances
            found = found[found.scores >= self.min_score]
            masks = found.masks
            if not isinstance(masks, list):
                masks = [pack_mask(mask, corner=(0, 0), size=self.size) for mask in masks]
            return list(zip(found.labels.tolist(), found.scores.tolist(), masks, strict=True))
        if self.task is Task.SEMANTIC:
            regions = masks_of_map(self.prediction.pred_sem_seg.sem_seg[0])
            return [(label, None, region) for label, region in regions.items() if 0 <= label < len(self.label_space)]
        prediction = self.prediction.pred_panoptic_seg
        segments = panoptic_masks(
            prediction.sem_seg[0],
            num_classes=len(self.label_space),
            offset=INSTANCE_OFFSET,
            ignore_index=prediction.get("ignore_index"),
        )
        scores = prediction.get("scores") or [None] * len(segments)
        rows = [(label, score, region) for (label, region), score in zip(segments, scores, strict=True)]
        return sorted(rows, key=lambda row: -(row[1] or 0))
