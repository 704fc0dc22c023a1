"""Objects365 v2 as it is downloaded: file names with other folders than those of the images, and missing images."""

import json

import pytest

from mmdataseg.datasets import InstanceSegDataset
from tests.datasets.writing import write_image, write_json

METAINFO = {"classes": ("Person", "Sneakers")}
NAMES = ("images/v1/patch8/objects365_v1_00420917.jpg", "images/v2/patch16/objects365_v2_00908726.jpg")


@pytest.fixture
def arguments(tmp_path):
    """Two images in the JSON, of which only the first one was published."""
    content = {
        "images": [{"id": i, "file_name": name, "height": 10, "width": 20} for i, name in enumerate(NAMES)],
        "annotations": [
            {"id": 5 + i, "image_id": i, "category_id": 1 + i, "bbox": [1, 2, 3, 4], "iscrowd": 0} for i in range(2)
        ],
        "categories": [{"id": 2, "name": "Sneakers "}, {"id": 1, "name": "Person"}],
    }
    write_image(tmp_path / "train/patch8/objects365_v1_00420917.jpg", 10, 20)
    write_json(tmp_path / "annotations/boxes.json", content)
    return {
        "data_root": str(tmp_path),
        "img_dir": "train",
        "ann_file": "annotations/boxes.json",
        "metainfo": METAINFO,
        "path_parts": 2,
        "leave_out": ["patch16/objects365_v2_00908726.jpg"],
    }


def test_path_parts_gives_the_path_of_an_image(arguments, tmp_path):
    dataset = InstanceSegDataset(**arguments)
    assert len(dataset) == 1
    info = dataset.get_data_info(0)
    assert info["img_path"] == str(tmp_path / "train/patch8/objects365_v1_00420917.jpg")
    assert info["instances"] == [{"bbox": [1, 2, 4, 6], "bbox_label": 0, "ignore_flag": 0}]
    assert "1 left out by leave_out" in dataset.table.summary()


def test_without_it_the_whole_name_counts(arguments):
    with pytest.raises(FileNotFoundError, match=r"images/v1/patch8/objects365_v1_00420917\.jpg"):
        InstanceSegDataset(**{**arguments, "path_parts": None})


def test_any_other_missing_image_is_an_error_that_names_the_remedy(arguments):
    match = r"1 images listed in .*boxes\.json' are missing .*'patch16/objects365_v2_00908726\.jpg'.*leave_out"
    with pytest.raises(FileNotFoundError, match=match):
        InstanceSegDataset(**{**arguments, "leave_out": []})


def test_an_image_in_the_middle_is_left_out_with_its_boxes(arguments, tmp_path):
    path = tmp_path / "annotations/boxes.json"
    content = json.loads(path.read_text())
    content["images"].reverse()  # the one left out comes first, and the other's boxes stay its own
    write_json(path, content)
    dataset = InstanceSegDataset(**arguments)
    assert [dataset.get_data_info(i)["img_id"] for i in range(len(dataset))] == [0]
    assert dataset.get_cat_ids(0) == [0]


def test_cache_knows_the_options(arguments, tmp_path):
    first = InstanceSegDataset(**arguments, cache_dir="cache")
    second = InstanceSegDataset(**arguments, cache_dir="cache")
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert not second.table.boxes.flags.owndata
    assert not second.table.boxes.flags.writeable
    assert len(first) == len(second) == 1
    write_image(tmp_path / "train/patch16/objects365_v2_00908726.jpg", 10, 20)
    assert len(InstanceSegDataset(**{**arguments, "leave_out": []}, cache_dir="cache")) == 2


@pytest.mark.parametrize("path_parts", [0, -1])
def test_path_parts_must_keep_something(arguments, path_parts):
    with pytest.raises(ValueError, match=r"boxes\.json': expected path_parts to be None or at least 1, got"):
        InstanceSegDataset(**{**arguments, "path_parts": path_parts})
