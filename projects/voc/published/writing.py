"""Writes a set of images in the layout that the sources read."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmdataseg.errors import UserError
from mmdataseg.formats.categories import make_categories
from mmdataseg.formats.coco_panoptic import PanopticSegments, load_panoptic_json, rgb_to_id
from mmdataseg.formats.json_files import write_coco_json
from mmdataseg.formats.masks import describe_mask
from mmdataseg.formats.panoptic_conversion import PanopticImage, convert_panoptic
from mmdataseg.formats.paths import require_file
from mmdataseg.formats.png import image_size, read_png, require_size, write_png
from mmdataseg.progress import progress_bar
from projects.voc.published.annotations import (
    BACKGROUND,
    SEGMENTS,
    THINGS,
    Maps,
    panoptic_segments,
    read_boxes,
)

ReadMaps = Callable[[str], Maps]
_THINGS = make_categories(THINGS, range(1, len(THINGS) + 1))


def image_id(name: str) -> int:
    """Convert a name of VOC to a number: 2007_000027 -> 2007000027.

    Raises:
        UserError: The name does not consist of a year and a number.
    """
    digits = name.replace("_", "", 1)
    if not digits.isdigit():
        raise UserError(f"expected an image name such as 2007_000027, got {name!r}", remedy="correct the list")
    return int(digits)


def write_images(voc: Path, out: Path, name: str, images: Sequence[str]) -> None:
    """Link the photographs of a set to ``images/<name>``.

    Args:
        voc: The folder ``VOC2012``.
        out: Root of the layout.
        name: Name of the set.
        images: Its images.

    Raises:
        MissingFileError: A photograph is missing.
    """
    folder = out / "images" / name
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {f"{image}.jpg" for image in images}
    for link in folder.iterdir():
        if link.name not in wanted:  # from an earlier run with another rule or list
            link.unlink()
    for file in sorted(wanted):
        target, link = voc / "JPEGImages" / file, folder / file
        require_file(target, "photograph", remedy="unpack VOCtrainval_11-May-2012.tar again")
        if not link.exists():
            link.unlink(missing_ok=True)  # a broken link to an earlier place of the data
            link.symlink_to(os.path.relpath(target.resolve(), folder.resolve()))


def write_boxes(voc: Path, out: Path, name: str, images: Sequence[str]) -> int:
    """Write ``annotations/boxes_<name>.json``. Difficult objects become crowd regions, which are neither trained on nor
    scored.

    Args:
        voc: The folder ``VOC2012``.
        out: Root of the layout.
        name: Name of the set.
        images: Its images.

    Returns:
        The number of boxes.

    Raises:
        MissingFileError: An XML file or a photograph is missing.
        UserError: A file cannot be read.
    """
    annotations: list[dict[str, Any]] = []
    for image in progress_bar(images, desc=f"boxes of {name}"):
        for box in read_boxes(voc / "Annotations" / f"{image}.xml"):
            entry = {"id": len(annotations) + 1, "image_id": image_id(image), "category_id": box.category}
            entry |= {"bbox": list(box.xywh), "area": box.xywh[2] * box.xywh[3], "iscrowd": int(box.difficult)}
            annotations.append(entry)
    entries = [_image(voc, image) for image in images]
    write_coco_json(out / f"annotations/boxes_{name}.json", images=entries, annotations=annotations, categories=_THINGS)
    return len(annotations)


def write_maps(voc: Path, out: Path, name: str, images: Sequence[str], read: ReadMaps) -> None:
    """Write the label maps ``labels/<name>``, the panoptic segments and the instances of a set.

    Args:
        voc: The folder ``VOC2012``.
        out: Root of the layout.
        name: Name of the set.
        images: Its images.
        read: Reads the maps of an image.

    Raises:
        MissingFileError: A file is missing.
        UserError: A file cannot be read, or its size differs from that of the photograph.
    """
    labels = out / "labels" / name
    if labels.is_dir():
        for path in labels.iterdir():
            if path.stem not in set(images):
                path.unlink()

    def convert(image: PanopticImage) -> PanopticSegments:
        maps, photograph = read(Path(image.file_name).stem), voc / "JPEGImages" / image.file_name
        path = labels / image.png
        require_size(path, maps.classes.shape, image_size(photograph), photograph)
        try:
            segments = panoptic_segments(maps)
        except ValueError as error:
            raise UserError(str(error), file=image.file_name, remedy="use the maps as they are published") from None
        write_png(path, maps.classes)
        return segments

    json_file = out / f"annotations/panoptic_{name}.json"
    if json_file.is_file() and _names(json_file) != set(images):
        json_file.unlink()  # from an earlier run with another rule or list
    convert_panoptic(
        [PanopticImage(image_id=image_id(n), file_name=f"{n}.jpg", png=f"{n}.png") for n in images],
        convert=convert,
        categories=make_categories(SEGMENTS, range(1, len(SEGMENTS) + 1)),
        json_file=json_file,
        png_dir=json_file.with_suffix(""),
        description=f"maps of {name}",
    )
    write_instances(json_file, out / f"annotations/instances_{name}.json")


def write_instances(panoptic: Path, instances: Path) -> None:
    """Write the things of a panoptic JSON as instances with masks.

    Args:
        panoptic: The JSON, with its PNGs in the folder of the same name.
        instances: Path of the file to write.
    """
    content = load_panoptic_json(panoptic)
    annotations: list[dict[str, Any]] = []
    for key, entry in progress_bar(content.annotations.items(), desc=f"masks of {instances.stem}"):
        ids = rgb_to_id(np.asarray(read_png(panoptic.with_suffix("") / entry["file_name"], "id map")))
        for segment in entry["segments_info"]:
            if segment["category_id"] == BACKGROUND:
                continue
            found = {"id": len(annotations) + 1, "image_id": content.images[key]["id"], "iscrowd": segment["iscrowd"]}
            found |= {"category_id": segment["category_id"], **describe_mask(ids == segment["id"])}
            annotations.append(found)
    write_coco_json(instances, images=list(content.images.values()), annotations=annotations, categories=_THINGS)


def _image(voc: Path, name: str) -> dict[str, Any]:
    height, width = image_size(voc / "JPEGImages" / f"{name}.jpg")
    return {"id": image_id(name), "file_name": f"{name}.jpg", "height": height, "width": width}


def _names(json_file: Path) -> set[str]:
    return {Path(entry["file_name"]).stem for entry in load_panoptic_json(json_file).images.values()}
