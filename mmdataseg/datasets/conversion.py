"""What the converters in ``tools/dataset_converters`` share: files that are whole or not there, in runs that resume."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from mmdataseg.datasets.annotation_files import load_json, require_file
from mmdataseg.files import write_whole
from mmdataseg.progress import progress_bar
from mmdataseg.structures import LabelSpace

_JSON = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Segmented:
    """An image's panoptic segments.

    Args:
        ids: (H, W) int32 segment ids, 0 = unlabelled.
        categories: Segment id -> category id, for every id of the map but 0.
        crowds: Ids of the crowd regions.
    """

    ids: np.ndarray
    categories: Mapping[int, int]
    crowds: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class PanopticImage:
    """An image to convert.

    Args:
        image_id: Of the JSON's ``images``.
        file_name: Of the image, as the JSON shall name it.
        png: File name of its id PNG.
    """

    image_id: str | int
    file_name: str
    png: str


def write_png(path: Path, array: np.ndarray) -> None:
    """Write a PNG so that it is there whole or not at all.

    Args:
        path: Where to.
        array: (H, W) uint8 or uint16, or (H, W, 3) uint8 RGB.
    """
    encoded = BytesIO()
    Image.fromarray(array).save(encoded, format="PNG")
    write_whole(path, encoded.getvalue())


def read_png(path: Path, what: str) -> np.ndarray:
    """Values of a PNG as stored.

    Args:
        path: The file.
        what: What it is, for messages.

    Raises:
        FileNotFoundError: It is missing.
        ValueError: It cannot be decoded.
    """
    require_file(path, what)
    try:
        with Image.open(path) as image:
            return np.asarray(image)
    except (OSError, SyntaxError) as error:  # PIL raises SyntaxError for a broken PNG chunk
        raise ValueError(f"'{path}' ({what}) cannot be decoded ({error}); fetch or unpack it again") from None


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image, from its header.

    Raises:
        FileNotFoundError: It is missing.
        ValueError: It is no image.
    """
    require_file(path, "image")
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except OSError as error:
        raise ValueError(f"'{path}' is no image ({error}); fetch or unpack it again") from None


def require_size(path: Path, size: tuple[int, int], expected: tuple[int, int], other: Path) -> None:
    """Check that an annotation has the size of its image.

    Raises:
        ValueError: It has another one.
    """
    if tuple(size) != tuple(expected):
        raise ValueError(
            f"'{path}' has {size[0]} x {size[1]} pixels (height x width), '{other}' has {expected[0]} x {expected[1]}; "
            "take both from the same release"
        )


def id_to_rgb(ids: np.ndarray) -> np.ndarray:
    """COCO's colours of segment ids: id = R + 256 G + 256^2 B.

    Args:
        ids: (H, W), 0 <= id < 2^24.

    Returns:
        (H, W, 3) uint8.
    """
    return np.stack([ids & 255, (ids >> 8) & 255, ids >> 16], axis=-1).astype(np.uint8)


def segments_info(segmented: Segmented) -> list[_JSON]:
    """The ``segments_info`` of an image: id, category, area, box in xywh and crowd flag, in the order of the ids."""
    ids, index = np.unique(segmented.ids, return_inverse=True)
    index = index.reshape(segmented.ids.shape)
    areas = np.bincount(index.ravel())
    found = []
    for row, window in enumerate(ndimage.find_objects(index + 1)):
        if not ids[row]:
            continue
        (top, bottom), (left, right) = ((part.start, part.stop) for part in window)
        found.append(
            {
                "id": int(ids[row]),
                "category_id": int(segmented.categories[int(ids[row])]),
                "area": int(areas[row]),
                "bbox": [left, top, right - left, bottom - top],
                "iscrowd": int(int(ids[row]) in segmented.crowds),
            }
        )
    return found


def panoptic_categories(space: LabelSpace, ids: Iterable[int]) -> list[_JSON]:
    """The ``categories`` of a panoptic JSON: the label space's names and thing flags under the given ids."""
    return [
        {"id": number, "name": name, "isthing": int(thing)}
        for number, name, thing in zip(ids, space.classes, space.is_thing, strict=True)
    ]


def convert_panoptic(
    images: Sequence[PanopticImage],
    *,
    convert: Callable[[PanopticImage], Segmented],
    categories: Sequence[_JSON],
    json_file: Path,
    png_dir: Path,
    description: str,
) -> int:
    """Write a panoptic JSON and its id PNGs, or what is missing of them.

    Each finished image is a line of a journal beside the JSON, so that an interrupted run goes on where it stopped; the
    journal is gone when the JSON is there.

    Args:
        images: All images, in the order of the JSON.
        convert: Reads the annotation of one.
        categories: Of the JSON.
        json_file: Where to.
        png_dir: Where the PNGs go.
        description: Of the progress bar.

    Returns:
        How many images were converted; 0 when all was there.

    Raises:
        ValueError: ``json_file`` is there and no panoptic JSON, or has other categories.
    """
    journal = json_file.with_name(json_file.name + ".journal")
    complete = json_file.is_file()
    records = _finished(json_file, categories) if complete else _journalled(journal)
    there = {path.name for path in png_dir.glob("*.png")}
    records = {key: record for key, record in records.items() if record["annotation"]["file_name"] in there}
    todo = [image for image in images if image.image_id not in records]
    if complete and not todo and len(records) == len(images):
        return 0
    if todo:
        png_dir.mkdir(parents=True, exist_ok=True)
        with journal.open("a", encoding="utf-8") as file:
            for image in progress_bar(todo, desc=description, unit="images"):
                record = _convert_one(image, convert, png_dir)
                file.write(json.dumps(record) + "\n")
                file.flush()
                records[image.image_id] = record
    ordered = [records[image.image_id] for image in images]
    content = {
        "images": [record["image"] for record in ordered],
        "annotations": [record["annotation"] for record in ordered],
        "categories": list(categories),
    }
    write_whole(json_file, json.dumps(content))
    journal.unlink(missing_ok=True)
    return len(todo)


def _convert_one(image: PanopticImage, convert: Callable[[PanopticImage], Segmented], png_dir: Path) -> _JSON:
    segmented = convert(image)
    write_png(png_dir / image.png, id_to_rgb(segmented.ids))
    height, width = segmented.ids.shape
    return {
        "image": {"id": image.image_id, "file_name": image.file_name, "height": height, "width": width},
        "annotation": {
            "image_id": image.image_id,
            "file_name": image.png,
            "segments_info": segments_info(segmented),
        },
    }


def _journalled(journal: Path) -> dict[str | int, _JSON]:
    if not journal.is_file():
        return {}
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    if len(whole) < len(lines):  # cut short while it was written
        write_whole(journal, "".join(whole))
    records = map(json.loads, whole)
    return {record["image"]["id"]: record for record in records}


def _finished(json_file: Path, categories: Sequence[_JSON]) -> dict[str | int, _JSON]:
    content = load_json(json_file, ("images", "annotations", "categories"))
    if content["categories"] != list(categories):
        raise ValueError(
            f"'{json_file}' is there with other categories, so this converter did not write it; move it away or choose "
            "another output"
        )
    annotations = {annotation["image_id"]: annotation for annotation in content["annotations"]}
    return {image["id"]: {"image": image, "annotation": annotations[image["id"]]} for image in content["images"]}
