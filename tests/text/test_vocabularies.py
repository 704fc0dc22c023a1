import json
import subprocess
import sys

import pytest

from mmdataseg.errors import UserError
from mmdataseg.text import vocabularies
from mmdataseg.text.vocabularies import get_label_space, known_label_spaces

SIZES = {
    "ade150": (150, 100),
    "coco133": (133, 80),
    "objects365": (365, 365),
    "objects365_coco80": (80, 80),
    "coco80": (80, 80),
    "cityscapes19": (19, 8),
    "pascal_context59": (59, 0),
    "pascal_context459": (459, 0),
    "lvis": (1203, 1203),
}
# Objects365 classes that the mini world's list, which comes from Detic, spells better than the dataset's own files.
OBJECTS365_RESPELT = {
    "Moniter/TV": "Monitor/TV",
    "Bakset": "Basket",
    "Dinning Table": "Dining Table",
    "Tea pot": "Teapot",
    "Extention Cord": "Extension Cord",
    "Hotair ballon": "Hot air balloon",
    "Hamimelon": "Hami melon",
    "Mushroon": "Mushroom",
    "Tape Measur/ Ruler": "Tape Measure/ Ruler",
    "Campel": "Camel",
    "Meat ball": "Meatball",
    "Buttefly": "Butterfly",
    "Table Teniis paddle": "Table Tennis paddle",
}
# mmdet's ADE20KPanopticDataset has other names for these.
ADE_STUFF_ALIASES = {"pool": "swimming pool", "falls": "waterfall"}


def test_every_known_label_space_has_the_published_size():
    found = {name: get_label_space(name) for name in known_label_spaces()}
    assert {name: (len(space), sum(space.is_thing)) for name, space in found.items()} == SIZES
    assert all(space.name == name for name, space in found.items())


def test_ade_is_in_the_semantic_order_without_trailing_blanks():
    ade = get_label_space("ade150")
    assert ade.classes[:3] == ("wall", "building", "sky")
    assert ade.classes[7] == "bed"
    assert ade.index(["flag"]) == [149]


def test_ade_stuff_is_that_of_mmdet_panoptic_dataset():
    from mmdet.datasets import ADE20KPanopticDataset

    first_words = [name.split(",")[0].strip() for name in ADE20KPanopticDataset.METAINFO["stuff_classes"]]
    expected = {ADE_STUFF_ALIASES.get(name, name) for name in first_words}
    assert set(get_label_space("ade150").stuff_classes) == expected


def test_coco_panoptic_has_the_80_things_first():
    coco = get_label_space("coco133")
    assert coco.classes[:80] == coco.thing_classes == get_label_space("coco80").classes
    assert coco.classes[80] == "banner"
    assert coco.classes[-1] == "rug-merged"


def test_blanks_are_stripped_from_three_names_of_objects365():
    assert set(get_label_space("objects365").index(["Cigar/Cigarette", "Formula 1", "Table Tennis"])) == {196, 308, 364}


def test_the_80_objects365_classes_keep_their_spelling_on_disk():
    eighty = get_label_space("objects365_coco80")
    assert set(eighty.classes) < set(get_label_space("objects365").classes)
    by_coco = dict(zip(get_label_space("coco80").classes, eighty.classes, strict=True))
    assert by_coco["parking meter"] == "Parking meter"
    assert by_coco["tv"] == "Moniter/TV"
    assert by_coco["suitcase"] == "Luggage"


def test_an_unknown_name_is_refused_and_known_names_are_listed():
    with pytest.raises(
        UserError, match=r"unknown label space 'ade151'; known ones are \['ade150'.*Define any other in full"
    ):
        get_label_space("ade151")


def test_a_missing_package_is_named_with_the_remedy(monkeypatch):
    def no_module(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(vocabularies, "import_module", no_module)
    with pytest.raises(ImportError, match=r"mmseg's ADE20KDataset.*install onedl-mmsegmentation"):
        get_label_space.__wrapped__("ade150")


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("ade150", "ade150"),
        ("coco133", "coco133"),
        ("cityscapes19", "cityscapes19"),
        ("pascal_context59", "pascal_context59"),
        ("pascal_context459", "pascal_context459"),
        ("objects365", "objects365"),
        ("objects365_coco80", "objects365_80"),
    ],
)
def test_agrees_with_the_mini_world(mini_world, name, listed):
    entries = json.loads((mini_world / "text" / "vocabularies.json").read_text())[listed]
    space = get_label_space(name)
    respelt = OBJECTS365_RESPELT if listed == "objects365" else {}
    assert [respelt.get(c, c) for c in space.classes] == [entry["name"] for entry in entries]
    if "isthing" in entries[0]:
        assert list(space.is_thing) == [bool(entry["isthing"]) for entry in entries]


def test_objects365_boxes_of_the_mini_world_have_our_names(mini_world):
    path = mini_world / "objects365" / "annotations" / "boxes_train.json"
    categories = json.loads(path.read_text())["categories"]
    assert {c["name"] for c in categories} == set(get_label_space("objects365_coco80").classes)
    everything = get_label_space("objects365").classes
    assert all(everything[c["id"] - 1] == c["name"] for c in categories)


@pytest.mark.parametrize("vocabulary", ["coco80", "ade150"])
def test_what_mmdet_and_mmseg_print_at_import_is_hidden(vocabulary):
    command = f"from mmdataseg.text.vocabularies import get_label_space; get_label_space('{vocabulary}')"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == ""
