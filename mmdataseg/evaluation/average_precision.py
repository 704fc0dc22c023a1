"""Average precision by pycocotools, or, of masks, by hotcoco if it is installed; the numbers are the same."""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from types import ModuleType
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

_MAX_DETECTIONS = (100, 300, 1000)  # mmdet's; the first is for AP, the last for the other values


def fast_evaluator() -> ModuleType | None:
    """Return hotcoco, a port of pycocotools to Rust, if it is installed."""
    try:
        import hotcoco
    except ImportError:
        return None
    return hotcoco


def precision_at_recalls(
    truth: COCO,
    detections: Sequence[Mapping[str, Any]],
    *,
    image_ids: Sequence[Any],
    category_ids: Sequence[int],
    evaluator: ModuleType | None,
    boxes: bool = False,
) -> np.ndarray:
    """Compute the precision of masks or boxes at each recall.

    Args:
        truth: The annotations, indexed.
        detections: At least one, all of images and categories to score; each with ``image_id``, ``category_id``,
            ``score`` and ``segmentation``, a compressed run-length encoding, or ``bbox``, x, y, width and height.
        image_ids: The images to score.
        category_ids: The categories to score, all different.
        evaluator: Result of `fast_evaluator`; None: pycocotools. The numbers are the same to the last digit. Boxes are
            always scored by pycocotools, for which they are fast.
        boxes: Compare boxes, not masks.

    Returns:
        (T, R, K, A, M) float64 in 0 .. 1, or -1 where there is no object: for T IoU thresholds 0.50, 0.55 ... 0.95, R
        recalls, the K categories in the order of their ids, A areas (all, small, medium, large) and M maxDets.
    """
    with (
        redirect_stdout(StringIO()),
        warnings.catch_warnings(),
    ):  # both print; hotcoco warns of other maxDets than COCO's
        warnings.simplefilter("ignore")
        if evaluator is None or boxes:
            kind = "bbox" if boxes else "segm"
            found = COCOeval(truth, truth.loadRes([dict(detection) for detection in detections]), kind)
            found.params.imgIds, found.params.catIds = list(image_ids), list(category_ids)
        else:
            coco, ours = evaluator.COCO, _numbered(truth, detections, image_ids, category_ids)
            dataset = coco(ours[0])
            found = evaluator.COCOeval(dataset, dataset.loadRes(ours[1]), "segm")
        found.params.maxDets = list(_MAX_DETECTIONS)
        found.evaluate()
        found.accumulate()
    return np.asarray(found.eval["precision"])


def summary(precision_TRKAM: np.ndarray) -> np.ndarray:
    """Average the result of `precision_at_recalls` as pycocotools does; hotcoco takes the last of maxDets for AP, too.

    Returns:
        (6,) float64 in 0 .. 1: AP over IoU thresholds 0.50 .. 0.95, at 0.50, at 0.75, of small, of medium and of large
        objects; -1 where there is no object.
    """
    by_area = [precision_TRKAM[:, :, :, area, -1] for area in (1, 2, 3)]
    at_50, at_75 = precision_TRKAM[0, :, :, 0, -1], precision_TRKAM[5, :, :, 0, -1]
    return np.array([_mean(values) for values in (precision_TRKAM[:, :, :, 0, 0], at_50, at_75, *by_area)])


def by_category(precision_TRKAM: np.ndarray) -> np.ndarray:
    """Average the result of `precision_at_recalls` for each category.

    Returns:
        (K,) float64 in 0 .. 1: AP over IoU thresholds 0.50 .. 0.95; -1 where there is no object.
    """
    return np.array([_mean(values) for values in np.moveaxis(precision_TRKAM[:, :, :, 0, 0], 2, 0)])


def _mean(values: np.ndarray) -> float:
    there = values[values > -1]
    return float(there.mean()) if len(there) else -1.0


def _numbered(
    truth: COCO, detections: Sequence[Mapping[str, Any]], image_ids: Sequence[Any], category_ids: Sequence[int]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The scored part of both, as run-length encodings, with integer ids in pycocotools' order."""
    images = {key: number for number, key in enumerate(np.unique(image_ids).tolist(), start=1)}
    categories = {key: number for number, key in enumerate(np.unique(category_ids).tolist(), start=1)}
    annotations = [
        {
            **{key: annotation[key] for key in ("id", "area", "bbox") if key in annotation},
            "iscrowd": int(bool(annotation.get("iscrowd"))),
            "image_id": images[annotation["image_id"]],
            "category_id": categories[annotation["category_id"]],
            "segmentation": _as_text(truth.annToRLE(annotation)),
        }
        for annotation in truth.dataset["annotations"]
        if annotation["image_id"] in images and annotation["category_id"] in categories
    ]
    content = {
        "images": [
            # an image without annotations may have no size, which nothing reads then
            {"id": number, "height": truth.imgs[key].get("height", 0), "width": truth.imgs[key].get("width", 0)}
            for key, number in images.items()
        ],
        "annotations": annotations,
        "categories": [{"id": number, "name": str(number)} for number in categories.values()],
    }
    found = [
        {
            "image_id": images[detection["image_id"]],
            "category_id": categories[detection["category_id"]],
            "score": detection["score"],
            "segmentation": _as_text(detection["segmentation"]),
        }
        for detection in detections
    ]
    return content, found


def _as_text(rle: Mapping[str, Any]) -> dict[str, Any]:
    counts = rle["counts"]
    return {"size": list(rle["size"]), "counts": counts.decode() if isinstance(counts, bytes) else counts}
