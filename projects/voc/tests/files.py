"""Generated files for the tests: VOC 2012 and SBD as they are published, and the layout that the sources read.

An image has two objects on background: a rectangle of the first class and one of the second, with a void border.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask
from scipy.io import savemat

from mmdataseg.formats.coco_panoptic import id_to_rgb
from mmdataseg.text.embeddings import save_embeddings
from mmdataseg.text.encoding import embed_classes
from mmdataseg.text.hashing import HashingEncoder
from projects.voc.published.annotations import CLASSES
from projects.voc.published.sets import SETS

HEIGHT, WIDTH = 48, 64
XML_NAMES = [name.replace(" ", "") for name in CLASSES]
VOCABULARIES = Path(__file__).parents[1] / "vocabularies"
NUM_VAL = 400  # the sources test every second one of the first 400


class Scene:
    """An image and its truth, which depend only on its number."""

    def __init__(self, number: int) -> None:
        rng = np.random.default_rng(number)
        self.classes = (number % 20 + 1, (number + 7) % 20 + 1)
        self.boxes = ((4, 6, 24, 40), (34, 10, 60, 30))  # left, top, right, bottom; the last pixel is not inside
        self.class_map = np.zeros((HEIGHT, WIDTH), np.uint8)
        self.object_map = np.zeros((HEIGHT, WIDTH), np.uint8)
        for index, (label, (left, top, right, bottom)) in enumerate(zip(self.classes, self.boxes, strict=True), 1):
            for field, value in ((self.class_map, label), (self.object_map, index)):
                field[top:bottom, left:right] = 255
                field[top + 1 : bottom - 1, left + 1 : right - 1] = value
        colours = rng.integers(0, 256, (3, 3))
        self.picture = colours[np.where(self.object_map == 255, 0, self.object_map)].astype(np.uint8)


def write_published(root: Path, *, num_train: int = 4, num_val: int = 2, num_boxes: int = 2, num_sbd: int = 0) -> None:
    """Write ``VOC2012`` and, with ``num_sbd``, ``benchmark_RELEASE/dataset`` below a folder."""
    voc, sbd = root / "VOC2012", root / "benchmark_RELEASE/dataset"
    names = {
        kind: [f"20{year}_{index:06}" for index in range(count)]
        for kind, year, count in (("train", "07", num_train), ("val", "08", num_val), ("boxes", "09", num_boxes))
    }
    names["sbd"] = [f"2010_{index:06}" for index in range(num_sbd)]
    number = 0
    for kind, images in names.items():
        for name in images:
            scene, number = Scene(number), number + 1
            _save(Image.fromarray(scene.picture), voc / f"JPEGImages/{name}.jpg")
            _write(voc / f"Annotations/{name}.xml", _xml(scene))
            if kind in ("train", "val"):
                for folder, values in (("Class", scene.class_map), ("Object", scene.object_map)):
                    picture = Image.fromarray(values)
                    picture.putpalette(list(range(256)) * 3)  # as published: numbers in a palette
                    _save(picture, voc / f"Segmentation{folder}/{name}.png")
            if kind == "sbd":
                for folder, key, values in (
                    ("cls", "GTcls", scene.class_map),
                    ("inst", "GTinst", scene.object_map),
                ):
                    path = sbd / f"{folder}/{name}.mat"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    savemat(path, {key: {"Segmentation": np.where(values == 255, 0, values)}})
    for kind in ("train", "val"):
        _write(voc / f"ImageSets/Segmentation/{kind}.txt", "\n".join(names[kind]) + "\n")
    everything = [*names["train"], *names["val"], *names["boxes"], *names["sbd"]]
    _write(voc / "ImageSets/Main/trainval.txt", "\n".join(everything) + "\n")
    if num_sbd:  # SBD has VOC's images, too
        _write(sbd / "train.txt", "\n".join([*names["train"], *names["sbd"][::2]]) + "\n")
        _write(sbd / "val.txt", "\n".join([*names["val"], *names["sbd"][1::2]]) + "\n")


def write_real_world(root: Path, *, num_train: int = 4) -> None:
    """Write a small real world: the four sets, CamVid, each with a crowd region in ``val``."""
    categories = [{"id": n, "name": name, "supercategory": ""} for n, name in enumerate(CLASSES, 1)]
    segments = [dict(c, isthing=1) for c in categories]
    segments.append({"id": 21, "name": "background", "supercategory": "", "isthing": 0})
    for place, name in enumerate(SETS):
        images: list[dict[str, Any]] = []
        boxes: list[dict[str, Any]] = []
        instances: list[dict[str, Any]] = []
        panoptic: list[dict[str, Any]] = []
        for index in range(NUM_VAL if name == "val" else num_train):
            stem, distinct = f"20{place + 10}_{index:06}", index % 4
            scene = Scene(10 * place + distinct)
            number = int(stem.replace("_", ""))
            images.append({"id": number, "file_name": f"{stem}.jpg", "width": WIDTH, "height": HEIGHT})
            ids = np.where(scene.object_map == 255, 0, scene.object_map).astype(np.int64)
            ids[scene.class_map == 0] = 3
            files = {
                root / f"voc/images/{name}/{stem}.jpg": scene.picture,
                root / f"voc/labels/{name}/{stem}.png": scene.class_map,
                root / f"voc/annotations/panoptic_{name}/{stem}.png": id_to_rgb(ids),
            }
            _write_or_link(files, stem, f"20{place + 10}_{distinct:06}")
            info = []
            for segment, (label, (left, top, right, bottom)) in enumerate(
                zip(scene.classes, scene.boxes, strict=True), 1
            ):
                rle = coco_mask.encode(np.asfortranarray((ids == segment).astype(np.uint8)))
                crowd = int(name == "val" and index == 1 and segment == 2)
                entry = {"id": len(boxes) + 1, "image_id": number, "category_id": label, "iscrowd": crowd}
                entry |= {"bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}
                boxes.append(entry)
                mask = {"size": rle["size"], "counts": rle["counts"].decode()}
                instances.append({**entry, "segmentation": mask, "area": int(coco_mask.area(rle))})
                info.append(
                    {"id": segment, "category_id": label, "iscrowd": crowd, "area": int((ids == segment).sum())}
                )
            info.append({"id": 3, "category_id": 21, "iscrowd": 0, "area": int((ids == 3).sum())})
            panoptic.append({"image_id": number, "file_name": f"{stem}.png", "segments_info": info})
        for kind, annotations, listed in (
            ("boxes", boxes, categories),
            ("instances", instances, categories),
            ("panoptic", panoptic, segments),
        ):
            content = {"info": {}, "images": images, "annotations": annotations, "categories": listed}
            _write(root / f"voc/annotations/{kind}_{name}.json", json.dumps(content))
    write_camvid(root)


def write_camvid(root: Path) -> None:
    """Write CamVid's frames: 0 is unlabelled, class k is stored as k + 1."""
    for split, count in (("train", 4), ("val", 100)):
        for index in range(count):
            scene, distinct = Scene(100 + index % 4), index % 4
            labels = np.where(scene.class_map == 255, 0, scene.class_map % 11 + 1).astype(np.uint8)
            files = {
                root / f"camvid/images/{split}/{index:05}.jpg": scene.picture,
                root / f"camvid/labels/{split}/{index:05}.png": labels,
            }
            _write_or_link(files, f"{index:05}", f"{distinct:05}")


def write_embeddings(folder: Path) -> None:
    """Write embeddings of a hashing encoder, a stand-in for CLIP, for the three vocabularies."""
    encoder = HashingEncoder(dim=512)
    for path in VOCABULARIES.glob("*.txt"):
        embeddings = embed_classes(encoder, path.read_text().splitlines(), vocabulary=path.stem)
        save_embeddings(folder / f"{path.stem}.safetensors", embeddings)


def _xml(scene: Scene) -> str:
    objects = ""
    for label, (left, top, right, bottom) in zip(scene.classes, scene.boxes, strict=True):
        corners = f"<xmin>{left + 1}</xmin><ymin>{top + 1}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
        part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
        objects += f"<object><name>{XML_NAMES[label - 1]}</name><difficult>0</difficult><bndbox>{corners}</bndbox>"
        objects += f"{part}</object>"
    return f"<annotation><folder>VOC2012</folder>{objects}</annotation>"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def _write_or_link(files: dict[Path, np.ndarray], stem: str, first: str) -> None:
    """Write the files of an image, or link them to those of the first image that looks the same."""
    for path, values in files.items():
        if stem == first:
            _save(Image.fromarray(values), path)
        else:
            os.link(path.with_name(first + path.suffix), path)
