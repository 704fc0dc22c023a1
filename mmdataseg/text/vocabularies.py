"""The label spaces of known datasets, by name.

Names are those on disk, so annotations can be matched by them. `mmdataseg.text.prompts` converts them to phrases for an
encoder. They come from the metainfo of mmdet's and mmseg's dataset classes, which are imported when needed. Names that
these do not have are here.
"""

from collections.abc import Callable
from contextlib import redirect_stdout
from functools import cache
from importlib import import_module
from io import StringIO

from mmdataseg.errors import UserError
from mmdataseg.structures import LabelSpace
from mmdataseg.text.pascal_context459 import PASCAL_CONTEXT_459

_PACKAGES = {"mmdet": "onedl-mmdetection (or mmdet)", "mmseg": "onedl-mmsegmentation (or mmsegmentation)"}

# The 50 of ADE20K's 150 classes that are stuff in the panoptic split (Places Challenge 2017). mmdet's
# ADE20KPanopticDataset has the same split in another order and with longer names.
_ADE_STUFF = frozenset(
    " ".join(name.split())
    for name in """
    wall, building, sky, floor, tree, ceiling, road, grass, sidewalk, earth, mountain, plant, water, house, sea, rug,
    field, rock, base, sand, skyscraper, grandstand, path, runway, stairway, river, bridge, blind, hill, bar, hovel,
    tower, dirt track, land, escalator, buffet, poster, stage, conveyer belt, canopy, swimming pool, waterfall, tent,
    cradle, tank, lake, blanket, pier, crt screen, shower
    """.split(",")
)

# Countable, with instance ids in the annotations (cityscapesScripts, helpers/labels.py, hasInstances).
_CITYSCAPES_THINGS = frozenset(["person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"])

# The Objects365 v2 class closest to each of COCO's 80, in COCO's order, spelt as in Objects365's own files. Most pairs
# are also in UniDet (xingyizhou/UniDet); the others were matched by hand.
_OBJECTS365_COCO80 = tuple(
    " ".join(name.split())
    for name in """
    Person, Bicycle, Car, Motorcycle, Airplane, Bus, Train, Truck, Boat, Traffic Light, Fire Hydrant, Stop Sign, Parking
    meter, Bench, Wild Bird, Cat, Dog, Horse, Sheep, Cow, Elephant, Bear, Zebra, Giraffe, Backpack, Umbrella,
    Handbag/Satchel, Tie, Luggage, Frisbee, Skiboard, Snowboard, Other Balls, Kite, Baseball Bat, Baseball Glove,
    Skateboard, Surfboard, Tennis Racket, Bottle, Wine Glass, Cup, Fork, Knife, Spoon, Bowl/Basin, Banana, Apple,
    Sandwich, Orange/Tangerine, Broccoli, Carrot, Hot dog, Pizza, Donut, Cake, Chair, Couch, Potted Plant, Bed, Dinning
    Table, Toilet, Moniter/TV, Laptop, Mouse, Remote, Keyboard, Cell Phone, Microwave, Oven, Toaster, Sink,
    Refrigerator, Book, Clock, Vase, Scissors, Stuffed Toy, Hair Dryer, Toothbrush
    """.split(",")
)


@cache
def get_label_space(name: str) -> LabelSpace:
    """Return the label space of a known dataset, one of `known_label_spaces`.

    Its classes are in the order of the dataset's labels, without surrounding blanks (mmseg has "bed ", mmdet "Formula 1
    "). Those of Pascal Context have no split into things and stuff: they are for semantic segmentation, and all their
    flags are False.

    Raises:
        UserError: The name is unknown.
        ImportError: The package whose metainfo holds the class names is not installed.
    """
    if name not in _SPACES:
        raise UserError(
            f"unknown label space {name!r}; known ones are {list(_SPACES)}. "
            "Define any other in full: dict(name=..., classes=[...], is_thing=[...])"
        )
    names, is_thing = _SPACES[name]
    classes = names()
    return LabelSpace(name=name, classes=classes, is_thing=tuple(map(is_thing, classes)))


def known_label_spaces() -> tuple[str, ...]:
    """Return the names that `get_label_space` accepts."""
    return tuple(_SPACES)


def _names(package: str, dataset: str, key: str = "classes") -> tuple[str, ...]:
    try:
        with redirect_stdout(StringIO()):  # mmdet and mmseg print that optional datasets are not installed
            datasets = import_module(f"{package}.datasets")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"the class names of this label space come from {package}'s {dataset}, but importing {package} failed: "
            f"{error}; install {_PACKAGES[package]}"
        ) from error
    return tuple(name.strip() for name in getattr(datasets, dataset).METAINFO[key])


# Name -> the class names, and whether a class is a thing.
_SPACES: dict[str, tuple[Callable[[], tuple[str, ...]], Callable[[str], bool]]] = {
    "ade150": (lambda: _names("mmseg", "ADE20KDataset"), lambda name: name not in _ADE_STUFF),
    "coco133": (
        lambda: _names("mmdet", "CocoPanopticDataset"),
        lambda name: name in _names("mmdet", "CocoPanopticDataset", "thing_classes"),
    ),
    "objects365": (lambda: _names("mmdet", "Objects365V2Dataset"), lambda _: True),
    "objects365_coco80": (lambda: _OBJECTS365_COCO80, lambda _: True),
    "coco80": (lambda: _names("mmdet", "CocoDataset"), lambda _: True),
    "cityscapes19": (lambda: _names("mmseg", "CityscapesDataset"), lambda name: name in _CITYSCAPES_THINGS),
    "pascal_context59": (lambda: _names("mmseg", "PascalContextDataset59"), lambda _: False),
    "pascal_context459": (lambda: PASCAL_CONTEXT_459, lambda _: False),
    "lvis": (lambda: _names("mmdet", "LVISV1Dataset"), lambda _: True),
}
