"""COCO panoptic: segment ids as colours, the PNG with its ``segments_info``, and the JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from mmdataseg.errors import UserError
from mmdataseg.formats.coco_values import as_file_name, id_key
from mmdataseg.formats.json_files import COCO_KEYS, load_json
from mmdataseg.formats.png import write_png

_JSON = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class PanopticSegments:
    """The panoptic segments of an image, as on disk.

    Args:
        ids: (H, W) int32 segment ids, 0 = unlabelled, below 2^24.
        categories: Segment id -> category id, for every id of the map but 0.
        crowds: Ids of the crowd regions.
    """

    ids: np.ndarray
    categories: Mapping[int, int]
    crowds: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class PanopticJson:
    """The content of a panoptic JSON, each image with exactly one annotation.

    Args:
        images: Image id, as of `id_key` -> entry of ``images``, in the order of the file.
        annotations: Image id -> entry of ``annotations``; ``segments_info`` is a list.
        categories: As in the file.
    """

    images: Mapping[Any, _JSON]
    annotations: Mapping[Any, _JSON]
    categories: Sequence[_JSON]


def id_to_rgb(ids: np.ndarray) -> np.ndarray:
    """Write segment ids as COCO's colours: id = R + 256 G + 256^2 B.

    Args:
        ids: (H, W), 0 <= id < 2^24.

    Returns:
        (H, W, 3) uint8.
    """
    return np.stack([ids & 255, (ids >> 8) & 255, ids >> 16], axis=-1).astype(np.uint8)


def rgb_to_id(rgb: np.ndarray) -> np.ndarray:
    """Read COCO's segment ids, R + 256 G + 256^2 B.

    Args:
        rgb: (H, W, 3) uint8.

    Returns:
        (H, W) int32.
    """
    padded = np.zeros((*rgb.shape[:2], 4), np.uint8)
    padded[..., :3] = rgb
    return padded.view("<i4")[..., 0]


def segments_info(segments: PanopticSegments) -> list[_JSON]:
    """Describe the segments of an image as COCO's ``segments_info`` does.

    Args:
        segments: Of the image.

    Returns:
        Id, category, area in pixels, box (x, y, width, height in pixels) and crowd flag, in the order of the ids.
    """
    ids, index = np.unique(segments.ids, return_inverse=True)
    index = index.reshape(segments.ids.shape)
    areas = np.bincount(index.ravel())
    found = []
    for row, window in enumerate(ndimage.find_objects(index + 1)):
        if not ids[row]:
            continue
        (top, bottom), (left, right) = ((part.start, part.stop) for part in window)
        found.append(
            {
                "id": int(ids[row]),
                "category_id": int(segments.categories[int(ids[row])]),
                "area": int(areas[row]),
                "bbox": [left, top, right - left, bottom - top],
                "iscrowd": int(int(ids[row]) in segments.crowds),
            }
        )
    return found


def write_panoptic_png(path: Path, segments: PanopticSegments) -> list[_JSON]:
    """Write the id PNG of an image.

    Args:
        path: Where to write.
        segments: Of the image.

    Returns:
        Its ``segments_info``.
    """
    write_png(path, id_to_rgb(segments.ids))
    return segments_info(segments)


def load_panoptic_json(path: Path) -> PanopticJson:
    """Read a panoptic JSON, and check that each image has exactly one annotation.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It is not valid JSON, or lacks a key; it is an instance file; an entry lacks a key, or its file name
            is none; an image without annotation, or the reverse; an image or a file that appears twice.
    """
    content = load_json(path, COCO_KEYS)
    bare = [a for a in content["annotations"] if isinstance(a, dict) and "segments_info" not in a]
    if bare and ("bbox" in bare[0] or "segmentation" in bare[0]):
        raise UserError(
            "its annotations are single objects, without 'segments_info': an instance file, where a panoptic one is "
            "expected",
            file=path,
            remedy="give the panoptic JSON, or read this one with InstanceSegDataset",
        )
    images = _by_id(content["images"], "id", "images", path)
    annotations = _by_id(content["annotations"], "image_id", "annotations", path)
    without = [key for key in images if key not in annotations]
    if without:
        raise UserError(
            f"{len(without)} images have no annotation, e.g. image {without[0]!r}",
            file=path,
            remedy="annotate them, or take them out of 'images'",
        )
    unlisted = [key for key in annotations if key not in images]
    if unlisted:
        raise UserError(
            f"{len(unlisted)} annotations are of images that are not listed, e.g. image {unlisted[0]!r}",
            file=path,
            remedy="add them to 'images', or take the annotations out",
        )
    _refuse_shared_files(images, path)
    return PanopticJson(images=images, annotations=annotations, categories=content["categories"])


def _by_id(entries: Sequence[_JSON], key: str, what: str, path: Path) -> dict[Any, _JSON]:
    found: dict[Any, _JSON] = {}
    for entry in entries:
        if not isinstance(entry, dict) or key not in entry:
            raise UserError(f"an entry of {what!r} has no {key!r}", file=path, remedy="repair the file")
        image = id_key(entry[key])
        if not isinstance(image, int | str):
            raise UserError(
                f"an entry of {what!r}: '{key}': expected an integer or text, got {entry[key]!r}",
                file=path,
                remedy="repair the file",
            )
        if image in found:
            raise UserError(f"image {image} appears twice in {what!r}", file=path, remedy="repair the file")
        found[image] = _with_read_values(entry, f"image {image!r} in {what!r}", path)
    return found


def _with_read_values(entry: _JSON, what: str, path: Path) -> _JSON:
    """The entry with its file name and its list of segments as they are meant."""
    read = dict(entry)
    if "file_name" in entry:
        try:
            read["file_name"] = as_file_name(entry["file_name"])
        except ValueError as error:
            raise UserError(f"{what}: {error}", file=path, remedy="repair the file") from None
    if "segments_info" in entry:
        read["segments_info"] = [] if entry["segments_info"] is None else entry["segments_info"]
        if not isinstance(read["segments_info"], list):
            raise UserError(
                f"{what}: 'segments_info': expected a list, got {type(entry['segments_info']).__name__}",
                file=path,
                remedy="repair the file",
            )
        for segment in read["segments_info"]:
            if not isinstance(segment, dict) or not isinstance(segment.get("category_id", 0), int | float | str):
                raise UserError(
                    f"{what}: expected segments with an 'id' and a 'category_id', got {str(segment)[:80]}",
                    file=path,
                    remedy="repair the file",
                )
    return read


def _refuse_shared_files(images: Mapping[Any, _JSON], path: Path) -> None:
    owners: dict[str, Any] = {}
    for image, entry in images.items():
        if "file_name" not in entry:
            continue
        other = owners.setdefault(entry["file_name"], image)
        if other != image:
            raise UserError(
                f"images {other!r} and {image!r} have the same file '{entry['file_name']}'",
                file=path,
                remedy="take one of them out",
            )
