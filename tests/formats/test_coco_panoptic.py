"""COCO panoptic: ids and colours, segments_info, the JSON."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from mmdataseg.errors import UserError
from mmdataseg.formats.coco_panoptic import (
    PanopticSegments,
    id_to_rgb,
    load_panoptic_json,
    rgb_to_id,
    segments_info,
    write_panoptic_png,
)


def test_rgb_to_id():
    assert rgb_to_id(np.array([[[1, 2, 3], [255, 255, 255]]], np.uint8)).tolist() == [
        [1 + 2 * 256 + 3 * 65536, 2**24 - 1]
    ]


def test_ids_survive_conversion_to_colours_and_back():
    ids = np.random.default_rng(0).integers(0, 2**24, (20, 30)).astype(np.int32)
    assert (rgb_to_id(id_to_rgb(ids)) == ids).all()


def test_segments_info_by_hand():
    ids = np.array([[0, 300, 300, 0], [5, 5, 300, 0], [5, 70000, 0, 0]], np.int32)
    assert segments_info(PanopticSegments(ids=ids, categories={5: 1, 300: 2, 70000: 3}, crowds=frozenset([300]))) == [
        {"id": 5, "category_id": 1, "area": 3, "bbox": [0, 1, 2, 2], "iscrowd": 0},
        {"id": 300, "category_id": 2, "area": 3, "bbox": [1, 0, 2, 2], "iscrowd": 1},
        {"id": 70000, "category_id": 3, "area": 1, "bbox": [1, 2, 1, 1], "iscrowd": 0},
    ]


def test_no_segment_has_no_info():
    assert segments_info(PanopticSegments(ids=np.zeros((2, 3), np.int32), categories={})) == []


def test_the_png_holds_the_ids_and_its_info_is_returned(tmp_path):
    segments = PanopticSegments(ids=np.array([[0, 70000]], np.int32), categories={70000: 3})
    infos = write_panoptic_png(tmp_path / "new/a.png", segments)
    assert rgb_to_id(np.asarray(Image.open(tmp_path / "new/a.png"))).tolist() == [[0, 70000]]
    assert infos == segments_info(segments)


def test_images_and_annotations_by_image_id(tmp_path):
    content = {
        "images": [{"id": "b", "file_name": "b.jpg"}, {"id": "a", "file_name": "a.jpg"}],
        "annotations": [{"image_id": "a", "file_name": "a.png"}, {"image_id": "b", "file_name": "b.png"}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    read = load_panoptic_json(tmp_path / "a.json")
    assert list(read.images) == ["b", "a"]
    assert {key: annotation["file_name"] for key, annotation in read.annotations.items()} == {
        "a": "a.png",
        "b": "b.png",
    }
    assert read.categories == content["categories"]


@pytest.mark.parametrize(
    ("images", "annotations", "match"),
    [
        ([1], [], "1 image has no annotation, e.g. image 1; annotate"),
        ([], [1], "1 annotation is of images that are not listed, e.g. image 1; add"),
        ([1, 1], [1], "image 1 appears twice in 'images'; repair"),
        ([1], [1, 1], "image 1 appears twice in 'annotations'; repair"),
    ],
)
def test_an_image_without_exactly_one_annotation_is_refused(tmp_path, images, annotations, match):
    content = {"images": [{"id": i} for i in images], "annotations": [{"image_id": i} for i in annotations]}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content | {"categories": []}))
    with pytest.raises(UserError, match=f"{re.escape(str(path))}'.*{match}") as caught:
        load_panoptic_json(path)
    assert caught.value.file == str(path)
