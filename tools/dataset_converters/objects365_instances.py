"""Make the public Objects365 instance set (Gu et al., 2023; 1,000 validation images) ready to be scored against.

    python tools/dataset_converters/objects365_instances.py data/objects365/annotations/o365_instance_seg_val.json

The file is Objects365's detection format with a ``segmentation`` for the annotated boxes. This leaves out crowds, which
its authors did not annotate and skip, and boxes that raters passed over, which have no mask; adds what scoring needs
and the file may lack (``iscrowd``, ``info``, ``licenses``, ``url``); sets ``area`` to the mask's, where Objects365 has
the box's; and cuts file names to ``patch4/a.jpg``, as the images lie. It writes ``instances_val_1000.json`` beside the
input, and counts what it left out. A second run does nothing.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmdataseg.datasets.annotation_files import UNKNOWN, category_labels, load_json, unknown_category
from mmdataseg.datasets.transforms.annotation_maps import decode_mask
from mmdataseg.files import write_whole
from mmdataseg.progress import progress_bar
from mmdataseg.text.vocabularies import get_label_space

_JSON = dict[str, Any]
EXPECTED_IMAGES = 1000


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("json", type=Path, help="o365_instance_seg_val.json of the published set")
    parser.add_argument("--out", type=Path, help="(default: instances_val_1000.json beside the input)")
    return parser.parse_args(arguments)


def convert(content: _JSON, path: Path) -> tuple[_JSON, Counter[str]]:
    """Complete the content of the file.

    Args:
        content: The JSON.
        path: Of the file, for messages.

    Returns:
        The new content, and how many annotations were kept and left out, by reason.

    Raises:
        ValueError: A category outside the label space, an annotation of an unlisted image, a mask that is none.
    """
    labels = category_labels(
        content["categories"], classes=get_label_space("objects365").classes, label_map=None, path=path
    )
    counts: Counter[str] = Counter()
    images = {image["id"]: image | {"file_name": _last_parts(image["file_name"])} for image in content["images"]}
    kept = list(_annotations(content, images, labels, path, counts))
    defaults = {"info": {"description": "DaTaSeg Objects365 instance segmentation, converted"}, "licenses": []}
    return {**defaults, **content, "images": list(images.values()), "annotations": kept}, counts


def _last_parts(file_name: str) -> str:
    return "/".join(file_name.split("/")[-2:])


def _annotations(
    content: _JSON, images: Mapping[int, _JSON], labels: Mapping[int, int], path: Path, counts: Counter[str]
) -> Iterator[_JSON]:
    for annotation in progress_bar(content["annotations"], desc="masks"):
        where = f"annotation {annotation.get('id')}"
        if labels.get(annotation["category_id"], UNKNOWN) < 0:
            raise unknown_category(path, where, annotation["category_id"], content["categories"])
        if annotation["image_id"] not in images:
            raise ValueError(
                f"'{path}': {where} is of image {annotation['image_id']}, which is not listed; fetch it again"
            )
        if annotation.get("iscrowd", 0):
            counts["left out: crowd"] += 1
            continue
        if not annotation.get("segmentation"):
            counts["left out: no mask"] += 1
            continue
        image = images[annotation["image_id"]]
        try:
            mask = decode_mask(annotation["segmentation"], image["height"], image["width"])
        except (ValueError, TypeError) as error:
            raise ValueError(f"'{path}': {where}: {error}; fetch the file again") from None
        if not mask.any():
            counts["left out: empty mask"] += 1
            continue
        counts["kept"] += 1
        yield {**annotation, "iscrowd": 0, "area": int(mask.sum()), "bbox": annotation.get("bbox") or _box(mask)}


def _box(mask: np.ndarray) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    return [x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y]


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert, and say what was done."""
    args = parse_args(arguments)
    out = args.out or args.json.with_name("instances_val_1000.json")
    if out.is_file():
        print(f"{out}: complete, nothing to do (delete it to convert again)")
        return
    try:
        content, counts = convert(load_json(args.json, ("images", "annotations", "categories")), args.json)
    except (ValueError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
    except KeyError as error:
        raise SystemExit(
            f"'{args.json}': an image or annotation lacks the key {error}; fetch the file again"
        ) from error
    write_whole(out, json.dumps(content))
    number = len(content["images"])
    print(f"{out}: {number} images; annotations {dict(counts)}")
    if number != EXPECTED_IMAGES:
        print(f"note: the published set has {EXPECTED_IMAGES} images, this file {number}")


if __name__ == "__main__":
    main()
