"""Panoptic files of one image: the truth and predictions."""

from pathlib import Path

import numpy as np

from mmdataseg.evaluation.panoptic_files import PanopticFiles
from tests.datasets.writing import id_to_rgb, write_json, write_png

CATEGORIES = [
    {"id": 3, "name": "dog", "isthing": 1},
    {"id": 1, "name": "cat", "isthing": 1},
    {"id": 7, "name": "sky", "isthing": 0},
]
TRUE = np.array([[70000, 70000, 5, 5], [9, 9, 5, 5]])
FOUND = np.array([[70000, 70000, 5, 5], [9, 5, 5, 5]])


def segment(number: int, category: int, *, crowd: int = 0) -> dict:
    return {"id": number, "category_id": category, "iscrowd": crowd}


def write(root: Path, name: str, ids: np.ndarray, segments: list[dict], **changes: object) -> PanopticFiles:
    write_png(root / name / "a.png", id_to_rgb(ids))
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 2, "width": 4}],
        "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": segments}],
        "categories": CATEGORIES,
    } | changes
    return PanopticFiles(file=write_json(root / f"{name}.json", {k: v for k, v in content.items() if v is not None}))


def write_truth(root: Path) -> PanopticFiles:
    return write(root, "truth", TRUE, [segment(70000, 7), segment(5, 3), segment(9, 1)])


def predict(root: Path, **changes: object) -> PanopticFiles:
    return write(root, "found", FOUND, [segment(70000, 7), segment(5, 3), segment(9, 1)], **changes)
