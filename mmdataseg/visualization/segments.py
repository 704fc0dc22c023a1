"""Draws the true and the predicted segments of a sample."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch
from mmdet.evaluation import INSTANCE_OFFSET
from mmdet.structures import DetDataSample

from mmdataseg.ops.box_masks import BoxMask, masks_of_map
from mmdataseg.ops.panoptic_map import panoptic_masks
from mmdataseg.sources import Source
from mmdataseg.structures import Task
from mmdataseg.visualization.drawing import Segment, class_color, draw_segments, panel_size, resize, side_by_side
from mmdataseg.visualization.overlaps import best_at_each_place, same_objects


def draw_sample(sample: DetDataSample, source: Source, *, min_score: float) -> np.ndarray:
    """Draw image, ground truth and prediction of a sample side by side: (H, W, 3) uint8, RGB.

    The sample is on the CPU, at the size of the original image, which is read from its ``img_path``. Predicted
    instances with a score below ``min_score`` are left out.

    Raises:
        FileNotFoundError: The image is missing.
    """
    image = mmcv.imread(sample.metainfo["img_path"], channel_order="rgb")
    size = panel_size(*image.shape[:2])
    predicted = draw_predicted(
        image, sample, source, size=size, min_score=min_score, like=true_segments(sample, source)
    )
    return side_by_side(
        [
            (f"{source.name}: {Path(sample.metainfo['img_path']).name}", resize(image, size)),
            ("ground truth", draw_true(image, sample, source, size=size)),
            (f"prediction ({source.task.value})", predicted),
        ]
    )


def draw_true(image: np.ndarray, sample: DetDataSample, source: Source, *, size: tuple[int, int]) -> np.ndarray:
    """Draw the `true_segments` on the image (H, W, 3) uint8 RGB: a picture of the given size, (height, width, 3).

    Pixels without a label are hatched, and a note says so.
    """
    segments, unlabelled = true_segments(sample, source), None
    note = "" if segments else "nothing is annotated"
    if "gt_id_map" in sample:
        unlabelled = sample.gt_id_map.data[0].numpy() < 0
        note = note or ("hatched: not annotated" if unlabelled.any() else "")
    return draw_segments(image, segments, size=size, note=note, hatched=unlabelled)


def draw_predicted(
    image: np.ndarray,
    sample: DetDataSample,
    source: Source,
    *,
    size: tuple[int, int],
    min_score: float,
    like: Sequence[Segment] = (),
) -> np.ndarray:
    """Draw the `predicted_segments` on the image (H, W, 3) uint8 RGB: a picture of the given size, (height, width, 3).

    Instances with a score below ``min_score`` are left out. Objects that are also in ``like`` get the colours they have
    there. If several instances are at the same place, only the best is drawn, and a note says how many are left out.
    """
    found = predicted_segments(sample, source, min_score=min_score, like=like)
    drawn = best_at_each_place(found) if source.task is Task.INSTANCE else found
    note = ""
    if not found:
        note = "nothing found" + (f" with a score of {min_score} or more" if source.task is Task.INSTANCE else "")
    elif len(drawn) < len(found):
        note = f"{len(found) - len(drawn)} more at the same places, not drawn"
    return draw_segments(image, drawn, size=size, note=note)


def true_segments(sample: DetDataSample, source: Source) -> list[Segment]:
    """Return the segments of the ground truth; none if the sample has no ground truth.

    They are those of ``gt_id_map`` with ``gt_instances``, or the masks or boxes of ``gt_instances``.
    """
    if "gt_instances" not in sample:
        return []
    truth = sample.gt_instances
    labels = truth.labels.tolist()
    if "gt_id_map" in sample:
        ids = sample.gt_id_map.data[0].long()
        if source.task is Task.SEMANTIC:
            return _of_map(torch.tensor([*labels, -1])[ids], source)
        return _of_masks([(ids == row).numpy() for row in range(len(labels))], labels, source)
    if "masks" in truth:
        return _of_masks(_bool_masks(truth.masks), labels, source)
    boxes = truth.bboxes.tolist() if "bboxes" in truth else []
    return [
        Segment(name=source.label_space.classes[label], color=class_color(label), box=tuple(box), label=label)
        for box, label in zip(boxes, labels, strict=True)
    ]


def predicted_segments(
    sample: DetDataSample, source: Source, *, min_score: float, like: Sequence[Segment] = ()
) -> list[Segment]:
    """Return the predicted segments of a sample, for the task of its source.

    Args:
        sample: A sample with ``pred_panoptic_seg``, ``pred_sem_seg`` or ``pred_instances``.
        source: Source of the sample.
        min_score: Instances with a lower score are left out.
        like: Segments of the ground truth or of another prediction. The same objects get the same colors.

    Raises:
        UserError: A panoptic map has a class that the source does not have.
    """
    return _colored_like(_predicted(sample, source, min_score), like, source)


def _predicted(sample: DetDataSample, source: Source, min_score: float) -> list[Segment]:
    if source.task is Task.SEMANTIC:
        return _of_map(sample.pred_sem_seg.sem_seg[0], source)
    if source.task is Task.PANOPTIC:
        prediction = sample.pred_panoptic_seg
        found = panoptic_masks(
            prediction.sem_seg[0],
            num_classes=len(source.label_space),
            offset=INSTANCE_OFFSET,
            ignore_index=prediction.get("ignore_index"),
        )
        return _of_masks([mask for _, mask in found], [label for label, _ in found], source)
    instances = sample.pred_instances
    instances = instances[instances.scores >= min_score]
    instances = instances[instances.scores.argsort()]  # the best on top
    scores = [f" {score:.2f}" for score in instances.scores.tolist()]
    return _of_masks(_bool_masks(instances.masks), instances.labels.tolist(), source, endings=scores)


def _of_map(labels_HW: torch.Tensor, source: Source) -> list[Segment]:
    present = {k: mask for k, mask in masks_of_map(labels_HW).items() if 0 <= k < len(source.label_space)}
    return _of_masks(list(present.values()), list(present), source)


def _of_masks(
    masks: Sequence[np.ndarray | BoxMask],
    labels: Sequence[int],
    source: Source,
    *,
    endings: Sequence[str] | None = None,
) -> list[Segment]:
    seen: dict[int, int] = {}
    segments = []
    for mask, label, ending in zip(masks, labels, endings or [""] * len(labels), strict=True):
        number = seen[label] = seen.get(label, -1) + 1
        name = source.label_space.classes[label] + ending
        segments.append(Segment(name=name, color=class_color(label, number), mask=mask, label=label))
    return segments


def _colored_like(segments: list[Segment], like: Sequence[Segment], source: Source) -> list[Segment]:
    """Give each thing the color of the same object in ``like``; other things get colors that are not in use."""
    if not like or source.task is Task.SEMANTIC:
        return segments
    pairs, numbers = same_objects(segments, like), Counter(segment.label for segment in like)
    colored = []
    for index, segment in enumerate(segments):
        color = segment.color
        if index in pairs:
            color = like[pairs[index]].color
        elif source.label_space.is_thing[segment.label]:
            color = class_color(segment.label, numbers[segment.label])
            numbers[segment.label] += 1
        colored.append(replace(segment, color=color))
    return colored


def _bool_masks(masks: Any) -> list[Any]:
    """Return a list of bool masks from a tensor, from mmdet's BitmapMasks, or from a list of `BoxMask`."""
    if isinstance(masks, list):
        return masks
    masks = masks.masks if hasattr(masks, "masks") else masks.numpy()
    return list(masks.astype(bool))
