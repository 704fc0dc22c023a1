"""Make Cityscapes' panoptic segments in COCO's format from the ``*_gtFine_instanceIds.png`` of gtFine.

    python tools/dataset_converters/cityscapes_panoptic.py                      # val, for cityscapes_panoptic
    python tools/dataset_converters/cityscapes_panoptic.py --split train

Writes ``panoptic/<split>.json`` and ``panoptic/<split>/*.png`` under --root, with the ids, categories (the 19 that are
evaluated) and crowd flags of cityscapesScripts' ``createPanopticImgs.py``; unlike there, image names include the city's
folder, so that the images are found. Groups of things (values below 1000) are crowd.

An interrupted run continues where it stopped; a second run does nothing.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mmdataseg.apis.parsers import Parser
from mmdataseg.errors import UserError
from mmdataseg.formats.categories import make_categories
from mmdataseg.formats.coco_panoptic import PanopticSegments
from mmdataseg.formats.panoptic_conversion import PanopticImage, convert_panoptic
from mmdataseg.formats.paths import list_files, require_dir
from mmdataseg.formats.png import image_size, read_png, require_size
from mmdataseg.text.vocabularies import get_label_space

# cityscapesScripts, helpers/labels.py: the ids that are evaluated, in the order of the train ids 0 to 18
EVALUATED_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
LARGEST_ID = 33  # the ids are 0 to 33
_INSTANCES_PER_CLASS = 1000
_SUFFIX = "_gtFine_instanceIds.png"


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--root",
        type=Path,
        default=Path("data/cityscapes"),
        help="folder with gtFine and leftImg8bit (default: data/cityscapes)",
    )
    parser.add_argument("--split", choices=("train", "val"), default="val", help="(default: val)")
    return parser.parse_args(arguments)


def segments(instance_ids: np.ndarray) -> PanopticSegments:
    """Panoptic segments of an instance map.

    Args:
        instance_ids: (H, W): id of a class, or 1000 * id + number of the instance.

    Raises:
        ValueError: A value belongs to no class.
    """
    values = np.unique(instance_ids)
    classes = np.where(values < _INSTANCES_PER_CLASS, values, values // _INSTANCES_PER_CLASS)
    if classes.max() > LARGEST_ID:
        wrong = int(values[classes > LARGEST_ID][0])
        raise ValueError(f"value {wrong} belongs to no Cityscapes class (expected ids up to {LARGEST_ID})")
    kept = np.isin(classes, EVALUATED_IDS)
    space = get_label_space("cityscapes19")
    things = {number for number, thing in zip(EVALUATED_IDS, space.is_thing, strict=True) if thing}
    categories = {int(v): int(c) for v, c in zip(values[kept], classes[kept], strict=True)}
    return PanopticSegments(
        ids=np.where(np.isin(instance_ids, values[kept]), instance_ids, 0).astype(np.int32),
        categories=categories,
        crowds=frozenset(v for v, c in categories.items() if v < _INSTANCES_PER_CLASS and c in things),
    )


def find_images(root: Path, split: str) -> tuple[list[PanopticImage], Callable[[PanopticImage], PanopticSegments]]:
    """The images of a split, and how to convert one."""
    truth = require_dir(root / "gtFine" / split, "folder of gtFine")
    pictures = require_dir(root / "leftImg8bit" / split, "folder of leftImg8bit")
    stems = sorted(list_files(truth, _SUFFIX))
    if not stems:
        raise FileNotFoundError(f"'{truth}' holds no *{_SUFFIX}; unpack gtFine_trainvaltest there")

    def convert(image: PanopticImage) -> PanopticSegments:
        path = truth / image.file_name.replace("_leftImg8bit.png", _SUFFIX)
        instance_ids = read_png(path, "instance map")
        if instance_ids.ndim != 2:
            raise UserError("expected one channel", file=path, remedy="unpack gtFine_trainvaltest again")
        picture = pictures / image.file_name
        require_size(path, instance_ids.shape[:2], image_size(picture), picture)
        try:
            return segments(instance_ids.astype(np.int32))
        except ValueError as error:
            raise UserError(f"{error}", file=path, remedy="unpack gtFine_trainvaltest again") from None

    images = []
    for stem in stems:
        name = stem.rpartition("/")[2]
        png = f"{name}_gtFine_panoptic.png"
        images.append(PanopticImage(image_id=name, file_name=f"{stem}_leftImg8bit.png", png=png))
    return images, convert


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert, and report what was done."""
    args = parse_args(arguments)
    json_file = args.root / f"panoptic/{args.split}.json"
    try:
        images, convert = find_images(args.root, args.split)
        done = convert_panoptic(
            images,
            convert=convert,
            categories=make_categories(get_label_space("cityscapes19"), EVALUATED_IDS),
            json_file=json_file,
            png_dir=json_file.with_suffix(""),
            description=f"Cityscapes panoptic, {args.split}",
        )
    except (UserError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
    print(f"{json_file}: {f'images converted: {done}' if done else 'complete, nothing to do'}")


if __name__ == "__main__":
    main()
