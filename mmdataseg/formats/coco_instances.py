"""Reads COCO instances, element by element, into columns."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmdataseg.errors import UserError
from mmdataseg.formats.categories import UNKNOWN, category_labels, unknown_category
from mmdataseg.formats.coco_values import as_file_name, box_column, flag_column, id_column, size_column
from mmdataseg.formats.instance_table import COUNTS, InstanceTable
from mmdataseg.formats.json_files import COCO_KEYS, broken, check_keys
from mmdataseg.formats.json_stream import stream_json
from mmdataseg.formats.masks import check_segmentation
from mmdataseg.formats.paths import require_file
from mmdataseg.ops.id_map import VOID
from mmdataseg.progress import counted

_BLOCK = 1 << 16
_Block = dict[str, np.ndarray]


def read_instance_table(
    path: Path,
    *,
    classes: Sequence[str],
    label_map: Mapping[str, str | None] | None = None,
    with_masks: bool = False,
    drop_bad_boxes: bool = False,
    path_parts: int | None = None,
    leave_out: Sequence[str] = (),
) -> InstanceTable:
    """Read a COCO-style instance JSON, element by element.

    Args:
        path: The file.
        classes: Class names of the label space; a label is a position in it.
        label_map: Category name in the file -> class name, or None for void.
        with_masks: Keep ``segmentation``, which every annotation must then have.
        drop_bad_boxes: Leave out and count bad boxes instead of raising. With ``with_masks``, a box of width or height
            0 inside its image is not bad: the object has its mask.
        path_parts: Number of parts to keep, from the end, of each file name; None: all.
        leave_out: File names, shortened by ``path_parts``, of images that are not used.

    Raises:
        MissingFileError: There is no such file.
        UserError: The file is not valid JSON, or not a COCO file; an annotation belongs to an unlisted image, or its
            category is not in the label space; a box is not finite, has no extent (see ``drop_bad_boxes``) or is
            outside its image; or an annotation has no segmentation although ``with_masks`` is set.
    """
    require_file(path, "annotation file")
    reader = _Reader(path, with_masks, path_parts, leave_out)
    for key, element in stream_json(path):
        reader.take(key, element)
    check_keys(reader.keys, COCO_KEYS, path)
    labels = category_labels(reader.categories, classes=classes, label_map=label_map, path=path)
    return reader.table(labels, drop_bad_boxes)


class _Reader:
    """Collects elements in blocks, and converts each full block to arrays."""

    def __init__(self, path: Path, with_masks: bool, path_parts: int | None, leave_out: Sequence[str]) -> None:
        self.path = path
        self.with_masks = with_masks
        self.path_parts = path_parts
        self.leave_out = frozenset(leave_out)
        self.keys: set[str] = set()
        self.categories: list[dict[str, Any]] = []
        self.pending: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": []}
        self.blocks: dict[str, list[_Block]] = {"images": [], "annotations": []}
        self.blobs: dict[str, list[bytes]] = {"names": [], "masks": []}

    def take(self, key: str, element: Any) -> None:
        self.keys.add(key)
        if element is None:
            return
        if key == "categories":
            self.categories.append(element)
        elif key in self.pending:
            self.pending[key].append(element)
            if len(self.pending[key]) == _BLOCK:
                self.flush(key)

    def flush(self, key: str) -> None:
        block, self.pending[key] = self.pending[key], []
        if not block:
            return
        try:
            self.blocks[key].append(self.image_columns(block) if key == "images" else self.annotation_columns(block))
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise self.first_fault(key, block, error) from None

    def image_columns(self, block: list[dict[str, Any]]) -> _Block:
        names = [as_file_name(image["file_name"]) for image in block]
        if self.path_parts is not None:
            names = ["/".join(name.split("/")[-self.path_parts :]) for name in names]
        used = [name not in self.leave_out for name in names]
        encoded = [name.encode() for name in names]
        self.blobs["names"].append(b"".join(encoded))
        return {
            "image_ids": id_column([image["id"] for image in block], "id"),
            "sizes": size_column(block),
            "name_lengths": np.array([len(name) for name in encoded], np.int32),
            "name_hashes": np.array([hash(name) for name in encoded], np.int64),
            "used": np.array(used, bool),
        }

    def annotation_columns(self, block: list[dict[str, Any]]) -> _Block:
        columns: _Block = {
            "annotation_ids": id_column([a["id"] for a in block], "id"),
            "image_of": id_column([a["image_id"] for a in block], "image_id"),
            "categories": id_column([a["category_id"] for a in block], "category_id"),
            "boxes": box_column([a["bbox"] for a in block], "bbox"),
            # "ignore" is what some exporters write for difficult objects; mmdet leaves them out of training, too
            "is_crowd": flag_column([a.get("iscrowd", 0) for a in block], "iscrowd")
            | flag_column([a.get("ignore", 0) for a in block], "ignore"),
        }
        if self.with_masks:
            masks = [json.dumps(_segmentation(a), separators=(",", ":")).encode() for a in block]
            self.blobs["masks"].append(b"".join(masks))
            columns["mask_lengths"] = np.array([len(mask) for mask in masks], np.int64)
        return columns

    def first_fault(self, key: str, block: list[dict[str, Any]], error: Exception) -> UserError:
        """Return an error that names the first element of the block that cannot be read."""
        read = self.image_columns if key == "images" else self.annotation_columns
        for element in block:
            refuse_panoptic(element, self.path)
            try:
                read([element])
            except KeyError as missing:
                what = f"an entry of {key!r} has no {missing}"
            except (TypeError, ValueError, OverflowError, AttributeError) as wrong:
                what = f"an entry of {key!r} cannot be read ({wrong})"
            else:
                continue
            name = f"id {element['id']}" if isinstance(element, dict) and "id" in element else repr(element)[:80]
            boxes_only = ", or train with boxes only (with_masks=False)" if "segmentation" in what else ""
            return UserError(f"{what}: {name}", file=self.path, remedy=f"repair the file{boxes_only}")
        return broken(self.path, f"{key!r} cannot be read ({error})")

    def table(self, label_of: Mapping[int, int], drop_bad_boxes: bool) -> InstanceTable:
        """Match and check the annotations block by block, then sort them by image."""
        self.flush("images")
        self.flush("annotations")
        image_ids = _column(self.blocks["images"], "image_ids", np.int64)
        sizes = _column(self.blocks["images"], "sizes", np.int32, 2)
        if not len(image_ids):
            raise UserError("the file has no image", file=self.path, remedy="use a file with at least one image")
        row_of_image = self.sorted_image_ids(image_ids)
        self.refuse_repeated_names(image_ids)
        blocks = self.blocks["annotations"]
        for block in blocks:
            block["images"] = self.match_images(block, *row_of_image)
            block["labels"] = self.match_labels(block, label_of)
            self.check_boxes(block, sizes[block["images"]])
        num_bad = sum(int(block["bad"].sum()) for block in blocks)
        if num_bad and not drop_bad_boxes:
            raise self.bad_box(num_bad, sizes)
        bad, labels = _column(blocks, "bad", bool), _column(blocks, "labels", np.int32)
        clipped, flat = _column(blocks, "clipped", bool), _column(blocks, "flat", bool)
        void = labels == VOID
        images = _column(blocks, "images", np.int32)
        kept = np.flatnonzero(~void & ~bad)
        kept = kept[np.argsort(images[kept], kind="stable")]
        per_image = np.bincount(images[kept], minlength=len(image_ids))
        is_crowd = _column(blocks, "is_crowd", bool)[kept]
        ids = _column(blocks, "annotation_ids", np.int64)
        counts = {
            "void": void.sum(),
            "clipped": clipped[kept].sum(),
            "bad": (bad & ~void).sum(),
            "crowd": is_crowd.sum(),
            "images_without_box": (per_image == 0).sum(),
            **{name: _column(blocks, name, bool).sum() for name in ("outside", "corners", "fractions")},
            "repeated_ids": len(ids) - len(np.unique(ids)),
            "flat": flat[kept].sum(),
        }
        masks, mask_offsets = self.sorted_masks(kept)
        return InstanceTable(
            image_ids=image_ids,
            sizes=sizes,
            names=np.frombuffer(b"".join(self.blobs.pop("names")), np.uint8),
            name_offsets=_offsets(_column(self.blocks["images"], "name_lengths", np.int32)),
            box_offsets=_offsets(per_image),
            boxes=_column(blocks, "boxes", np.float32, 4)[kept],
            labels=labels[kept],
            is_crowd=is_crowd,
            masks=masks,
            mask_offsets=mask_offsets,
            rows=self.rows,
            counts=np.array([counts[name] for name in COUNTS], np.int64),
        )

    def sorted_image_ids(self, image_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the sorted image ids, and the row of each."""
        order = np.argsort(image_ids, kind="stable").astype(np.int32)
        known = image_ids[order]
        twice = known[1:][known[1:] == known[:-1]]
        if len(twice):
            raise broken(self.path, f"image id {twice[0]} appears twice in 'images'")
        return known, order

    def refuse_repeated_names(self, image_ids: np.ndarray) -> None:
        """Raise if two images have the same file: each would have only a part of its annotations."""
        used = np.flatnonzero(_column(self.blocks["images"], "used", bool))
        self.rows = used.astype(np.int32)
        hashes = _column(self.blocks["images"], "name_hashes", np.int64)[used]
        order = used[np.argsort(hashes, kind="stable")]
        hashes = np.sort(hashes)
        same = np.flatnonzero(hashes[1:] == hashes[:-1])
        if not len(same):
            return
        first, second = order[same[0]], order[same[0] + 1]
        lengths = np.concatenate([block["name_lengths"] for block in self.blocks["images"]])
        start = int(lengths[:first].sum())
        name = b"".join(self.blobs["names"])[start : start + int(lengths[first])].decode()
        shortened = "" if self.path_parts is None else f" (the last {self.path_parts} parts of file_name)"
        raise UserError(
            f"images {image_ids[first]} and {image_ids[second]} have the same file '{name}'{shortened}",
            file=self.path,
            remedy="merge their annotations under one id" if self.path_parts is None else "increase path_parts",
        )

    def match_images(self, block: _Block, known: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Return the row of each annotation's image."""
        wanted = block.pop("image_of")
        position = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        unlisted = np.flatnonzero(known[position] != wanted)
        if len(unlisted):
            row = unlisted[0]
            raise unlisted_image(self.path, int(block["annotation_ids"][row]), int(wanted[row]))
        return order[position]

    def match_labels(self, block: _Block, label_of: Mapping[int, int]) -> np.ndarray:
        """Return the label of each annotation."""
        category_ids, which = np.unique(block.pop("categories"), return_inverse=True)
        labels = np.array([label_of.get(int(c), UNKNOWN) for c in category_ids], np.int32)[which.reshape(-1)]
        unknown = np.flatnonzero(labels == UNKNOWN)
        if len(unknown):
            annotation = f"annotation {block['annotation_ids'][unknown[0]]}"
            category_id = int(category_ids[which.reshape(-1)[unknown[0]]])
            raise unknown_category(self.path, annotation, category_id, self.categories)
        return labels

    def check_boxes(self, block: _Block, sizes: np.ndarray) -> None:
        """Turn a block's boxes from xywh into xyxy, clip them, and add a column for each kind of doubtful box."""
        boxes = block["boxes"]
        block["fractions"] = np.all((boxes >= 0) & (boxes <= 1), axis=1)
        block["corners"] = _are_corners(boxes, sizes)
        boxes[:, 2:] += boxes[:, :2]
        block["outside"] = np.any(boxes[:, 2:] > sizes[:, ::-1] + 1, axis=1)
        block |= _clip_boxes(boxes, sizes, allow_flat=self.with_masks)
        block["fractions"] &= ~block["flat"]  # such as zeros where an exporter had no box

    def sorted_masks(self, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not self.with_masks:
            return np.empty(0, np.uint8), np.empty(0, np.int64)
        blob = memoryview(b"".join(self.blobs.pop("masks")))
        offsets = _offsets(_column(self.blocks["annotations"], "mask_lengths", np.int64))
        joined = b"".join(blob[offsets[row] : offsets[row + 1]] for row in kept)
        return np.frombuffer(joined, np.uint8), _offsets(np.diff(offsets)[kept])

    def bad_box(self, num_bad: int, sizes: np.ndarray) -> UserError:
        block = next(block for block in self.blocks["annotations"] if block["bad"].any())
        row = int(np.flatnonzero(block["bad"])[0])
        height, width = sizes[block["images"][row]]
        what = counted(num_bad, "box is not a valid box in its image", "boxes are not valid boxes in their image")
        return UserError(
            f"{what}, e.g. annotation "
            f"{block['annotation_ids'][row]}: xyxy {block['boxes'][row].tolist()} in {height} x {width} pixels (height "
            "x width); expected finite numbers, positive width and height, and a part inside the image",
            file=self.path,
            remedy="repair the boxes, or leave them out with drop_bad_boxes=True",
        )


def refuse_panoptic(annotation: Any, path: Path) -> None:
    """Refuse an annotation of a panoptic file, which describes all segments of an image, with a `UserError`."""
    if isinstance(annotation, Mapping) and "segments_info" in annotation:
        raise UserError(
            "expected an instance file, got a panoptic file: its annotations have 'segments_info'",
            file=path,
            remedy="use the instance JSON, or read this file with PanopticSegDataset",
        )


def unlisted_image(path: Path, annotation_id: Any, image_id: Any) -> UserError:
    """Return the error for an annotation of an image that the file does not list."""
    return UserError(
        f"annotation {annotation_id} belongs to image {image_id!r}, which is not listed",
        file=path,
        remedy="add it to 'images', or remove its annotations",
    )


def _segmentation(annotation: Mapping[str, Any]) -> Any:
    segmentation = annotation["segmentation"]
    if not segmentation:
        raise ValueError("its segmentation is empty")
    # report a damaged mask at the start; for polygons, the quick test comes first
    if isinstance(segmentation, Mapping) or not all(
        isinstance(points, list) and len(points) >= 6 and len(points) % 2 == 0 for points in segmentation
    ):
        check_segmentation(segmentation)
    return segmentation


def _are_corners(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return (N,) bool: whether the four numbers, read as xyxy, are a box inside its image, (N, 2) height and width."""
    is_box = (boxes[:, 2:] > boxes[:, :2]) & (boxes[:, :2] >= 0) & (boxes[:, 2:] <= sizes[:, ::-1])
    return np.all(is_box, axis=1)


def _clip_boxes(boxes: np.ndarray, sizes: np.ndarray, *, allow_flat: bool) -> _Block:
    """Clip (N, 4) xyxy boxes in place to their images, (N, 2) height and width.

    Returns:
        Three columns (N,) bool: ``bad``, the boxes that are not changed; ``clipped``; and ``flat``, the boxes of width
        or height 0 inside their image, which are bad unless ``allow_flat``.
    """
    inside = np.clip(boxes, 0, sizes[:, [1, 0, 1, 0]].astype(np.float32))
    visible = inside[:, 2:] > inside[:, :2]  # for x and for y
    flat = allow_flat & (boxes[:, 2:] == boxes[:, :2]) & (inside[:, :2] == boxes[:, :2])
    bad = ~(np.isfinite(boxes) & np.tile(visible | flat, 2)).all(axis=1)
    clipped = (inside != boxes).any(axis=1) & ~bad
    boxes[clipped] = inside[clipped]
    return {"bad": bad, "clipped": clipped, "flat": flat.any(axis=1) & ~bad}


def _column(blocks: list[_Block], name: str, dtype: type, width: int = 0) -> np.ndarray:
    """Concatenate the parts of a column, and free each part once it is copied."""
    lengths = [len(block[name]) for block in blocks]
    joined: np.ndarray = np.empty((sum(lengths), width) if width else sum(lengths), dtype)
    start = 0
    for block, length in zip(blocks, lengths, strict=True):
        joined[start : start + length] = block.pop(name)
        start += length
    return joined


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
