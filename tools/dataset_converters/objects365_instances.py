"""Prepare the public Objects365 instance set (Gu et al., 2023; 1,000 validation images) for scoring.

    python tools/dataset_converters/objects365_instances.py data/objects365/annotations/o365_instance_seg_val.json

The file is Objects365's detection format with a ``segmentation`` for the annotated boxes. This program leaves out
crowds, which its authors neither annotated nor scored, and boxes without a mask, which the annotators skipped. It adds
missing fields that scoring needs (``iscrowd``, ``info``, ``licenses``, ``url``). It sets ``area`` to that of the mask,
where Objects365 has that of the box. It shortens file names to ``patch4/a.jpg``, where the images are. It writes
``instances_val_1000.json`` beside the input, and counts what it left out. A second run does nothing.

With ``--ignore-unmasked`` a box without a mask becomes a region to ignore (``iscrowd`` 1, the box its region), so that
a detection there is not a false positive. By default, it is one. The paper does not say which of the two it used.

The published counts are 1,000 images, 13,372 boxes given to the annotators and 12,836 masks drawn by them. A file with
other counts is also converted, with a warning for each count that differs.
"""

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mmdataseg.apis.parsers import Parser
from mmdataseg.errors import UserError
from mmdataseg.formats.categories import UNKNOWN, category_labels, unknown_category
from mmdataseg.formats.coco_values import as_file_name, as_flag, as_id, as_number, size_column
from mmdataseg.formats.json_files import load_json
from mmdataseg.formats.masks import decode_mask, describe_mask
from mmdataseg.formats.whole_files import write_whole
from mmdataseg.progress import progress_bar
from mmdataseg.text.vocabularies import get_label_space

_JSON = dict[str, Any]
# as published with the set
PUBLISHED = {"images": 1000, "boxes asked for": 13372, "masks": 12836}
# how annotations are counted, by what is done with them
KEPT, CROWD, NO_MASK, EMPTY_MASK, IGNORED = (
    "kept",
    "left out: crowd",
    "left out: no mask",
    "left out: empty mask",
    "kept as region to ignore: no mask",
)


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path, help="o365_instance_seg_val.json of the published set")
    parser.add_argument(
        "--ignore-unmasked",
        action="store_true",
        help="keep boxes without a mask as regions to ignore (default: leave them out)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="(default: beside the input, instances_val_1000.json, or with --ignore-unmasked "
        "instances_val_1000_ignore-unmasked.json)",
    )
    return parser.parse_args(arguments)


def convert(content: _JSON, path: Path, *, ignore_unmasked: bool = False) -> tuple[_JSON, Counter[str]]:
    """Complete the content of the file.

    Args:
        content: The JSON.
        path: Path of the file, for messages.
        ignore_unmasked: Keep boxes without a mask as regions to ignore.

    Returns:
        The new content, and how many annotations were kept and left out, by reason.

    Raises:
        UserError: An image or an annotation cannot be read, or a key of it is missing; two images have the same id; a
            category is not in the label space; or an annotation belongs to an unlisted image.
    """
    labels = category_labels(
        content["categories"], classes=get_label_space("objects365").classes, label_map=None, path=path
    )
    counts: Counter[str] = Counter()
    images = _images(content["images"], path)
    kept = list(_annotations(content, images, labels, path, ignore_unmasked, counts))
    defaults = {"info": {"description": "DaTaSeg Objects365 instance segmentation, converted"}, "licenses": []}
    return {**defaults, **content, "images": list(images.values()), "annotations": kept}, counts


@contextmanager
def _naming(key: str, position: int, entry: Any, path: Path) -> Iterator[None]:
    """Name the file and the entry of the list ``key`` in an error about the entry, as a `UserError`."""
    try:
        if not isinstance(entry, dict):
            raise ValueError(f"expected an object with keys, got {str(entry)[:80]!r}")
        yield
        return
    except UserError:
        raise
    except KeyError as error:
        what = f"key {error} is missing"
    except (TypeError, ValueError, OverflowError) as error:
        what = str(error)
    has_id = isinstance(entry, dict) and "id" in entry
    where = f"{key.removesuffix('s')} {entry['id']}" if has_id else f"{key}[{position}]"
    raise UserError(f"{where}: {what}", file=path, remedy="download the file again")


def _images(entries: Sequence[Any], path: Path) -> dict[int, _JSON]:
    """Id of an image -> its entry, with the file name shortened and the size as integers."""
    images: dict[int, _JSON] = {}
    for position, entry in enumerate(entries):
        with _naming("images", position, entry, path):
            number = as_id(entry["id"], "id")
            if number in images:
                raise ValueError("'id': an image before it has the same")
            height, width = size_column([entry])[0].tolist()
            name = "/".join(as_file_name(entry["file_name"]).split("/")[-2:])
            images[number] = {**entry, "file_name": name, "height": height, "width": width}
    return images


def _annotations(
    content: _JSON,
    images: Mapping[int, _JSON],
    labels: Mapping[int, int],
    path: Path,
    ignore_unmasked: bool,
    counts: Counter[str],
) -> Iterator[_JSON]:
    for position, annotation in enumerate(progress_bar(content["annotations"], desc="masks")):
        with _naming("annotations", position, annotation, path):
            number, image_id, category = (as_id(annotation[key], key) for key in ("id", "image_id", "category_id"))
            if labels.get(category, UNKNOWN) < 0:
                raise unknown_category(path, f"annotation {number}", category, content["categories"])
            if image_id not in images:
                raise UserError(
                    f"annotation {number} belongs to image {image_id}, which is not listed",
                    file=path,
                    remedy="fetch it again",
                )
            image = images[image_id]
            what, converted = _annotation(annotation, image["height"], image["width"], ignore_unmasked)
        counts[what] += 1
        if converted is not None:
            yield converted


def _annotation(annotation: _JSON, height: int, width: int, ignore_unmasked: bool) -> tuple[str, _JSON | None]:
    """How an annotation is counted, and its new content; None if it is left out."""
    if as_flag(annotation.get("iscrowd"), "iscrowd"):
        return CROWD, None
    box = _numbers(annotation["bbox"]) if annotation.get("bbox") else None
    if annotation.get("segmentation"):
        mask = decode_mask(annotation["segmentation"], height, width)
        if mask.any():
            return KEPT, {
                **annotation,
                "iscrowd": 0,
                "area": int(mask.sum()),
                "bbox": annotation["bbox"] if box else describe_mask(mask)["bbox"],
            }
    left_out = EMPTY_MASK if annotation.get("segmentation") else NO_MASK
    if not ignore_unmasked:
        return left_out, None
    if box is None:
        raise KeyError("bbox")
    region = _region(box, height, width)
    if not region.any():
        return left_out, None
    described = describe_mask(region)
    del described["bbox"]  # the file's box is kept
    return IGNORED, {**annotation, "iscrowd": 1, **described}


def _numbers(box: Any) -> list[float]:
    """The four numbers of a box, which must be finite."""
    if not isinstance(box, list) or len(box) != 4 or not all(math.isfinite(as_number(side, "bbox")) for side in box):
        raise ValueError(f"'bbox': expected four finite numbers x, y, width, height, got {str(box)[:80]}")
    return [float(side) for side in box]


def _region(box: Sequence[float], height: int, width: int) -> np.ndarray:
    """(height, width) uint8: the pixels of the image that a box (x, y, width, height) touches."""
    x, y, box_width, box_height = box
    region = np.zeros((height, width), np.uint8)
    rows = slice(max(0, math.floor(y)), max(0, math.ceil(y + box_height)))
    columns = slice(max(0, math.floor(x)), max(0, math.ceil(x + box_width)))
    region[rows, columns] = 1
    return region


def differing_counts(path: Path, num_images: int, counts: Mapping[str, int]) -> list[str]:
    """Compare the counts with the published ones.

    Args:
        path: Path of the input.
        num_images: Number of images listed in it.
        counts: The counts of `convert`.

    Returns:
        A sentence for each count that differs.
    """
    unmasked = sum(counts.get(what, 0) for what in (NO_MASK, EMPTY_MASK, IGNORED))
    masks = counts.get(KEPT, 0)
    found = {"images": num_images, "boxes asked for": masks + unmasked, "masks": masks}
    return [
        f"'{path}': expected {PUBLISHED[what]:,} {what}, as published, got {number:,}; scores on it cannot be compared "
        "with the paper's. Fetch the file again, unless you want a part of the set"
        for what, number in found.items()
        if number != PUBLISHED[what]
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert, and report what was done."""
    args = parse_args(arguments)
    suffix = "_ignore-unmasked" if args.ignore_unmasked else ""
    out = args.out or args.json.with_name(f"instances_val_1000{suffix}.json")
    if out.is_file():
        print(f"{out}: complete, nothing to do (delete it to convert again)")
        return
    try:
        content = load_json(args.json, ("images", "annotations", "categories"))
        content, counts = convert(content, args.json, ignore_unmasked=args.ignore_unmasked)
    except (UserError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
    write_whole(out, json.dumps(content))
    num_images = len(content["images"])
    print(f"{out}: {num_images} images; annotations {dict(counts)}")
    for sentence in differing_counts(args.json, num_images, counts):
        print(f"warning: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    main()
