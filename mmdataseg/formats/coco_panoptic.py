"""COCO panoptic: segment ids as colours, the PNG and its ``segments_info``, and the JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from mmdataseg.errors import UserError
from mmdataseg.formats.coco_values import as_file_name, id_key
from mmdataseg.formats.json_files import COCO_KEYS, broken, load_json
from mmdataseg.formats.png import write_png
from mmdataseg.ops.run_lengths import unique_values
from mmdataseg.progress import counted

_JSON = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class PanopticSegments:
    """The panoptic segments of an image, as on disk.

    Args:
        ids: (H, W) int32 segment ids, 0 = unlabelled, below 2^24.
        categories: Segment id -> category id, for every id of the map except 0.
        crowds: Ids of the crowd regions.
    """

    ids: np.ndarray
    categories: Mapping[int, int]
    crowds: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class PanopticJson:
    """The content of a panoptic JSON. Each image has exactly one annotation.

    Args:
        images: Image id, converted by `id_key` -> entry of ``images``, in the order of the file.
        annotations: Image id -> entry of ``annotations``; ``segments_info`` is a list.
        categories: The ``categories`` as in the file.
    """

    images: Mapping[Any, _JSON]
    annotations: Mapping[Any, _JSON]
    categories: Sequence[_JSON]


@dataclass(frozen=True, kw_only=True)
class PanopticPredictions:
    """The content of a panoptic JSON of predictions.

    Args:
        images: As in `PanopticJson`; empty: the file has none.
        annotations: As in `PanopticJson`.
        categories: The ``categories`` as in the file; None: the file has none.
    """

    images: Mapping[Any, _JSON]
    annotations: Mapping[Any, _JSON]
    categories: Sequence[_JSON] | None


def id_to_rgb(ids: np.ndarray) -> np.ndarray:
    """Convert (H, W) segment ids below 2^24 to COCO's colours, (H, W, 3) uint8: id = R + 256 G + 256^2 B."""
    bytes_HW4 = np.ascontiguousarray(ids, "<i4").view(np.uint8).reshape(*ids.shape, 4)
    return np.ascontiguousarray(bytes_HW4[..., :3])


def rgb_to_id(rgb: np.ndarray) -> np.ndarray:
    """Convert COCO's colours, (H, W, 3) uint8, to (H, W) int32 segment ids, R + 256 G + 256^2 B."""
    padded = np.zeros((*rgb.shape[:2], 4), np.uint8)
    for channel in range(3):  # a quarter of the time of padded[..., :3] = rgb
        padded[..., channel] = rgb[..., channel]
    return padded.view("<i4")[..., 0]


def segments_info(segments: PanopticSegments) -> list[_JSON]:
    """Return COCO's ``segments_info`` of an image, in the order of the ids.

    Each has id, category, area in pixels, box (x, y, width, height in pixels) and crowd flag.
    """
    ids, index = unique_values(segments.ids)
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
    """Write the id PNG of an image, and return its ``segments_info``."""
    write_png(path, id_to_rgb(segments.ids))
    return segments_info(segments)


def load_panoptic_json(path: Path) -> PanopticJson:
    """Read a panoptic JSON, and check that each image has exactly one annotation.

    Raises:
        MissingFileError: There is no such file.
        UserError: The file is not valid JSON, or a key is missing; it is an instance file; an entry has no such key, or
            no valid file name; an image has no annotation, or an annotation no image; or an image or a file appears
            twice.
    """
    content = load_json(path, COCO_KEYS)
    bare = [a for a in content["annotations"] if isinstance(a, dict) and "segments_info" not in a]
    if bare and ("bbox" in bare[0] or "segmentation" in bare[0]):
        raise UserError(
            "expected a panoptic file, got an instance file: its annotations are single objects without "
            "'segments_info'",
            file=path,
            remedy="use the panoptic JSON, or read this file with InstanceSegDataset",
        )
    images = _by_id(content["images"], "id", "images", path)
    annotations = _by_id(content["annotations"], "image_id", "annotations", path)
    without = [key for key in images if key not in annotations]
    if without:
        raise UserError(
            f"{counted(len(without), 'image has', 'images have')} no annotation, e.g. image {without[0]!r}",
            file=path,
            remedy="annotate them, or remove them from 'images'",
        )
    unlisted = [key for key in annotations if key not in images]
    if unlisted:
        raise UserError(
            f"{counted(len(unlisted), 'annotation is', 'annotations are')} of images that are not listed, "
            f"e.g. image {unlisted[0]!r}",
            file=path,
            remedy="add the images to 'images', or remove the annotations",
        )
    _refuse_shared_files(images, path)
    return PanopticJson(images=images, annotations=annotations, categories=content["categories"])


def load_panoptic_predictions(path: Path) -> PanopticPredictions:
    """Read the annotations of a panoptic JSON of predictions, which may lack ``images`` and ``categories``.

    Raises:
        MissingFileError: There is no such file.
        UserError: The file is not valid JSON; an entry cannot be read; or an image or a file appears twice.
    """
    content = load_json(path, ("annotations",))
    images = _by_id(content.get("images") or (), "id", "images", path)
    annotations = _by_id(content["annotations"], "image_id", "annotations", path)
    _refuse_shared_files(images, path)
    return PanopticPredictions(images=images, annotations=annotations, categories=content.get("categories"))


def _by_id(entries: Sequence[_JSON], key: str, what: str, path: Path) -> dict[Any, _JSON]:
    found: dict[Any, _JSON] = {}
    for entry in entries:
        if not isinstance(entry, dict) or key not in entry:
            raise broken(path, f"an entry of {what!r} has no {key!r}")
        image = id_key(entry[key])
        if not isinstance(image, int | str):
            raise broken(path, f"an entry of {what!r}: '{key}': expected an integer or text, got {entry[key]!r}")
        if image in found:
            raise broken(path, f"image {image} appears twice in {what!r}")
        found[image] = _with_read_values(entry, f"image {image!r} in {what!r}", path)
    return found


def _with_read_values(entry: _JSON, what: str, path: Path) -> _JSON:
    """Return the entry with its file name and list of segments normalised."""
    read = dict(entry)
    if "file_name" in entry:
        try:
            read["file_name"] = as_file_name(entry["file_name"])
        except ValueError as error:
            raise broken(path, f"{what}: {error}") from None
    if "segments_info" in entry:
        read["segments_info"] = [] if entry["segments_info"] is None else entry["segments_info"]
        if not isinstance(read["segments_info"], list):
            raise broken(path, f"{what}: 'segments_info': expected a list, got {type(entry['segments_info']).__name__}")
        for segment in read["segments_info"]:
            if not isinstance(segment, dict) or not isinstance(segment.get("category_id", 0), int | float | str):
                found = str(segment)[:80]
                raise broken(path, f"{what}: expected segments with an 'id' and a 'category_id', got {found}")
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
                remedy="remove one of them",
            )
