"""Describes probable mistakes in a source whose files can all be read."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmdataseg.datasets.findings import Findings
from mmdataseg.errors import UserError
from mmdataseg.formats.png import read_png
from mmdataseg.progress import counted
from mmdataseg.sources import Source
from mmdataseg.structures import Task

_FEW_CLASSES = 12
_FEW_VALUES = 20
_MAPS = 50
_BINARY = {0, 255}
DARK = 32
"""An image whose brightest value is below this is nearly black."""


def training_problems(source: Source, found: Findings, dataset: Any) -> Iterator[str]:
    """Yield clauses on why a training would see no targets, or miss a class. ``found`` must cover all its images."""
    space = source.label_space
    classes = space.thing_classes if source.task is Task.INSTANCE else space.classes  # boxes are of things only
    if not found.classes:
        yield f"none of the {found.images} images has a target: a training would learn nothing{_hints(found, dataset)}"
    elif len(space) <= _FEW_CLASSES and found.images >= len(space):
        missing = [name for name in classes if space.classes.index(name) not in found.classes]
        if missing:
            yield (
                f"{len(missing)} of {len(classes)} classes never occur in {found.images} images: "
                f"{', '.join(repr(name) for name in missing)}{_hints(found, dataset)}"
            )
    if found.vanished and 2 * found.vanished >= found.vanished + found.classes.total():
        polygons = f"{found.fractions} are polygons within 0 .. 1: multiply fractions by the size of the image"
        number = counted(found.vanished, "mask has", "masks have")
        yield f"{number} no pixel" + (f", and {polygons}" if found.fractions else "")


def _hints(found: Findings, dataset: Any) -> str:
    values = values_of_label_maps(dataset, found.images) if found.void else set()
    if values == _BINARY:
        return (
            "; its label maps hold only 0 and 255, and 255 is void; if the foreground is stored as 255, set "
            "ignore_index=None and label_map={0: ..., 255: ...}"
        )
    if values and len(values) <= _FEW_VALUES:
        return f"; its label maps hold the values {sorted(values)}"
    return ""


def values_of_label_maps(dataset: Any, count: int) -> set[int]:
    """Return the values stored in the first 50 label PNGs of a dataset of ``count`` images.

    The set is empty if its annotations are not label PNGs.
    """
    values: set[int] = set()
    for index in range(min(count, _MAPS)):
        info = dataset.get_data_info(index) if hasattr(dataset, "get_data_info") else {}
        if "seg_map_path" not in info or "segments_info" in info:
            return set()
        try:
            array = read_png(Path(info["seg_map_path"]), "label PNG")
        except (UserError, OSError):
            continue
        if array.ndim == 2:
            values |= set(np.unique(array).tolist())
    return values


def flag_problems(source: Source, found: Findings) -> Iterator[str]:
    """Yield clauses on objects of classes that an instance source flags as stuff: trained but never predicted."""
    space = source.label_space
    stuff = [space.classes[label] for label in sorted(found.classes) if not space.is_thing[label]]
    if source.task is Task.INSTANCE and stuff:
        yield (
            f"{stuff[0]!r} is annotated and flagged as stuff ({len(stuff)} such classes): the instance task predicts "
            "things only; correct is_thing of the label space"
        )


def notes(source: Source, found: Findings) -> Iterator[str]:
    """Yield clauses on what may be intended but needs a look."""
    if source.task is Task.PANOPTIC:
        yield from _flag_notes(source.label_space.classes, source.label_space.is_thing, found)
    if found.turned:
        yield (
            f"{found.turned} of {found.images} images have an EXIF orientation and are rotated by it when they are "
            "loaded, as in image viewers; if the annotations were made on the pixels as stored, load the images with "
            "color_type='color_ignore_orientation'"
        )
    if found.dark and 2 * found.dark >= found.images:
        yield (
            f"{found.dark} of {found.images} images are nearly black: no value is above {DARK - 1} of 255; if they "
            "hold 10 or 12 bits in 16-bit files, scale them to 8 bits"
        )
    twice = [paths for paths in found.paths.values() if len(paths) > 1]
    if twice:
        number = counted(len(twice), "image appears", "images appear")
        yield f"{number} under several names, e.g. '{twice[0][0]}' and '{twice[0][1]}'"


def _flag_notes(classes: Sequence[str], is_thing: Sequence[bool], found: Findings) -> Iterator[str]:
    for label, images in sorted(found.images_with.items()):
        pieces, wide = found.in_pieces[label], found.wide[label]
        if not is_thing[label] and images > 1 and 2 * pieces > images:
            yield (
                f"{classes[label]!r} is flagged as stuff and has several segments in {pieces} of {images} images; is "
                "it a thing?"
            )
        if is_thing[label] and images > 1 and not pieces and 2 * wide > found.images:
            yield (
                f"{classes[label]!r} is flagged as a thing, and covers more than a third of {wide} of {found.images} "
                "images in one segment; is it stuff?"
            )


def shared_images(trained: Findings, tested: Findings) -> str | None:
    """Return a clause on the images that two splits share, compared by content; None if they share none."""
    both = [digest for digest in tested.paths if digest in trained.paths]
    if not both:
        return None
    return (
        f"{len(both)} of {tested.images} test images are also training images, e.g. '{tested.paths[both[0]][0]}' is "
        f"'{trained.paths[both[0]][0]}'"
    )
