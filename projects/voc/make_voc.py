"""Convert PASCAL VOC 2012, and optionally SBD, to the four sets that the sources of projects/voc read.

    python -m projects.voc.make_voc data/VOCdevkit/VOC2012 data/real_world/voc
    python -m projects.voc.make_voc data/VOCdevkit/VOC2012 data/real_world/voc --sbd data/benchmark_RELEASE/dataset

Writes ``images/S``, ``labels/S``, ``annotations/panoptic_S.json`` with ``panoptic_S/*.png``, ``instances_S.json`` and
``boxes_S.json`` for the disjoint sets S = semantic, panoptic, boxes and val. Photographs are linked, not copied. The
rule that divides the images is in projects/voc/published/sets.py; ``--lists`` takes your own lists. Only SBD has maps
of the images of ``boxes``: without SBD, that set has only boxes, and the upper bound of the study cannot be trained.

An interrupted run continues where it stopped. A second run writes the same files again.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mmdataseg.apis.parsers import Parser
from mmdataseg.errors import UserError
from mmdataseg.formats.paths import require_dir
from projects.voc.published.annotations import Maps, read_sbd_maps, read_voc_maps
from projects.voc.published.sets import make_sets, read_sets
from projects.voc.published.writing import write_boxes, write_images, write_maps


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voc", type=Path, help="the folder VOC2012, with JPEGImages, Annotations and ImageSets")
    parser.add_argument(
        "out",
        nargs="?",
        type=Path,
        default=Path("data/real_world/voc"),
        help="folder to write (default: data/real_world/voc)",
    )
    parser.add_argument("--sbd", type=Path, help="the folder benchmark_RELEASE/dataset, with cls and inst")
    parser.add_argument("--lists", type=Path, help="folder of semantic.txt, panoptic.txt, boxes.txt and val.txt")
    return parser.parse_args(arguments)


def read_maps(voc: Path, sbd: Path | None, name: str) -> Maps:
    """Read the maps of an image from VOC or, if VOC has none, from SBD."""
    if sbd is None or (voc / "SegmentationClass" / f"{name}.png").is_file():
        return read_voc_maps(voc, name)
    return read_sbd_maps(sbd, name)


def has_maps(voc: Path, sbd: Path | None, name: str) -> bool:
    """Whether VOC or SBD has maps of an image."""
    own = voc / "SegmentationClass" / f"{name}.png"
    return own.is_file() or (sbd is not None and (sbd / "cls" / f"{name}.mat").is_file())


def make_voc(voc: Path, out: Path, *, sbd: Path | None = None, lists: Path | None = None) -> dict[str, str]:
    """Write all sets. A set has maps if all its images have maps; only ``boxes`` may be without.

    Args:
        voc: The folder ``VOC2012``.
        out: Root of the layout.
        sbd: The folder ``benchmark_RELEASE/dataset``, or None.
        lists: Folder of your own lists; None: the published lists, divided by the rule.

    Returns:
        Name of a set -> description of its content.

    Raises:
        MissingFileError: A file is missing.
        UserError: A file cannot be read, or two sets share an image.
    """
    require_dir(voc / "JPEGImages", "folder of VOC's photographs")
    if sbd is not None:
        require_dir(sbd / "cls", "folder of SBD's class maps")
    sets = make_sets(voc, sbd) if lists is None else read_sets(lists)
    has = {}
    for name, images in sets.items():
        write_images(voc, out, name, images)
        boxes = write_boxes(voc, out, name, images)
        with_maps = name != "boxes" or all(has_maps(voc, sbd, image) for image in images)
        if with_maps:
            write_maps(voc, out, name, images, partial(read_maps, voc, sbd))
        has[name] = f"{len(images):,} images, {boxes:,} boxes, {'with' if with_maps else 'without'} masks"
    return has


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert, and print what each set has."""
    args = parse_args(arguments)
    try:
        has = make_voc(args.voc, args.out, sbd=args.sbd, lists=args.lists)
    except (UserError, FileNotFoundError) as error:
        raise SystemExit(f"error: {error}") from error
    for name, what in has.items():
        print(f"{name}: {what}")


if __name__ == "__main__":
    main()
