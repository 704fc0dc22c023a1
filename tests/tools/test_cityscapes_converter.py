"""Cityscapes panoptic, against cityscapesScripts' rules."""

import json

import numpy as np
import pytest
from PIL import Image

from tests import layouts
from tests.datasets.writing import rgb_to_id


def test_cityscapes_by_hand():
    """road 7; cars 26001, 26002 and a group of cars 26; static 4 and caravan 29001 are not evaluated."""
    tool = layouts.load_tool("dataset_converters/cityscapes_panoptic.py")
    found = tool.segments(np.array([[7, 7, 26001, 26002], [26, 4, 29001, 0]], np.int32))
    assert found.ids.tolist() == [[7, 7, 26001, 26002], [26, 0, 0, 0]]
    assert found.categories == {7: 7, 26: 26, 26001: 26, 26002: 26}
    assert found.crowds == {26}
    with pytest.raises(ValueError, match="value 40001 belongs to no Cityscapes class"):
        tool.segments(np.array([[7, 40001]], np.int32))


def test_cityscapes_json_is_that_of_cityscapesscripts_except_for_the_city(world):
    layouts.write_layout("cityscapes", world)
    content = json.loads((world / "data/cityscapes/panoptic/val.json").read_text())
    assert content["images"][0] == {
        "id": "frankfurt_000000_000019",
        "file_name": "frankfurt/frankfurt_000000_000019_leftImg8bit.png",
        "height": layouts.HEIGHT,
        "width": layouts.WIDTH,
    }
    assert content["annotations"][0]["file_name"] == "frankfurt_000000_000019_gtFine_panoptic.png"
    assert content["categories"][0] == {"id": 7, "name": "road", "isthing": 0}
    assert content["categories"][-1] == {"id": 33, "name": "bicycle", "isthing": 1}
    ids = rgb_to_id(Image.open(world / "data/cityscapes/panoptic/val/frankfurt_000000_000019_gtFine_panoptic.png"))
    raw = world / "data/cityscapes/gtFine/val/frankfurt/frankfurt_000000_000019_gtFine_instanceIds.png"
    truth = np.asarray(Image.open(raw)).astype(int)
    assert (ids == np.where(truth == 4, 0, truth)).all()


def test_a_map_of_colours_is_refused(world):
    layouts.write_layout("cityscapes", world)
    root = world / "data/cityscapes"
    raw = root / "gtFine/val/frankfurt/frankfurt_000000_000019_gtFine_instanceIds.png"
    layouts.save_array(np.zeros((layouts.HEIGHT, layouts.WIDTH, 3), np.uint8), raw)
    (root / "panoptic/val.json").unlink()
    (root / "panoptic/val/frankfurt_000000_000019_gtFine_panoptic.png").unlink()
    with pytest.raises(SystemExit, match=f"^'.*{raw.name}': expected one channel; unpack gtFine_trainvaltest again$"):
        layouts.convert("cityscapes_panoptic", "--root", root)
