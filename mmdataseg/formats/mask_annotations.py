"""Reads COCO instances with masks or boxes as a whole, as the ground truth of average precision."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmdataseg.errors import UserError
from mmdataseg.formats.categories import check_categories
from mmdataseg.formats.coco_instances import refuse_panoptic, unlisted_image
from mmdataseg.formats.coco_values import as_flag, as_id, as_number, box_column
from mmdataseg.formats.json_files import COCO_KEYS, broken, load_json
from mmdataseg.formats.masks import check_segmentation, decode_mask
from mmdataseg.progress import counted

_JSON = dict[str, Any]


def read_mask_annotations(path: Path) -> _JSON:
    """Read a COCO instance JSON in which every annotation has a mask.

    Returns:
        The content of the file, with values converted as in `read_instance_table`: ids are integers, category names
        have no leading or trailing blanks, ``iscrowd`` is 0 or 1, polygons are lists of lists. A missing ``area`` is
        computed from the mask, in pixels. A missing size of an image is that of its RLE masks.

    Raises:
        MissingFileError: There is no such file.
        UserError: The file is not valid JSON, or a key is missing; a category id or an image id appears twice; an
            annotation has no mask, or belongs to an image that is not listed; or an id, a number or a mask is not
            valid.
    """
    content, images, categories = _read(path, "segmentation", "mask", remedy="mask AP needs masks, not boxes")
    for annotation in content["annotations"]:
        _complete(annotation, images[annotation["image_id"]], path)
        _check_numbers(annotation, categories, path)
    return content


def read_box_annotations(path: Path) -> _JSON:
    """Read a COCO instance JSON in which every annotation has a box. Masks are dropped.

    Returns:
        The content of the file, with values converted as by `read_mask_annotations`. A box is x, y, width and height in
        pixels. A missing ``area`` is that of the box.

    Raises:
        MissingFileError: There is no such file.
        UserError: As `read_mask_annotations`, for boxes.
    """
    content, _, categories = _read(path, "bbox", "box", remedy="box AP needs boxes")
    for annotation in content["annotations"]:
        annotation.pop("segmentation", None)
        try:
            box_column([annotation["bbox"]], "bbox")  # a check; it would round to float32
            box = [float(number) for number in annotation["bbox"]]
            if not np.isfinite(box).all() or min(box[2:]) < 0:
                raise ValueError(f"'bbox': expected finite numbers and an extent of at least 0, got {box}")
        except ValueError as error:
            raise broken(path, f"annotation {annotation['id']} cannot be read ({error})") from None
        annotation["bbox"] = box
        if annotation.get("area") is None:
            annotation["area"] = box[2] * box[3]
        _check_numbers(annotation, categories, path)
    return content


def _read(path: Path, key: str, what: str, *, remedy: str) -> tuple[_JSON, dict[int, _JSON], set[int]]:
    """Return the content of a file whose annotations all have the key, its images by id, and its category ids."""
    content = load_json(path, COCO_KEYS)
    names = check_categories(content["categories"], path)
    content["categories"] = [
        dict(category, id=number, name=name)
        for category, (number, name) in zip(content["categories"], names.items(), strict=True)
    ]
    images = _images_by_id(content["images"], path)
    for annotation in content["annotations"]:
        refuse_panoptic(annotation, path)
        _require(annotation, ("id", "image_id", "category_id"), "annotations", path)
        _read_values(annotation, ("id", "image_id", "category_id"), "annotations", path)
        if annotation["image_id"] not in images:
            raise unlisted_image(path, annotation["id"], annotation["image_id"])
    bare = [annotation for annotation in content["annotations"] if not annotation.get(key)]
    if bare:
        raise UserError(
            f"{counted(len(bare), 'annotation has', 'annotations have')} no {what}, e.g. annotation {bare[0]['id']}",
            file=path,
            remedy=f"use annotations with '{key}': {remedy}",
        )
    return content, images, set(names)


def _images_by_id(entries: list[Any], path: Path) -> dict[int, _JSON]:
    images: dict[int, _JSON] = {}
    for image in entries:
        _require(image, ("id",), "images", path)
        _read_values(image, ("id", "height", "width"), "images", path)
        if image["id"] in images:
            raise broken(path, f"image id {image['id']} appears twice in 'images'")
        images[image["id"]] = image
    return images


def _require(entry: Any, keys: tuple[str, ...], what: str, path: Path) -> None:
    missing = [key for key in keys if not isinstance(entry, Mapping) or key not in entry]
    if missing:
        raise broken(path, f"an entry of {what!r} has no {missing[0]!r}: {str(entry)[:200]}")


def _read_values(entry: _JSON, keys: tuple[str, ...], what: str, path: Path) -> None:
    """Convert the ids and, if present, the sizes of an entry to integers, in place."""
    try:
        entry.update({key: as_id(entry[key], key) for key in keys if key in entry})
    except ValueError as error:
        raise broken(path, f"an entry of {what!r} cannot be read ({error}): {str(entry)[:200]}") from None


def _complete(annotation: _JSON, image: _JSON, path: Path) -> None:
    """Check the mask of an annotation, and fill in area and size, in place."""
    height, width = image.get("height"), image.get("width")
    if height is None or width is None:
        height = width = None
        if annotation.get("area") is None or not isinstance(annotation["segmentation"], Mapping):
            what = "has no 'area'" if annotation.get("area") is None else "is a polygon"
            raise UserError(
                f"annotation {annotation['id']} {what}, so its image needs 'height' and 'width', which are missing",
                file=path,
                remedy="add them to the image",
            )
    try:
        annotation["segmentation"] = check_segmentation(annotation["segmentation"], height, width)
        if height is None:
            image["height"], image["width"] = height, width = annotation["segmentation"]["size"]
        if annotation.get("area") is None:
            annotation["area"] = float(decode_mask(annotation["segmentation"], height, width).sum())
    except (TypeError, ValueError) as error:
        raise UserError(
            f"the mask of annotation {annotation['id']} cannot be read ({type(error).__name__}: {error})",
            file=path,
            remedy="repair or remove the annotation",
        ) from error


def _check_numbers(annotation: _JSON, categories: set[int], path: Path) -> None:
    """Convert crowd flag and area, and check that the category is listed, in place."""
    try:
        annotation["iscrowd"] = int(as_flag(annotation.get("iscrowd"), "iscrowd"))
        if not isinstance(annotation["area"], int | float):
            annotation["area"] = as_number(annotation["area"], "area")
    except ValueError as error:
        raise broken(path, f"annotation {annotation['id']} cannot be read ({error})") from None
    if annotation["category_id"] not in categories:
        what = f"annotation {annotation['id']} has category {annotation['category_id']}"
        raise broken(path, f"{what}, which the file's own 'categories' do not list")
