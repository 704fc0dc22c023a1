"""Objects365 instances: what scoring needs is added, counts are compared, and broken annotations are named."""

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as mask_api

from mmdataseg.errors import UserError
from mmdataseg.evaluation import InstanceMetric
from mmdataseg.formats.masks import decode_mask
from mmdataseg.text.vocabularies import get_label_space
from tests import layouts
from tests.evaluation.samples import instances, score

TOOL = layouts.load_tool("dataset_converters/objects365_instances.py")
SPACE = get_label_space("objects365")
LEFT, RIGHT = [2, 4, 10, 8], [20, 6, 6.5, 9]  # boxes x, y, width, height in an image of 32 x 24


def bitmap(x, y, width, height):
    mask = np.zeros((24, 32), np.uint8)
    mask[y : y + height, x : x + width] = 1
    return mask


@pytest.fixture
def tiny(tmp_path):
    """One image with three boxes of class 0: a mask was drawn for the first, none for the second, the third is a
    crowd."""
    rle = mask_api.encode(np.asfortranarray(bitmap(*LEFT)))
    drawn = {"segmentation": {"size": rle["size"], "counts": rle["counts"].decode()}}
    box = {"image_id": 1, "category_id": 1, "iscrowd": 0}
    content = {
        "images": [{"id": 1, "file_name": "images/v1/patch0/a.jpg", "height": 24, "width": 32}],
        "annotations": [
            {**box, "id": 1, "bbox": LEFT, **drawn},
            {**box, "id": 2, "bbox": RIGHT},
            {**box, "id": 3, "bbox": [0, 0, 32, 24], "iscrowd": 1},
        ],
        "categories": [{"id": i, "name": name} for i, name in enumerate(SPACE.classes, 1)],
    }
    path = tmp_path / "o365_instance_seg_val.json"
    path.write_text(json.dumps(content))
    return path


def average_precision(ann_file):
    """Average precision of two detections of class 0: the better one where there is no mask, the other exactly the
    drawn mask."""
    masks = [bitmap(21, 7, 4, 7), bitmap(*LEFT)]
    sample = instances([mask.astype(bool) for mask in masks], [0, 0], [0.9, 0.8], img_id=1)
    meta = {"classes": SPACE.classes, "is_thing": SPACE.is_thing, "source": "objects365_instances"}
    return score(InstanceMetric(ann_file=str(ann_file)), [sample], meta)["mask_AP"]


def test_boxes_without_a_mask_are_left_out_by_default(tiny):
    """A detection there is a false positive: precision 1/2 at every recall."""
    TOOL.main([str(tiny)])
    out = tiny.with_name("instances_val_1000.json")
    assert [annotation["id"] for annotation in json.loads(out.read_text())["annotations"]] == [1]
    assert average_precision(out) == pytest.approx(50, abs=0.1)


def test_boxes_without_a_mask_can_be_regions_to_ignore(tiny, capsys):
    """With the option; a detection there is not counted. Crowds stay out."""
    TOOL.main([str(tiny), "--ignore-unmasked"])
    assert "'kept': 1, 'kept as region to ignore: no mask': 1, 'left out: crowd': 1" in capsys.readouterr().out
    out = tiny.with_name("instances_val_1000_ignore-unmasked.json")
    drawn, ignored = json.loads(out.read_text())["annotations"]
    assert (drawn["id"], drawn["iscrowd"], ignored["id"], ignored["iscrowd"]) == (1, 0, 2, 1)
    assert ignored["bbox"] == RIGHT
    assert ignored["area"] == 7 * 9
    np.testing.assert_array_equal(decode_mask(ignored["segmentation"], 24, 32), bitmap(20, 6, 7, 9))
    assert average_precision(out) == pytest.approx(100)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"segmentation": {"size": [24, 32], "counts": [24 * 32]}}, "kept as region to ignore: no mask"),
        ({"bbox": [40, 6, 5, 5]}, "left out: no mask"),
        ({"bbox": [40, 6, 5, 5], "segmentation": {"size": [24, 32], "counts": [24 * 32]}}, "left out: empty mask"),
    ],
    ids=["empty mask", "box outside of the image", "both"],
)
def test_how_unusual_boxes_are_counted(tiny, change, what):
    content = json.loads(tiny.read_text())
    content["annotations"][1].update(change)
    converted, counts = TOOL.convert(content, tiny, ignore_unmasked=True)
    assert counts[what] == 1
    assert len(converted["annotations"]) == 1 + what.startswith("kept")


def test_each_count_that_differs_is_reported(tiny, capsys):
    """The file is converted anyway: it may be a part of the set."""
    TOOL.main([str(tiny)])
    warnings = capsys.readouterr().err.splitlines()
    assert [line.partition(", as published, ")[0].rpartition("expected ")[2] for line in warnings[-3:]] == [
        "1,000 images",
        "13,372 boxes asked for",
        "12,836 masks",
    ]
    assert [line.partition("got ")[2].partition(";")[0] for line in warnings[-3:]] == ["1", "2", "1"]
    assert all(line.startswith(f"warning: '{tiny}': expected") for line in warnings[-3:])


def test_the_published_counts_give_no_warning():
    """However the 536 boxes without a mask are counted; crowds do not matter."""
    path = Path("a.json")
    for unmasked in (TOOL.NO_MASK, TOOL.IGNORED):
        counts = {TOOL.KEPT: 12836, unmasked: 500, TOOL.EMPTY_MASK: 36, TOOL.CROWD: 77}
        assert TOOL.differing_counts(path, 1000, counts) == []
        (sentence,) = TOOL.differing_counts(path, 1000, counts | {unmasked: 499})
        assert sentence.startswith("'a.json': expected 13,372 boxes asked for, as published, got 13,371; ")


def instances_json(world, change):
    layouts.write_layout("objects365", world)
    folder = world / "data/objects365/annotations"
    (folder / "instances_val_1000.json").unlink()
    content = json.loads((folder / "o365_instance_seg_val.json").read_text())
    change(content)
    layouts.save_json(content, folder / "o365_instance_seg_val.json")
    layouts.convert("objects365_instances", "data/objects365/annotations/o365_instance_seg_val.json")
    return content, json.loads((folder / "instances_val_1000.json").read_text())


def test_objects365_instances_gets_what_scoring_needs(world, capsys):
    def strip(content):
        del content["annotations"][0]["iscrowd"]
        del content["annotations"][1]["bbox"]

    before, after = instances_json(world, strip)
    assert "'kept': 4, 'left out: no mask': 1, 'left out: crowd': 1" in capsys.readouterr().out
    assert [image["file_name"] for image in after["images"]] == [
        "patch0/objects365_v1_00000000.jpg",
        "patch1/objects365_v1_00000001.jpg",
    ]
    assert {"info", "licenses", "categories"} <= set(after)
    originals = {annotation["id"]: annotation for annotation in before["annotations"]}
    for annotation in after["annotations"]:
        mask = decode_mask(annotation["segmentation"], layouts.HEIGHT, layouts.WIDTH)
        assert annotation["area"] == mask.sum()
        assert annotation["iscrowd"] == 0
        x, y, width, height = annotation["bbox"]
        assert mask[y : y + height, x : x + width].sum() == mask.sum()
        assert annotation["category_id"] == originals[annotation["id"]]["category_id"]


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("segmentation", [[1, 2, 3, 4]], r"annotation 1: expected polygons of three or more"),
        ("segmentation", {"size": [3, 3], "counts": [9]}, r"annotation 1: the RLE has 3 x 3"),
        ("category_id", 999, r"annotation 1 has category 999, which is not in the label space"),
        ("image_id", 77, r"annotation 1 belongs to image 77, which is not listed"),
    ],
)
def test_a_broken_annotation_is_named(world, key, value, match):
    with pytest.raises(SystemExit, match=rf"o365_instance_seg_val\.json': {match}"):
        instances_json(world, lambda content: content["annotations"][0].update({key: value}))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            {"bbox": [1, 2, 3]},
            r"annotation 2: 'bbox': expected four finite numbers x, y, width, height, got \[1, 2, 3\]",
        ),
        ({"bbox": [1, 2, "wide", 4]}, "annotation 2: 'bbox': expected a number, got 'wide'"),
        ({"bbox": [1, 2, float("inf"), 4]}, "annotation 2: 'bbox': expected four finite numbers"),
        ({"bbox": 7}, "annotation 2: 'bbox': expected four finite numbers"),
        ({"bbox": None}, "annotation 2: key 'bbox' is missing"),
        ({"segmentation": "mask"}, "annotation 2: expected a segmentation of polygons or RLE"),
        ({"segmentation": {"counts": [9]}}, "annotation 2: the RLE has no 'size'"),
        ({"iscrowd": "maybe"}, "annotation 2: 'iscrowd': expected 0 or 1, got 'maybe'"),
        ({"category_id": [1]}, r"annotation 2: 'category_id': expected an integer, got \[1\]"),
        ({"image_id": {}}, r"annotation 2: 'image_id': expected an integer, got {}"),
        ({"id": "second"}, "annotation second: 'id': expected an integer, got 'second'"),
    ],
)
def test_a_malformed_annotation_ends_in_one_sentence(tiny, change, match):
    content = json.loads(tiny.read_text())
    content["annotations"][1].update(change)
    tiny.write_text(json.dumps(content))
    with pytest.raises(SystemExit, match=rf"^'{tiny}': {match}.*; download the file again$"):
        TOOL.main([str(tiny), "--ignore-unmasked"])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"height": None}, "image 1: 'height': expected an integer, got null"),
        ({"width": -32}, "image 1: 'height' and 'width': expected the size of an image in pixels, got 24 and -32"),
        ({"file_name": 5}, "image 1: 'file_name': expected a file name, got 5"),
        ({"id": None}, "image None: 'id': expected an integer, got null"),
    ],
)
def test_a_malformed_image_ends_in_one_sentence(tiny, change, match):
    content = json.loads(tiny.read_text())
    content["images"][0].update(change)
    tiny.write_text(json.dumps(content))
    with pytest.raises(SystemExit, match=rf"^'{tiny}': {match}; download the file again$"):
        TOOL.main([str(tiny)])


@pytest.mark.parametrize(("key", "what"), [("images", "image"), ("annotations", "annotation")])
def test_an_entry_without_id_or_keys_is_named_by_its_position(tiny, key, what):
    content = json.loads(tiny.read_text())
    last = len(content[key])
    for entry, match in (
        (None, rf"{key}\[{last}\]: expected an object with keys, got 'None'"),
        ([1], rf"{key}\[{last}\]: expected an object with keys, got '\[1\]'"),
        ({"file_name": "a.jpg"}, rf"{key}\[{last}\]: key 'id' is missing"),
        ({"id": 9}, rf"{what} 9: key '\w+' is missing"),
    ):
        tiny.write_text(json.dumps({**content, key: [*content[key], entry]}))
        with pytest.raises(SystemExit, match=rf"^'{tiny}': {match}; download the file again$"):
            TOOL.main([str(tiny)])


def test_two_images_of_one_id_are_refused(tiny):
    content = json.loads(tiny.read_text())
    content["images"].append(content["images"][0] | {"file_name": "other.jpg"})
    with pytest.raises(UserError, match="image 1: 'id': an image before it has the same; download the file again"):
        TOOL.convert(content, tiny)


def test_numbers_as_text_are_read(tiny):
    """Some exporters write them."""
    plain, _ = TOOL.convert(json.loads(tiny.read_text()), tiny, ignore_unmasked=True)
    content = json.loads(tiny.read_text())
    content["images"][0] |= {"id": "1", "height": "24"}
    content["annotations"][1] |= {"image_id": "1", "category_id": "1", "bbox": [str(side) for side in RIGHT]}
    content["annotations"][2]["iscrowd"] = "1"
    content["annotations"][0]["iscrowd"] = "0"
    converted, counts = TOOL.convert(content, tiny, ignore_unmasked=True)
    assert counts == {TOOL.KEPT: 1, TOOL.IGNORED: 1, TOOL.CROWD: 1}
    for new, old in zip(converted["annotations"], plain["annotations"], strict=True):
        assert (new["area"], new["segmentation"]) == (old["area"], old["segmentation"])
