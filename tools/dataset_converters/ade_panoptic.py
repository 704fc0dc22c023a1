"""Make ADE20K's panoptic segments in COCO's format from its label maps and instance annotations.

    python tools/dataset_converters/ade_panoptic.py                     # validation, what the source ade_panoptic reads
    python tools/dataset_converters/ade_panoptic.py --split training
    python tools/dataset_converters/ade_panoptic.py --from-mask2former ade20k_panoptic_val.json

Reads ``images/``, ``annotations/`` (SceneParsing) and ``annotations_instance/`` (Places Challenge 2017) under --root;
writes ``panoptic/<split>.json`` and ``panoptic/<split>/*.png`` there. Stuff comes from the label maps, things from the
instances, which are drawn over the stuff (as in Mask2Former's preparation). A pixel that is a thing only in the label
map stays unlabelled. A region of stuff that is entirely hidden by things is left out.

With --from-mask2former, it reads the JSON of Mask2Former's preparation and the folder of PNGs beside it instead: the
segments are kept, the categories get the names of the label space, and segments without a pixel are left out.

An interrupted run continues where it stopped; a second run does nothing.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmdataseg.apis.parsers import Parser
from mmdataseg.errors import UserError
from mmdataseg.formats.categories import check_categories, make_categories
from mmdataseg.formats.coco_panoptic import PanopticSegments, load_panoptic_json, rgb_to_id
from mmdataseg.formats.coco_values import as_flag, as_id
from mmdataseg.formats.json_files import broken
from mmdataseg.formats.panoptic_conversion import PanopticImage, convert_panoptic
from mmdataseg.formats.paths import list_files, require_dir
from mmdataseg.formats.png import image_size, read_png, require_size
from mmdataseg.structures import LabelSpace
from mmdataseg.text.vocabularies import get_label_space

_INSTANCES_PER_CLASS = 1000  # ids of a class's things: 1000 * category + instance


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--root",
        type=Path,
        default=Path("data/ADEChallengeData2016"),
        help="ADE20K's folder (default: data/ADEChallengeData2016)",
    )
    parser.add_argument(
        "--split", choices=("training", "validation"), default="validation", help="(default: validation)"
    )
    parser.add_argument(
        "--from-mask2former", type=Path, metavar="JSON", help="ade20k_panoptic_val.json of Mask2Former's preparation"
    )
    return parser.parse_args(arguments)


def thing_categories(space: LabelSpace) -> np.ndarray:
    """Category (label + 1) of the instance annotations' classes 1 to 100: the things, in the order of the labels.

    Returns:
        (101,) int32; 0 for class 0.
    """
    return np.array([0, *(label + 1 for label, thing in enumerate(space.is_thing) if thing)], np.int32)


def combine(labels: np.ndarray, classes: np.ndarray, instances: np.ndarray, space: LabelSpace) -> PanopticSegments:
    """Draw the instances over the stuff of the label map.

    Args:
        labels: (H, W) label map, 0 = unlabelled, label + 1.
        classes: (H, W) instance class 0 to 100; 0 = none.
        instances: (H, W) number of the instance in the image; 0 = none.
        space: The label space of ADE20K.

    Raises:
        ValueError: ADE20K does not have a label or a class, or an instance has no class or several.
    """
    things = thing_categories(space)
    if int(labels.max()) > len(space):
        raise ValueError(f"the label map has the value {int(labels.max())}, expected 0 to {len(space)}")
    if int(classes.max()) >= len(things):
        raise ValueError(f"the instances have the class {int(classes.max())}, expected 0 to {len(things) - 1}")
    is_stuff = np.array([False, *(not thing for thing in space.is_thing)])
    ids = np.where(is_stuff[labels], labels, 0).astype(np.int32)
    inside = instances > 0
    if (classes[inside] == 0).any():
        raise ValueError("an instance has no class (its red channel is 0)")
    category = things[classes]
    ids[inside] = _INSTANCES_PER_CLASS * category[inside] + instances[inside]
    present = np.unique(ids)
    of_things = present[present > _INSTANCES_PER_CLASS]
    numbers, counts = np.unique(of_things % _INSTANCES_PER_CLASS, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"instance {int(numbers[counts > 1][0])} has several classes")
    categories = {int(i): int(i) if i <= len(space) else int(i) // _INSTANCES_PER_CLASS for i in present if i}
    return PanopticSegments(ids=ids, categories=categories)


def from_official(root: Path, split: str, space: LabelSpace) -> tuple[list[PanopticImage], Callable]:
    """The images of a split, and how to convert one."""
    folders = {name: root / name / split for name in ("images", "annotations", "annotations_instance")}
    for folder in folders.values():
        require_dir(folder, "ADE20K's folder")
    stems = sorted(list_files(folders["images"], ".jpg"))
    if not stems:
        raise FileNotFoundError(f"'{folders['images']}' holds no .jpg; unpack ADE20K's images there")

    def convert(image: PanopticImage) -> PanopticSegments:
        size = image_size(folders["images"] / image.file_name)
        label_path, instance_path = (folders[n] / image.png for n in ("annotations", "annotations_instance"))
        labels, coded = read_png(label_path, "label map"), read_png(instance_path, "instance annotation")
        require_size(label_path, labels.shape[:2], size, folders["images"] / image.file_name)
        require_size(instance_path, coded.shape[:2], size, folders["images"] / image.file_name)
        if labels.ndim != 2 or coded.ndim != 3:
            wrong, channels = (label_path, "one channel") if labels.ndim != 2 else (instance_path, "RGB")
            raise UserError(f"expected {channels}", file=wrong, remedy="unpack the official archive again")
        try:
            return combine(labels, coded[..., 0], coded[..., 1], space)
        except ValueError as error:
            raise UserError(
                f"with '{instance_path}': {error}", file=label_path, remedy="unpack both archives again"
            ) from None

    return [PanopticImage(image_id=s, file_name=f"{s}.jpg", png=f"{s}.png") for s in stems], convert


def from_mask2former(json_file: Path, space: LabelSpace) -> tuple[list[PanopticImage], Callable]:
    """The images of Mask2Former's JSON, and how to convert one.

    Raises:
        UserError: Its categories are not ADE20K's 150 in the order of the labels, according to their thing flags; or an
            entry cannot be read.
    """
    content = load_panoptic_json(json_file)
    png_dir = require_dir(json_file.with_suffix(""), "folder of Mask2Former's PNGs")
    if _thing_flags(content.categories, json_file) != dict(enumerate(space.is_thing)):
        raise UserError(
            f"expected the categories 0 to {len(space) - 1} with ADE20K's thing flags, as Mask2Former writes them",
            file=json_file,
            remedy="convert the official annotations instead, without --from-mask2former",
        )
    images, segments_of = [], {}
    for key, image in content.images.items():
        try:
            segments_of[key] = _segments(content.annotations[key]["segments_info"], len(space))
            png = content.annotations[key]["file_name"]
            images.append(PanopticImage(image_id=key, file_name=image["file_name"], png=png))
        except (KeyError, ValueError) as error:
            raise broken(json_file, f"image {key!r} or its annotation: {_fault(error)}") from None

    def convert(image: PanopticImage) -> PanopticSegments:
        path = png_dir / image.png
        png = read_png(path, "id PNG", colours=True)
        if png.ndim != 3 or png.shape[2] < 3:
            raise broken(path, f"expected an RGB PNG of segment ids, got shape {png.shape}")
        ids, known = rgb_to_id(png[..., :3]), segments_of[image.image_id]
        present = [int(i) for i in np.unique(ids) if i]
        unknown = [i for i in present if i not in known]
        if unknown:
            raise UserError(
                f"has the segment {unknown[0]}, which is not in '{json_file}'",
                file=path,
                remedy="make both again",
            )
        crowds = frozenset(i for i in present if known[i].is_crowd)
        return PanopticSegments(ids=ids, categories={i: known[i].category + 1 for i in present}, crowds=crowds)

    return images, convert


def _thing_flags(categories: Sequence[Any], json_file: Path) -> dict[Any, bool]:
    """Id of a category -> whether it is a thing."""
    numbers = check_categories(categories, json_file)
    try:
        flags = [as_flag(category["isthing"], "isthing") for category in categories]
    except (KeyError, ValueError) as error:
        raise broken(json_file, f"a category: {_fault(error)}") from None
    return dict(zip(numbers, flags, strict=True))


class _Segment(NamedTuple):
    """A segment of Mask2Former's JSON: its category, from 0 on, and whether it is a crowd region."""

    category: int
    is_crowd: bool


def _segments(infos: Sequence[Mapping[str, Any]], num_categories: int) -> dict[int, _Segment]:
    """Id -> segment, for the ``segments_info`` of an image."""
    segments: dict[int, _Segment] = {}
    for info in infos:
        number, category = as_id(info["id"], "id"), as_id(info["category_id"], "category_id")
        if number in segments:
            raise ValueError(f"segment {number} appears twice")
        if not 0 <= category < num_categories:
            raise ValueError(f"segment {number} has category {category}, expected 0 to {num_categories - 1}")
        segments[number] = _Segment(category, as_flag(info.get("iscrowd"), "iscrowd"))
    return segments


def _fault(error: Exception) -> str:
    return f"key {error} is missing" if isinstance(error, KeyError) else str(error)


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert, and report what was done."""
    args = parse_args(arguments)
    space = get_label_space("ade150")
    json_file = args.root / f"panoptic/{args.split}.json"
    try:
        if args.from_mask2former is None:
            images, convert = from_official(args.root, args.split, space)
        else:
            images, convert = from_mask2former(args.from_mask2former, space)
        done = convert_panoptic(
            images,
            convert=convert,
            categories=make_categories(space, range(1, len(space) + 1)),
            json_file=json_file,
            png_dir=json_file.with_suffix(""),
            description=f"ADE20K panoptic, {args.split}",
        )
    except (UserError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
    print(f"{json_file}: {f'images converted: {done}' if done else 'complete, nothing to do'}")


if __name__ == "__main__":
    main()
