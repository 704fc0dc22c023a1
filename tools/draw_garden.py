"""Draw a tiny set of gardens in the layout of configs/own_data: label maps, instances, and other images with boxes.

    python tools/draw_garden.py data/garden

    images/train, labels/train    24 images with label maps: 0 lawn, 1 tree, 2 gravel path, 3 shed, 255 unlabelled (sky)
    images/val, labels/val        8 more of these, to test on
    instances_train.json          the trees and sheds of images/train as instances (COCO), with masks as RLE
    instances_val.json            those of images/val
    images/boxes                  40 images, whose trees and sheds have boxes in boxes_train.json (COCO)

A folder that exists and is not empty is left as it is. The same seed draws the same gardens.
"""

import argparse
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from mmdataseg.apis.parsers import Parser
from mmdataseg.apis.user_errors import user_errors
from mmdataseg.errors import UserError
from mmdataseg.formats.json_files import write_coco_json
from mmdataseg.formats.masks import describe_mask
from mmdataseg.formats.png import write_png
from mmdataseg.formats.whole_files import write_whole

HEIGHT, WIDTH = 128, 160
LAWN, TREE, PATH, SHED, UNLABELLED = 0, 1, 2, 3, 255
THINGS = {TREE: "tree", SHED: "shed"}
IMAGES = {"train": 24, "val": 8, "boxes": 40}


@dataclass(frozen=True, eq=False)
class Garden:
    """A drawn garden.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8, the class of each pixel, or `UNLABELLED`.
        things: (class, (H, W) bool mask of its visible pixels) of each tree and shed that can be seen.
    """

    image: np.ndarray
    labels: np.ndarray
    things: list[tuple[int, np.ndarray]]


def draw(rng: np.random.Generator) -> Garden:
    """Draw a garden: sky, lawn, a gravel path, then sheds and trees from the far end to the near one.

    Args:
        rng: Source of every choice.
    """
    horizon = int(rng.integers(24, 40))
    image = np.empty((HEIGHT, WIDTH, 3), np.float32)
    image[:horizon], image[horizon:] = (168, 202, 232), (104, 156, 66)
    labels = np.full((HEIGHT, WIDTH), LAWN, np.uint8)
    labels[:horizon] = UNLABELLED
    near, far = rng.uniform(0.1, 0.9, 2) * WIDTH
    corners = [(far - 4, horizon), (far + 4, horizon), (near + 20, HEIGHT), (near - 20, HEIGHT)]
    path = _filled(corners)
    image[path], labels[path] = (170, 164, 152), PATH
    speckle = rng.standard_normal((HEIGHT, WIDTH, 1)).astype(np.float32)
    image += speckle * np.where(path, 26, 9)[..., None]

    number = np.full((HEIGHT, WIDTH), -1)  # of the nearest thing
    kinds = [TREE] * int(rng.integers(1, 4)) + [SHED] * int(rng.integers(0, 3))
    places = sorted((float(rng.uniform(horizon + 8, HEIGHT - 8)), kind) for kind in kinds)
    for index, (foot, kind) in enumerate(places):
        size = 16 + 30 * (foot - horizon) / (HEIGHT - horizon)
        where = float(rng.uniform(0.08, 0.92)) * WIDTH
        mask = (_tree if kind == TREE else _shed)(rng, image, where, foot, size)
        labels[mask], number[mask] = kind, index
    noisy = image + rng.standard_normal(image.shape).astype(np.float32) * 5
    things = [(kind, number == index) for index, (_, kind) in enumerate(places) if (number == index).any()]
    return Garden(noisy.clip(0, 255).astype(np.uint8), labels, things)


def _tree(rng: np.random.Generator, image: np.ndarray, x: float, foot: float, size: float) -> np.ndarray:
    """Draw a tree into the image. Return its mask."""
    trunk = _filled([(x - size / 10, foot - size / 2), (x + size / 10, foot - size / 2), (x + 2, foot), (x - 2, foot)])
    crown = np.zeros((HEIGHT, WIDTH), np.uint8)
    for _ in range(6):
        offset = rng.uniform(-0.25, 0.25, 2) * size
        centre = (round(x + offset[0]), round(foot - 0.9 * size + offset[1]))
        cv2.circle(crown, centre, round(size * float(rng.uniform(0.22, 0.36))), 1, cv2.FILLED)
    image[trunk] = (96, 68, 44)
    leaves = rng.uniform(0.6, 1.3, (HEIGHT, WIDTH, 1)).astype(np.float32)
    image[crown > 0] = (np.array((34, 84, 40), np.float32) * leaves)[crown > 0]
    return trunk | (crown > 0)


def _shed(rng: np.random.Generator, image: np.ndarray, x: float, foot: float, size: float) -> np.ndarray:
    """Draw a shed into the image. Return its mask."""
    half, top = 0.6 * size, foot - 0.7 * size
    walls = _filled([(x - half, top), (x + half, top), (x + half, foot), (x - half, foot)])
    roof = _filled([(x - half - 3, top), (x, top - 0.5 * size), (x + half + 3, top)])
    planks = 1 - 0.18 * (np.arange(WIDTH) % 5 == 0)[None, :, None]
    image[walls] = (np.array((158, 108, 66)) * rng.uniform(0.85, 1.15) * planks).repeat(HEIGHT, 0)[walls]
    image[roof] = np.array((120, 54, 46)) * rng.uniform(0.85, 1.15)
    return walls | roof


def _filled(corners: Sequence[tuple[float, float]]) -> np.ndarray:
    """(H, W) bool: the inside of a polygon of (x, y) corners in pixels."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(mask, [np.array(corners).round().astype(np.int32)], 1)
    return mask > 0


def annotations_of(garden: Garden, image_id: int, *, with_masks: bool) -> Iterator[dict[str, Any]]:
    """Yield the COCO annotations of a garden's things, without ids.

    Args:
        garden: The garden.
        image_id: Id of its image.
        with_masks: Whether they have masks, not only boxes.
    """
    for kind, mask in garden.things:
        fields = describe_mask(mask)
        if not with_masks:
            fields = {"bbox": fields["bbox"]}
        yield {"image_id": image_id, "category_id": kind, "iscrowd": 0, **fields}


def write_gardens(folder: Path, *, seed: int = 0) -> int:
    """Write the whole set, completely or not at all.

    Args:
        folder: Where to write: a folder that does not exist or is empty.
        seed: Seed of every choice.

    Returns:
        Number of images.
    """
    aside = folder.with_name(folder.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    for number, (split, count) in enumerate(IMAGES.items()):
        rng = np.random.default_rng([seed, number])
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for index in range(count):
            garden, name = draw(rng), f"garden_{index:02}"
            encoded = BytesIO()
            Image.fromarray(garden.image).save(encoded, format="JPEG", quality=92)
            write_whole(aside / "images" / split / f"{name}.jpg", encoded.getvalue())
            if split != "boxes":
                write_png(aside / "labels" / split / f"{name}.png", garden.labels)
            images.append({"id": index, "file_name": f"{name}.jpg", "height": HEIGHT, "width": WIDTH})
            annotations += annotations_of(garden, index, with_masks=split != "boxes")
        write_coco_json(
            aside / ("boxes_train.json" if split == "boxes" else f"instances_{split}.json"),
            images=images,
            annotations=({"id": place, **annotation} for place, annotation in enumerate(annotations, 1)),
            categories=[{"id": kind, "name": name} for kind, name in THINGS.items()],
        )
    aside.replace(folder)
    return sum(IMAGES.values())


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "out", nargs="?", type=Path, default=Path("data/garden"), help="folder to write (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the gardens and say what was written.

    Raises:
        SystemExit: The seed is negative.
    """
    options = parse_args(arguments)
    with user_errors():
        if options.seed < 0:
            raise UserError(f"--seed: expected 0 or more, got {options.seed}")
        if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
            print(f"{options.out} exists and is not empty; nothing was drawn")
            return
        print(f"{options.out}: {write_gardens(options.out, seed=options.seed)} images of gardens")


if __name__ == "__main__":
    main()
