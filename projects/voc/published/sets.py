"""Divides the images on the published lists of VOC and SBD into four disjoint sets, by a fixed rule."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmdataseg.errors import UserError
from mmdataseg.formats.paths import require_file
from mmdataseg.formats.text_files import read_lines

SETS = ("semantic", "panoptic", "boxes", "val")


def make_sets(voc: Path, sbd: Path | None = None) -> dict[str, list[str]]:
    """Divide the images into sets.

    - ``val``: VOC's ``Segmentation/val``, which is never trained on.
    - ``panoptic``: with SBD, all of VOC's ``Segmentation/train``, which has the most careful outlines; without SBD, its
      1st, 3rd, 5th ... image.
    - ``semantic``: with SBD, the 1st, 3rd, 5th ... of SBD's other images; without SBD, the rest of
      ``Segmentation/train``.
    - ``boxes``: with SBD, the rest of SBD's images, whose masks give the upper bound of boxes; without SBD, the images
      of ``Main/trainval`` that are in no other set, which have no masks.

    Args:
        voc: The folder ``VOC2012``.
        sbd: The folder ``benchmark_RELEASE/dataset``, or None.

    Returns:
        Name of a set -> names of its images, sorted.

    Raises:
        MissingFileError: A list is missing.
        UserError: A set would be empty.
    """
    lists = voc / "ImageSets"
    train, val = (sorted(read_names(lists / f"Segmentation/{split}.txt")) for split in ("train", "val"))
    known = {*train, *val}
    if sbd is None:
        panoptic, semantic = train[::2], train[1::2]
        boxes = sorted(set(read_names(lists / "Main/trainval.txt")) - known)
    else:
        other = sorted({name for split in ("train", "val") for name in read_names(sbd / f"{split}.txt")} - known)
        panoptic, semantic, boxes = train, other[::2], other[1::2]
    sets = {"semantic": semantic, "panoptic": panoptic, "boxes": boxes, "val": val}
    return checked(sets, str(lists))


def read_sets(folder: Path) -> dict[str, list[str]]:
    """Read the sets from your own lists, ``semantic.txt``, ``panoptic.txt``, ``boxes.txt`` and ``val.txt``.

    Args:
        folder: Folder of the lists. Each line is the name of an image, without suffix.

    Raises:
        MissingFileError: A list is missing.
        UserError: A set is empty, or two sets share an image.
    """
    return checked({name: read_names(folder / f"{name}.txt") for name in SETS}, str(folder))


def read_names(path: Path) -> list[str]:
    """Read the names of a list. VOC's lists of single classes have a flag after the name, which is left out."""
    return [line.split()[0] for line in read_lines(require_file(path, "list of images", remedy="unpack it again"))]


def checked(sets: Mapping[str, Sequence[str]], origin: str) -> dict[str, list[str]]:
    """Check that no set is empty and that no image is in two sets.

    Args:
        sets: Name -> images.
        origin: Path of the lists, for messages.

    Raises:
        UserError: A set is empty, or an image is in two sets or appears twice in one.
    """
    owner: dict[str, str] = {}
    for name, images in sets.items():
        if not images:
            raise UserError(f"set '{name}' has no image", file=origin, remedy="complete the lists")
        for image in images:
            if image in owner:
                where = f"sets '{owner[image]}' and '{name}'" if owner[image] != name else f"set '{name}' twice"
                raise UserError(
                    f"image {image} is in {where}",
                    file=origin,
                    remedy="remove one entry: the sets must be disjoint",
                )
            owner[image] = name
    return {name: list(images) for name, images in sets.items()}
