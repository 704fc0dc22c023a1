"""Writes small datasets in the real formats."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = ("cat", "dog", "sky", "grass")
IS_THING = (True, True, False, False)
METAINFO = {"classes": CLASSES, "is_thing": IS_THING, "thing_classes": CLASSES[:2], "stuff_classes": CLASSES[2:]}


def write_image(path: Path, height: int, width: int) -> None:
    """A grey ramp: neighbouring pixels differ."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(0, 255, height * width).reshape(height, width).astype(np.uint8)
    Image.fromarray(np.stack([ramp] * 3, axis=-1)).save(path)


def write_png(path: Path, array: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array)).save(path)


def id_to_rgb(ids: Any) -> np.ndarray:
    ids = np.asarray(ids)
    return np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)


def rgb_to_id(colours: Any) -> np.ndarray:
    return np.asarray(colours).astype(np.int64) @ [1, 256, 65536]


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


# The file lists the categories in another order than the label space, one with a blank at its end, and one that no
# annotation uses and the label space does not have.
CATEGORIES = [
    {"id": 7, "name": "sky", "isthing": 0},
    {"id": 3, "name": "dog ", "isthing": 1},
    {"id": 1, "name": "cat", "isthing": 1},
    {"id": 9, "name": "grass", "isthing": 0},
    {"id": 11, "name": "unicorn", "isthing": 1},
]


class PanopticFiles:
    """One 4 x 6 image: sky above, a cat, a dog, a crowd of dogs, and unlabelled pixels.

    Ids on disk use all three bytes.
    """

    SKY, CAT, DOG, CROWD = 70000, 5, 300, 1000
    IDS = np.array(
        [
            [70000, 70000, 70000, 70000, 70000, 70000],
            [70000, 5, 5, 300, 300, 0],
            [1000, 5, 5, 300, 300, 0],
            [1000, 1000, 0, 0, 300, 0],
        ]
    )

    def __init__(self, root: Path) -> None:
        self.root = root
        self.segments = [
            {"id": self.DOG, "category_id": 3, "iscrowd": 0},
            {"id": self.SKY, "category_id": 7, "iscrowd": 0},
            {"id": self.CROWD, "category_id": 3, "iscrowd": 1},
            {"id": self.CAT, "category_id": 1, "iscrowd": 0},
        ]
        self.content = {
            "images": [{"id": 42, "file_name": "a.jpg", "height": 4, "width": 6}],
            "annotations": [{"image_id": 42, "file_name": "a.png", "segments_info": self.segments}],
            "categories": CATEGORIES,
        }
        self.ids = self.IDS

    def write(self) -> dict[str, Any]:
        """Write the files; returns the arguments of the dataset."""
        write_image(self.root / "images/a.jpg", 4, 6)
        write_png(self.root / "pngs/a.png", id_to_rgb(self.ids))
        write_json(self.root / "panoptic.json", self.content)
        return {
            "data_root": str(self.root),
            "img_dir": "images",
            "ann_dir": "pngs",
            "ann_file": "panoptic.json",
            "metainfo": METAINFO,
        }


class InstanceFiles:
    """Two 10 x 20 images, of which one has no box; a cat, a dog, and a crowd of dogs, given in xywh.

    The annotations come in no order of images.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.annotations: list[dict[str, Any]] = [
            {"id": 1, "image_id": 8, "category_id": 3, "bbox": [2.5, 1, 4, 3], "iscrowd": 0},
            {"id": 2, "image_id": 8, "category_id": 3, "bbox": [10, 5, 10, 5], "iscrowd": 1},
            {"id": 3, "image_id": 8, "category_id": 1, "bbox": [0, 0, 20, 10]},
        ]
        self.content: dict[str, Any] = {
            "annotations": self.annotations,
            "categories": CATEGORIES,
            "images": [
                {"id": 9, "file_name": "part2/empty.jpg", "height": 10, "width": 20},
                {"id": 8, "file_name": "part1/ü.jpg", "height": 10, "width": 20},
            ],
        }

    def add_masks(self) -> None:
        """The dog as a polygon, the crowd (lower right) as uncompressed RLE, the cat as two polygons that overlap."""
        self.annotations[0]["segmentation"] = [[2, 1, 6, 1, 6, 4, 2, 4]]
        # column by column: ten columns of nothing, then ten of five off, five on
        self.annotations[1]["segmentation"] = {"size": [10, 20], "counts": [105, 5] + [5, 5] * 9}
        self.annotations[2]["segmentation"] = [[0, 0, 12, 0, 12, 6, 0, 6], [0, 4, 4, 4, 4, 10, 0, 10]]

    def write(self) -> dict[str, Any]:
        write_image(self.root / "images/part1/ü.jpg", 10, 20)
        write_image(self.root / "images/part2/empty.jpg", 10, 20)
        write_json(self.root / "instances.json", self.content)
        return {
            "data_root": str(self.root),
            "img_dir": "images",
            "ann_file": "instances.json",
            "metainfo": METAINFO,
        }
