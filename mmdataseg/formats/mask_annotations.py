"""COCO instances with masks, read whole: what mask AP is scored against."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdataseg.errors import UserError
from mmdataseg.formats.categories import check_categories
from mmdataseg.formats.coco_instances import unlisted_image
from mmdataseg.formats.json_files import COCO_KEYS, load_json
from mmdataseg.formats.masks import decode_mask

_JSON = dict[str, Any]
_REPAIR = "repair the file"


def read_mask_annotations(path: Path) -> _JSON:
    """Read a COCO instance JSON in which every annotation has a mask.

    Args:
        path: The file.

    Returns:
        Its content. ``iscrowd`` is 0 where it was missing, and ``area`` the mask's, in pixels.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It is not valid JSON, or lacks a key; a category id or an image id appears twice; an annotation lacks
            a key or its mask, or is of an image that is not listed; a mask whose area is needed cannot be read.
    """
    content = load_json(path, COCO_KEYS)
    check_categories(content["categories"], path)
    images: dict[Any, _JSON] = {}
    for image in content["images"]:
        _require(image, ("id",), "images", path)
        if image["id"] in images:
            raise UserError(f"image id {image['id']} appears twice in 'images'", file=path, remedy=_REPAIR)
        images[image["id"]] = image
    for annotation in content["annotations"]:
        _require(annotation, ("id", "image_id", "category_id"), "annotations", path)
        if annotation["image_id"] not in images:
            raise unlisted_image(path, annotation["id"], annotation["image_id"])
    bare = [annotation for annotation in content["annotations"] if not annotation.get("segmentation")]
    if bare:
        raise UserError(
            f"{len(bare)} annotations have no mask, e.g. annotation {bare[0]['id']}",
            file=path,
            remedy="use annotations with 'segmentation': mask AP cannot be scored against boxes",
        )
    for annotation in content["annotations"]:
        annotation.setdefault("iscrowd", 0)
        if "area" not in annotation:
            annotation["area"] = _area(annotation, images[annotation["image_id"]], path)
    return content


def _require(entry: Any, keys: tuple[str, ...], what: str, path: Path) -> None:
    missing = [key for key in keys if not isinstance(entry, Mapping) or key not in entry]
    if missing:
        raise UserError(f"an entry of {what!r} lacks {missing[0]!r}: {str(entry)[:200]}", file=path, remedy=_REPAIR)


def _area(annotation: _JSON, image: _JSON, path: Path) -> float:
    if not {"height", "width"} <= image.keys():
        raise UserError(
            f"annotation {annotation['id']} has no 'area', and its image no 'height' and 'width' to find it by",
            file=path,
            remedy="add one or the other",
        )
    try:
        return float(decode_mask(annotation["segmentation"], image["height"], image["width"]).sum())
    except Exception as error:  # pycocotools raises what it comes upon
        raise UserError(
            f"the mask of annotation {annotation['id']} cannot be read ({type(error).__name__}: {error})",
            file=path,
            remedy="repair or remove it",
        ) from error
