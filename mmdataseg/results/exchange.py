"""Convert answers to the formats of other programs: JSON, tables, COCO, supervision, transformers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mmdataseg.errors import UserError
from mmdataseg.formats.categories import make_categories
from mmdataseg.results.file_names import without_suffix
from mmdataseg.results.segments import Answer, Segment
from mmdataseg.structures import Task

if TYPE_CHECKING:
    import pandas
    import supervision

COLUMNS = ("image", "task", "vocabulary", "id", "name", "label", "is_thing", "score", "area", "x1", "y1", "x2", "y2")


def to_json(answer: Answer) -> dict[str, Any]:
    """Convert an answer to JSON values, with masks as COCO RLE."""
    segments = [
        {
            **dict(id=s.id, name=s.name, label=s.label, is_thing=s.is_thing, score=s.score, area=s.area),
            **dict(box=list(s.box), segmentation=s.rle),
        }
        for s in answer.segments
    ]
    return {"task": answer.task.value, "vocabulary": answer.label_space.name, "segments": segments}


def rows(image: str, answer: Answer) -> list[dict[str, Any]]:
    """Convert an answer about the image of this name to the rows of a table, with the keys in `COLUMNS`."""
    head = (image, answer.task.value, answer.label_space.name)
    return [
        dict(zip(COLUMNS, (*head, s.id, s.name, s.label, s.is_thing, s.score, s.area, *s.box), strict=True))
        for s in answer.segments
    ]


def to_df(table: Sequence[dict[str, Any]]) -> "pandas.DataFrame":
    """Convert rows from `rows` to a pandas DataFrame.

    Raises:
        UserError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise _not_installed("pandas") from None
    return pandas.DataFrame(list(table), columns=list(COLUMNS))


def to_coco(name: str, answer: Answer, *, image_id: int) -> dict[str, Any]:
    """Return the COCO JSON of the image of this name; see `mmdataseg.results.result.Result.to_coco`."""
    height, width = answer.size
    space = answer.label_space
    return {
        "images": [{"id": image_id, "file_name": name, "height": height, "width": width}],
        "annotations": coco_annotations(f"{without_suffix(name)}.png", answer, image_id=image_id),
        "categories": make_categories(space, range(1, 1 + len(space))),
    }


def coco_annotations(png: str, answer: Answer, *, image_id: int) -> list[dict[str, Any]]:
    """Return the COCO annotations of one image. Ids of annotations count from 1.

    A panoptic answer has a single one, for the PNG with the ids of its segments.
    """
    if answer.task is Task.PANOPTIC:
        infos = [
            {
                **dict(id=s.id, category_id=s.label + 1, area=s.area, bbox=_xywh(s), iscrowd=0),
                **({} if s.score is None else {"score": s.score}),
            }
            for s in answer.segments
        ]
        return [{"image_id": image_id, "file_name": png, "segments_info": infos}]
    return [
        {
            **dict(id=number, image_id=image_id, category_id=s.label + 1, iscrowd=0),
            **({} if s.score is None else {"score": s.score}),
            **s.annotation,
        }
        for number, s in enumerate(answer.segments, 1)
    ]


def to_detections(answer: Answer) -> "supervision.Detections":
    """Convert an answer with N segments to ``supervision.Detections``.

    Returns:
        ``xyxy`` (N, 4) float32 pixels, ``mask`` (N, H, W) bool, ``confidence`` (N,) float32 (None for a semantic map),
        ``class_id`` (N,) int, and ``data["class_name"]`` (N,).

    Raises:
        UserError: supervision is not installed.
    """
    try:
        import supervision
    except ImportError:
        raise _not_installed("supervision") from None
    found = answer.segments
    scores = [s.score for s in found]
    return supervision.Detections(
        xyxy=np.array([s.box for s in found], np.float32).reshape(-1, 4),
        mask=np.stack([s.mask for s in found]) if found else np.zeros((0, *answer.size), bool),
        confidence=None if None in scores else np.array(scores, np.float32),
        class_id=np.array([s.label for s in found], int),
        data={"class_name": np.array([s.name for s in found], str)},
    )


def to_transformers(answer: Answer) -> dict[str, Any]:
    """Convert a panoptic answer; see `mmdataseg.results.result.Result.to_transformers`."""
    if not answer.segments:
        return {"segmentation": torch.full(answer.size, -1, dtype=torch.int32), "segments_info": []}
    infos = [{"id": s.id, "label_id": s.label, "was_fused": not s.is_thing, "score": s.score} for s in answer.segments]
    return {"segmentation": torch.from_numpy(answer.id_map.copy()), "segments_info": infos}


def _xywh(segment: Segment) -> list[int]:
    x1, y1, x2, y2 = segment.box
    return [x1, y1, x2 - x1, y2 - y1]


def _not_installed(package: str) -> UserError:
    return UserError(f"this needs {package}, which is not installed", remedy="pip install 'mmdataseg[results]'")
