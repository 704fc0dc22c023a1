"""The annotations of an image: boxes from an XML file, and segments from a class map and an object map."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from mmdataseg.errors import UserError
from mmdataseg.formats.coco_panoptic import PanopticSegments
from mmdataseg.formats.paths import require_file
from mmdataseg.formats.png import read_png
from mmdataseg.structures import LabelSpace

# in alphabetical order, which VOC numbers from 1 on; class 0 is the background
CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table", "dog"),
    *("horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train", "tv monitor"),
)
THINGS = LabelSpace(name="voc20", classes=CLASSES, is_thing=(True,) * len(CLASSES))
# categories of the panoptic JSON: things have VOC's numbers, and the background comes last
BACKGROUND = len(CLASSES) + 1
SEGMENTS = LabelSpace(name="voc21", classes=(*CLASSES, "background"), is_thing=(*THINGS.is_thing, False))
VOID = 255
_XML_NAMES = {name.replace(" ", ""): number for number, name in enumerate(CLASSES, 1)}


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box of an XML file.

    Args:
        category: Number of the class, 1 to 20.
        xywh: Left and top edge, width and height, in pixels; the left edge of the first pixel is 0.
        difficult: Whether VOC leaves the object out of its scores.
    """

    category: int
    xywh: tuple[float, float, float, float]
    difficult: bool


def read_boxes(path: Path) -> list[Box]:
    """Read an XML file of ``Annotations``. Parts of objects, such as heads, are left out.

    Args:
        path: The file.

    Raises:
        MissingFileError: The file is missing.
        UserError: The file is not valid XML; an object has no box; or its class is not one of the 20.
    """
    require_file(path, "XML file of boxes", remedy="unpack VOCtrainval_11-May-2012.tar again")
    try:
        root = ElementTree.parse(path).getroot()
        return [_box(entry) for entry in root.findall("object")]
    except (ElementTree.ParseError, ValueError) as error:
        raise UserError(f"cannot be read ({error})", file=path, remedy="unpack VOC's archive again") from None


def _box(entry: ElementTree.Element) -> Box:
    name = (entry.findtext("name") or "").strip()
    if name not in _XML_NAMES:
        raise ValueError(f"an object has class {name!r}, which is not one of VOC's 20")
    corners = [entry.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
    if None in corners:
        raise ValueError(f"an object of class {name!r} has no box")
    left, top, right, bottom = map(float, corners)  # first and last pixel, counted from 1
    return Box(
        category=_XML_NAMES[name],
        xywh=(left - 1, top - 1, right - left + 1, bottom - top + 1),
        difficult=(entry.findtext("difficult") or "0").strip() == "1",
    )


@dataclass(frozen=True, kw_only=True)
class Maps:
    """The two maps of an image.

    Args:
        classes: (H, W) uint8; 0 is background, 1 to 20 are the classes, 255 is void.
        objects: (H, W) uint8; 0 is no object, 1, 2, ... are the objects, 255 is void.
    """

    classes: np.ndarray
    objects: np.ndarray


def read_voc_maps(root: Path, name: str) -> Maps:
    """Read ``SegmentationClass`` and ``SegmentationObject``.

    Args:
        root: ``VOC2012``.
        name: Name of the image, without suffix.

    Raises:
        MissingFileError: A file is missing.
        UserError: A file cannot be read; the maps have different sizes or unknown values.
    """
    path = root / "SegmentationClass" / f"{name}.png"
    objects = read_png(root / "SegmentationObject" / f"{name}.png", "object map")
    return _checked(Maps(classes=read_png(path, "class map"), objects=objects), path)


def read_sbd_maps(root: Path, name: str) -> Maps:
    """Read SBD's ``cls`` and ``inst``. SBD has no void.

    Args:
        root: ``benchmark_RELEASE/dataset``.
        name: Name of the image, without suffix.

    Raises:
        MissingFileError: A file is missing.
        UserError: A file cannot be read; the maps have different sizes or unknown values.
    """
    path = root / "cls" / f"{name}.mat"
    return _checked(
        Maps(classes=_read_mat(path, "GTcls"), objects=_read_mat(root / "inst" / path.name, "GTinst")), path
    )


def _read_mat(path: Path, key: str) -> np.ndarray:
    require_file(path, "SBD annotation", remedy="unpack benchmark.tgz again")
    try:
        return np.asarray(loadmat(path, squeeze_me=True, struct_as_record=False)[key].Segmentation)
    except Exception as error:  # scipy's reader raises many kinds on a damaged file
        raise UserError(
            f"cannot be read as a file of SBD with {key!r} ({type(error).__name__}: {error})",
            file=path,
            remedy="unpack benchmark.tgz again",
        ) from None


def _checked(maps: Maps, path: Path) -> Maps:
    classes, objects = maps.classes, maps.objects
    if classes.ndim != 2 or classes.shape != objects.shape:
        raise UserError(
            f"expected maps of the same shape (height, width), got {classes.shape} for classes and {objects.shape} for "
            "objects",
            file=path,
            remedy="use both from the same release, and class maps of numbers, not of colours",
        )
    known = np.isin(classes, [*range(len(CLASSES) + 1), VOID])
    if not known.all():
        raise UserError(
            f"the class map has value {int(classes[~known][0])}; expected 0 to {len(CLASSES)} and {VOID}",
            file=path,
            remedy="use the maps as VOC publishes them",
        )
    return Maps(classes=classes.astype(np.uint8), objects=objects.astype(np.uint8))


def panoptic_segments(maps: Maps) -> PanopticSegments:
    """Return the panoptic segments of an image: objects are things, and the background is stuff.

    The two maps differ by a few pixels. So an object gets the most frequent class of its pixels, without void and
    background. Void pixels, and pixels of a class outside all objects, are unlabelled.

    Args:
        maps: Maps of the image.

    Returns:
        The segments. The id of an object is its value in the map, and that of the background is 255.

    Raises:
        ValueError: An object has no pixel of a class.
    """
    categories = {}
    ids = np.where((maps.objects == 0) & (maps.classes == 0), VOID, 0).astype(np.int32)
    for value in np.unique(maps.objects):
        if value in (0, VOID):
            continue
        inside = maps.objects == value
        counts = np.bincount(maps.classes[inside], minlength=VOID + 1)[1 : len(CLASSES) + 1]
        if not counts.any():
            raise ValueError(f"object {value} has no pixel of a class")
        categories[int(value)] = int(counts.argmax()) + 1
        ids[inside] = value
    if (ids == VOID).any():
        categories[VOID] = BACKGROUND
    return PanopticSegments(ids=ids, categories=categories)
