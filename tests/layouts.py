"""Tiny generated data in the layout of every source in ``configs/_base_/sources``, so that configs build and run.

    monkeypatch.chdir(root); write_all(root)     # then the configs' paths, all under data/, exist

Downloaded files are written as in the download, and converted files are made by our converters. The pictures are
rectangles in noise; labels are drawn from each data set's own label space.
"""

import importlib.util
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask
from scipy.io import savemat

from mmdataseg.formats.coco_panoptic import id_to_rgb
from mmdataseg.structures import LabelSpace
from mmdataseg.text.embeddings import save_embeddings
from mmdataseg.text.encoding import embed_classes
from mmdataseg.text.hashing import HashingEncoder
from mmdataseg.text.vocabularies import get_label_space

ROOT = Path(__file__).resolve().parents[1]
HEIGHT, WIDTH = 48, 64
TRAIN_IMAGES, VAL_IMAGES = 3, 2
EMBED_DIM = 768  # that of ViT-L/14, which configs/_base_/models expect
CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
GARDEN = LabelSpace(  # of configs/own_data
    name="garden", classes=("lawn", "tree", "gravel path", "shed"), is_thing=(False, True, False, True)
)
GARDEN_THINGS = LabelSpace(name="garden_things", classes=("tree", "shed"), is_thing=(True, True))
UNPUBLISHED = (
    "v2/patch16/objects365_v2_00908726",
    "v1/patch6/objects365_v1_00320532",
    "v1/patch6/objects365_v1_00320534",
)


def write_all(root: Path) -> None:
    """Write the data and the text embeddings of every source."""
    for name in LAYOUTS:
        write_layout(name, root)
    write_embeddings(root)


def write_layout(name: str, root: Path) -> None:
    """Write the data of one data set, for all sources that read it.

    Args:
        name: A key of `LAYOUTS`.
        root: The folder for ``data``.
    """
    LAYOUTS[name](root / "data", np.random.default_rng(list(LAYOUTS).index(name)))


def write_embeddings(root: Path) -> None:
    """Write embeddings of a hashing encoder, a stand-in for CLIP, in the places of ViT-L/14's files."""
    encoder = HashingEncoder(dim=EMBED_DIM)
    vocabularies = [
        "ade150",
        "coco133",
        "coco80",
        "objects365",
        "cityscapes19",
        "pascal_context59",
        "pascal_context459",
    ]
    for space in [*map(get_label_space, vocabularies), GARDEN, GARDEN_THINGS]:
        embeddings = embed_classes(encoder, space.classes, vocabulary=space.name)
        save_embeddings(root / f"data/embeddings/{space.name}_vit-l-14_openai.safetensors", embeddings)
    for space in (GARDEN, GARDEN_THINGS):
        small = embed_classes(HashingEncoder(), space.classes, vocabulary=space.name)
        save_embeddings(root / f"data/embeddings/{space.name}_hashing.safetensors", small)


@cache
def load_tool(path: str) -> ModuleType:
    """A script of ``tools`` as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem + "_tool", ROOT / "tools" / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def convert(name: str, *arguments: Any) -> None:
    """Run a converter."""
    load_tool(f"dataset_converters/{name}.py").main([str(argument) for argument in arguments])


class Scene:
    """An image's ground truth: two regions of stuff, three things of two classes, and a strip that is unlabelled.

    ``region`` is (H, W): 0 = unlabelled, else the number of a segment; ``label[n]`` is its class, ``is_thing[n]``
    whether it is countable.
    """

    def __init__(self, rng: np.random.Generator, space: LabelSpace) -> None:
        things = [i for i, thing in enumerate(space.is_thing) if thing] or list(range(len(space)))
        stuff = [i for i, thing in enumerate(space.is_thing) if not thing] or list(range(len(space)))
        first, second = rng.choice(things, 2, replace=False).tolist()
        above, below = rng.choice(stuff, 2, replace=False).tolist()
        self.region = np.ones((HEIGHT, WIDTH), np.int64)
        self.region[HEIGHT // 2 :] = 2
        self.region[:, :4] = 0
        self.label = {1: above, 2: below, 3: first, 4: first, 5: second}
        for number, left in ((3, 8), (4, 26), (5, 44)):
            top, height, width = rng.integers(4, 24), rng.integers(10, 20), rng.integers(10, 16)
            self.region[top : top + height, left : left + width] = number
        self.things = (3, 4, 5)

    def mask(self, number: int) -> np.ndarray:
        return self.region == number

    def values(self, value: Callable[[int], int], default: int = 0) -> np.ndarray:
        """(H, W) int64: ``value`` of each pixel's segment."""
        table = np.array([default, *(value(number) for number in sorted(self.label))])
        return table[self.region]

    def picture(self, rng: np.random.Generator) -> Image.Image:
        colours = rng.integers(0, 256, (len(self.label) + 1, 3))
        noisy = colours[self.region] + rng.integers(-20, 21, (HEIGHT, WIDTH, 3))
        return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def save_array(array: np.ndarray, path: Path) -> None:
    save(Image.fromarray(array), path)


def save_json(content: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _box(mask: np.ndarray) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    return [x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y]


def write_ade(data: Path, rng: np.random.Generator) -> None:
    """SceneParsing's label maps, the Places Challenge's instances, and panoptic segments made of both."""
    root, space = data / "ADEChallengeData2016", get_label_space("ade150")
    thing_class = {label: n for n, label in enumerate((i for i, t in enumerate(space.is_thing) if t), 1)}
    for split, short, count in (("training", "train", TRAIN_IMAGES), ("validation", "val", VAL_IMAGES)):
        for index in range(count):
            scene = Scene(rng, space)
            stem = f"{split}/ADE_{short}_{index + 1:08}"
            save(scene.picture(rng), root / f"images/{stem}.jpg")
            save_array(
                scene.values(lambda n, s=scene: s.label[n] + 1).astype(np.uint8), root / f"annotations/{stem}.png"
            )
            coded = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            coded[..., 0] = scene.values(lambda n, s=scene: thing_class[s.label[n]] if n in s.things else 0)
            coded[..., 1] = scene.values(lambda n, s=scene: n - 2 if n in s.things else 0)
            save_array(coded, root / f"annotations_instance/{stem}.png")
    convert("ade_panoptic", "--root", root)


def write_coco(data: Path, rng: np.random.Generator) -> None:
    """COCO panoptic, with one thing per image as a crowd; and the things of the validation images as instances."""
    root, space = data / "coco", get_label_space("coco133")
    categories = [
        {"id": 3 * i + 1, "name": name, "isthing": int(thing), "supercategory": "any"}
        for i, (name, thing) in enumerate(zip(space.classes, space.is_thing, strict=True))
    ]
    instances: list[dict[str, Any]] = []
    for split, count in (("train2017", TRAIN_IMAGES), ("val2017", VAL_IMAGES)):
        images, annotations = [], []
        for index in range(count):
            scene = Scene(rng, space)
            image_id, stem = 100 + index, f"{100 + index:012}"
            save(scene.picture(rng), root / f"{split}/{stem}.jpg")
            save_array(id_to_rgb(scene.values(lambda n: 70_000 * n)), root / f"annotations/panoptic_{split}/{stem}.png")
            segments = [
                {
                    "id": 70_000 * number,
                    "category_id": 3 * label + 1,
                    "iscrowd": int(number == 5),
                    "area": int(scene.mask(number).sum()),
                    "bbox": _box(scene.mask(number)),
                }
                for number, label in scene.label.items()
            ]
            images.append({"id": image_id, "file_name": f"{stem}.jpg", "height": HEIGHT, "width": WIDTH})
            annotations.append({"image_id": image_id, "file_name": f"{stem}.png", "segments_info": segments})
            if split == "val2017":
                for thing in scene.things:
                    rle = coco_mask.encode(np.asfortranarray(scene.mask(thing).astype(np.uint8)))
                    (segment,) = (s for s in segments if s["id"] == 70_000 * thing)
                    entry = {**segment, "id": len(instances) + 1, "image_id": image_id}
                    instances.append({**entry, "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()}})
        content = {"images": images, "annotations": annotations, "categories": categories}
        save_json(content, root / f"annotations/panoptic_{split}.json")
    things = [category for category in categories if category["isthing"]]
    content = {"images": images, "annotations": instances, "categories": things}
    save_json(content, root / "annotations/instances_val2017.json")


def write_objects365(data: Path, rng: np.random.Generator) -> None:
    """Objects365 v2 with its patch folders and its unpublished images; masks as the public 1,000-image set has them.

    One annotation is a crowd without segmentation, and one has no mask.
    """
    root, space = data / "objects365", get_label_space("objects365")
    categories = [{"id": i, "name": name if i % 50 else f"{name} "} for i, name in enumerate(space.classes, 1)]
    for split, count, with_masks in (("train", TRAIN_IMAGES, False), ("val", VAL_IMAGES, True)):
        images, annotations = [], []
        names = [f"v1/patch{index}/objects365_v1_{index:08}" for index in range(count)]
        for number, name in enumerate([*names, *(UNPUBLISHED if split == "train" else ())]):
            scene = Scene(rng, space)
            if name in names:
                save(scene.picture(rng), root / split / f"{name.partition('/')[2]}.jpg")
            images.append(
                {"id": number, "file_name": f"images/{name}.jpg", "height": HEIGHT, "width": WIDTH, "license": 5}
            )
            for thing in scene.things:
                mask, crowd = scene.mask(thing), with_masks and number == 1 and thing == 5
                box = _box(mask)
                entry = {"id": len(annotations) + 1, "image_id": number, "category_id": scene.label[thing] + 1}
                entry |= {"bbox": box, "area": box[2] * box[3], "iscrowd": int(crowd), "isfake": 0, "isreflected": 0}
                if with_masks and not crowd and (number, thing) != (1, 4):
                    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
                    entry["segmentation"] = {"size": rle["size"], "counts": rle["counts"].decode()}
                annotations.append(entry)
        content = {"images": images, "annotations": annotations, "categories": categories}
        file = "o365_instance_seg_val.json" if with_masks else "zhiyuan_objv2_train.json"
        save_json(content, root / "annotations" / file)
    convert("objects365_instances", root / "annotations/o365_instance_seg_val.json")


def write_pascal_context(data: Path, rng: np.random.Generator) -> None:
    """VOC 2010's images and lists, Pascal Context's ``.mat`` files, and label PNGs made of them."""
    root, space = data / "VOCdevkit/VOC2010", get_label_space("pascal_context459")
    frequent = space.index(get_label_space("pascal_context59").classes)
    for split, count in (("train", TRAIN_IMAGES), ("val", VAL_IMAGES)):
        names = [f"2010_{index + (1000 if split == 'val' else 0):06}" for index in range(count)]
        for name in names:
            scene = Scene(rng, space)
            scene.label[1] = int(rng.choice(frequent))  # so that the 59-class map is never empty
            save(scene.picture(rng), root / f"JPEGImages/{name}.jpg")
            labels = scene.values(lambda n, s=scene: s.label[n] + 1).astype(np.uint16)
            (root / "trainval").mkdir(exist_ok=True)
            savemat(root / f"trainval/{name}.mat", {"LabelMap": labels})
        (root / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
        (root / f"ImageSets/Main/{split}.txt").write_text("\n".join(names) + "\n")
    convert("pascal_context", "--root", root)


def write_cityscapes(data: Path, rng: np.random.Generator) -> None:
    """leftImg8bit and gtFine, with a group of things and unevaluated pixels; panoptic segments made of these."""
    root, space = data / "cityscapes", get_label_space("cityscapes19")
    for index, city in enumerate(("frankfurt", "munster")[:VAL_IMAGES]):
        scene = Scene(rng, space)
        stem = f"val/{city}/{city}_{index:06}_000019"
        save(scene.picture(rng), root / f"leftImg8bit/{stem}_leftImg8bit.png")
        number = {n: CITYSCAPES_IDS[label] for n, label in scene.label.items()}
        number |= {n: 1000 * number[n] + n for n in (3, 4)}  # 5 stays a group
        not_evaluated = 4  # "static"
        values = scene.values(lambda n, ids=number: ids[n], not_evaluated)
        save_array(values.astype(np.uint16), root / f"gtFine/{stem}_gtFine_instanceIds.png")
    convert("cityscapes_panoptic", "--root", root)


def write_garden(data: Path, rng: np.random.Generator) -> None:
    """The templates of configs/own_data: label maps and instances of the same images, and boxes on other images."""
    root, categories = data / "garden", [{"id": i, "name": name} for i, name in enumerate(GARDEN.classes)]
    for split, count in (("train", TRAIN_IMAGES), ("val", VAL_IMAGES), ("boxes", TRAIN_IMAGES)):
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for index in range(count):
            scene = Scene(rng, GARDEN)
            save(scene.picture(rng), root / f"images/{split}/{index}.jpg")
            if split != "boxes":
                labels = scene.values(lambda n, s=scene: s.label[n], default=255)
                save_array(labels.astype(np.uint8), root / f"labels/{split}/{index}.png")
            images.append({"id": index, "file_name": f"{index}.jpg", "height": HEIGHT, "width": WIDTH})
            for thing in scene.things:
                x, y, width, height = box = _box(scene.mask(thing))
                corners = [x, y, x + width, y, x + width, y + height, x, y + height]
                masks = {} if split == "boxes" else {"segmentation": [corners]}
                entry = {"id": len(annotations), "image_id": index, "category_id": scene.label[thing], "bbox": box}
                annotations.append({**entry, **masks})
        content = {"images": images, "annotations": annotations, "categories": categories}
        save_json(content, root / ("boxes_train.json" if split == "boxes" else f"instances_{split}.json"))


LAYOUTS: dict[str, Callable[[Path, np.random.Generator], None]] = {
    "ade": write_ade,
    "coco": write_coco,
    "objects365": write_objects365,
    "pascal_context": write_pascal_context,
    "cityscapes": write_cityscapes,
    "garden": write_garden,
}
