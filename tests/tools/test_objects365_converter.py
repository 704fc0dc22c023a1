"""Objects365 instances: what scoring needs is added, and broken annotations are named."""

import json

import pytest

from mmdataseg.datasets.transforms.annotation_maps import decode_mask
from tests import layouts


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
        ("segmentation", [[1, 2, 3, 4]], r"annotation 1: a polygon needs three or more"),
        ("segmentation", {"size": [3, 3], "counts": [9]}, r"annotation 1: its RLE is 3 x 3"),
        ("category_id", 999, r"annotation 1 has category 999, which is outside the label space"),
        ("image_id", 77, r"annotation 1 is of image 77, which is not listed"),
    ],
)
def test_objects365_instances_with_a_broken_annotation(world, key, value, match):
    with pytest.raises(SystemExit, match=rf"o365_instance_seg_val\.json': {match}"):
        instances_json(world, lambda content: content["annotations"][0].update({key: value}))
