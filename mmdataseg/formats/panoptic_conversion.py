"""Converts a dataset to COCO panoptic. An interrupted run can be resumed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdataseg.errors import UserError
from mmdataseg.formats.coco_panoptic import PanopticSegments, load_panoptic_json, write_panoptic_png
from mmdataseg.formats.journal import Journal
from mmdataseg.formats.json_files import write_coco_json
from mmdataseg.progress import progress_bar

_JSON = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class PanopticImage:
    """An image to convert.

    Args:
        image_id: Id of the image in the JSON.
        file_name: File name of the image in the JSON.
        png: File name of its id PNG.
    """

    image_id: str | int
    file_name: str
    png: str


def convert_panoptic(
    images: Sequence[PanopticImage],
    *,
    convert: Callable[[PanopticImage], PanopticSegments],
    categories: Sequence[_JSON],
    json_file: Path,
    png_dir: Path,
    description: str,
) -> int:
    """Write a panoptic JSON and its id PNGs, or the missing ones of an earlier run.

    Each finished image becomes a record of a journal beside the JSON, so that an interrupted run continues where it
    stopped. The journal is removed once the JSON is written.

    Args:
        images: All images, in the order of the JSON.
        convert: Reads the annotation of one image.
        categories: The ``categories`` of the JSON.
        json_file: Path of the JSON.
        png_dir: Folder of the PNGs.
        description: Text of the progress bar.

    Returns:
        Number of images converted; 0 if nothing was missing.

    Raises:
        UserError: ``json_file`` exists and is not a panoptic JSON, or has other categories.
    """
    journal = Journal(json_file.with_name(json_file.name + ".journal"))
    complete = json_file.is_file()
    known = _finished(json_file, categories) if complete else journal.read()
    present = {path.name for path in png_dir.glob("*.png")}
    records = {r["image"]["id"]: r for r in known if r["annotation"]["file_name"] in present}
    todo = [image for image in images if image.image_id not in records]
    if complete and not todo and len(records) == len(images):
        return 0
    if todo:
        with journal:
            for image in progress_bar(todo, desc=description, unit="images"):
                records[image.image_id] = _convert_one(image, convert, png_dir)
                journal.append(records[image.image_id])
    ordered = [records[image.image_id] for image in images]
    write_coco_json(
        json_file,
        images=[record["image"] for record in ordered],
        annotations=[record["annotation"] for record in ordered],
        categories=categories,
    )
    journal.remove()
    return len(todo)


def _convert_one(image: PanopticImage, convert: Callable[[PanopticImage], PanopticSegments], png_dir: Path) -> _JSON:
    segments = convert(image)
    height, width = segments.ids.shape
    infos = write_panoptic_png(png_dir / image.png, segments)
    return {
        "image": {"id": image.image_id, "file_name": image.file_name, "height": height, "width": width},
        "annotation": {"image_id": image.image_id, "file_name": image.png, "segments_info": infos},
    }


def _finished(json_file: Path, categories: Sequence[_JSON]) -> list[_JSON]:
    content = load_panoptic_json(json_file)
    if content.categories != list(categories):
        raise UserError(
            "the file exists with other categories, so this converter did not write it",
            file=json_file,
            remedy="move it away, or choose another output",
        )
    return [{"image": image, "annotation": content.annotations[key]} for key, image in content.images.items()]
