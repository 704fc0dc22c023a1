"""COCO panoptic JSON and PNGs."""

import pytest

from mmdataseg.datasets import PanopticSegDataset
from tests.datasets.writing import METAINFO, PanopticFiles, write_image, write_json


@pytest.fixture
def files(tmp_path):
    return PanopticFiles(tmp_path)


def test_categories_are_matched_by_name(files):
    info = PanopticSegDataset(**files.write()).get_data_info(0)
    assert info["img_id"] == 42
    assert (info["height"], info["width"]) == (4, 6)
    assert info["img_path"] == str(files.root / "images/a.jpg")
    assert info["seg_map_path"] == str(files.root / "pngs/a.png")
    assert info["segments_info"] == [
        {"id": files.DOG, "category": 1, "is_thing": True, "iscrowd": False},
        {"id": files.SKY, "category": 2, "is_thing": False, "iscrowd": False},
        {"id": files.CROWD, "category": 1, "is_thing": True, "iscrowd": True},
        {"id": files.CAT, "category": 0, "is_thing": True, "iscrowd": False},
    ]


def test_label_map_renames_and_voids(files):
    dataset = PanopticSegDataset(**files.write(), label_map={"dog": "cat", "sky": None, "unicorn": "dog"})
    segments = dataset.get_data_info(0)["segments_info"]
    assert [s["category"] for s in segments] == [0, -1, 0, 0]
    assert [s["is_thing"] for s in segments] == [True, False, True, True]


def test_thing_flags_of_the_file_without_those_of_a_label_space(files):
    arguments = files.write() | {"metainfo": {"classes": METAINFO["classes"]}}
    segments = PanopticSegDataset(**arguments).get_data_info(0)["segments_info"]
    assert [s["is_thing"] for s in segments] == [True, False, True, True]


def test_category_outside_the_label_space(files):
    files.segments[3]["category_id"] = 11
    match = r"panoptic\.json': segment 5 of image 42 has category 11 \('unicorn'\), .*not in the label space; map .*"
    with pytest.raises(ValueError, match=match):
        PanopticSegDataset(**files.write())


def test_category_that_the_file_does_not_list(files):
    files.segments[3]["category_id"] = 99
    with pytest.raises(ValueError, match=r"segment 5 of image 42 has category 99, .*'categories' do not list it"):
        PanopticSegDataset(**files.write())


@pytest.mark.parametrize(
    ("label_map", "match"),
    [
        ({"dgo": "dog"}, r"panoptic\.json': the file has no category 'dgo'; correct this key of label_map"),
        ({3: "dog"}, "the file has no category '3'; correct this key of label_map; its keys are names, not ids"),
        ({"dog": 1}, "label_map maps to 1, which is not a class of the label space; use one of its class names"),
        ({"dog": "wolf"}, "label_map maps to 'wolf', which is not a class of the label space"),
    ],
)
def test_wrong_label_map(files, label_map, match):
    with pytest.raises(ValueError, match=match):
        PanopticSegDataset(**files.write(), label_map=label_map)


def test_image_without_annotation(files):
    files.content["images"].append({"id": 43, "file_name": "b.jpg", "height": 4, "width": 6})
    with pytest.raises(ValueError, match=r"panoptic\.json': 1 image has no annotation, e\.g\. image 43; annotate"):
        PanopticSegDataset(**files.write())


def test_annotation_without_image(files):
    files.content["annotations"].append({"image_id": 44, "file_name": "b.png", "segments_info": []})
    with pytest.raises(ValueError, match=r"1 annotation is of images that are not listed, e\.g\. image 44; add"):
        PanopticSegDataset(**files.write())


@pytest.mark.parametrize(
    ("key", "entry", "match"),
    [
        ("images", {"id": 42, "file_name": "c.jpg", "height": 1, "width": 1}, "image 42 appears twice in 'images'"),
        ("annotations", {"file_name": "c.png"}, "an entry of 'annotations' has no 'image_id'"),
        ("categories", {"id": 7, "name": "cloud"}, "category id 7 appears twice; repair"),
        ("categories", {"name": "cloud"}, "expected categories with 'id' and 'name', got .*; repair"),
    ],
)
def test_entries_that_do_not_fit(files, key, entry, match):
    files.content[key] = [*files.content[key], entry]
    with pytest.raises(ValueError, match=rf"panoptic\.json': {match}"):
        PanopticSegDataset(**files.write())


@pytest.mark.parametrize(("key", "name"), [("images", "height"), ("annotations", "segments_info")])
def test_missing_field(files, key, name):
    del files.content[key][0][name]
    with pytest.raises(ValueError, match=rf"panoptic\.json': an image or annotation has no key '{name}'"):
        PanopticSegDataset(**files.write())


@pytest.mark.parametrize("ids", [(5, 5), (5, 0)])
def test_segment_ids_must_be_distinct_and_positive(files, ids):
    for segment, new in zip(files.segments[:2], ids, strict=True):
        segment["id"] = new
    with pytest.raises(ValueError, match="image 42: expected distinct, positive segment ids"):
        PanopticSegDataset(**files.write())


def test_no_image(files):
    files.content.update(images=[], annotations=[])
    with pytest.raises(ValueError, match=r"panoptic\.json': the file has no image"):
        PanopticSegDataset(**files.write())


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"images": [', r"panoptic\.json': not valid JSON .*copied or downloaded completely"),
        ("[]", r"panoptic\.json': expected a JSON object with the keys .*; use the file for this task"),
        ("{}", r"panoptic\.json': key 'images' is missing; .*; use the file for this task"),
        ('{"images": [], "annotations": {}, "categories": []}', "expected a list under 'annotations', got dict; use"),
    ],
)
def test_a_file_that_is_not_coco_json_is_refused(files, text, match):
    arguments = files.write()
    write_json(files.root / "panoptic.json", text)
    with pytest.raises(ValueError, match=match):
        PanopticSegDataset(**arguments)


@pytest.mark.parametrize(
    ("key", "match"),
    [
        ("img_dir", "image folder '.*nowhere' does not exist"),
        ("ann_dir", "folder of panoptic PNGs '.*nowhere' does not exist"),
        ("ann_file", "annotation file '.*nowhere' does not exist"),
    ],
)
def test_missing_folder_or_file(files, key, match):
    with pytest.raises(FileNotFoundError, match=match):
        PanopticSegDataset(**files.write() | {key: "nowhere"})


@pytest.mark.parametrize(("path", "what"), [("images/a.jpg", "images"), ("pngs/a.png", "panoptic PNGs")])
def test_listed_file_is_missing(files, path, what):
    arguments = files.write()
    (files.root / path).unlink()
    with pytest.raises(FileNotFoundError, match=rf"1 {what} listed in '.*panoptic\.json' are missing under .*complete"):
        PanopticSegDataset(**arguments)


def test_indices(files):
    files.content["images"].append({"id": 43, "file_name": "b.jpg", "height": 4, "width": 6})
    files.content["annotations"].append({"image_id": 43, "file_name": "a.png", "segments_info": []})
    write_image(files.root / "images/b.jpg", 4, 6)
    dataset = PanopticSegDataset(**files.write(), indices=[1])
    assert len(dataset) == 1
    assert dataset.get_data_info(0)["img_id"] == 43
