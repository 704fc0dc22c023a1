"""Instances with masks, read as ground truth."""

import json

import pytest

from mmdataseg.errors import UserError
from mmdataseg.formats.mask_annotations import read_mask_annotations

TRIANGLE = [[0, 0, 9, 0, 9, 9]]


def write(path, **changes):
    content = {
        "images": [{"id": 1, "height": 10, "width": 10}],
        "annotations": [{"id": 7, "image_id": 1, "category_id": 1, "segmentation": [[2, 1, 6, 1, 6, 4, 2, 4]]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    path.write_text(json.dumps(content | changes))
    return path


def test_crowd_flag_and_area_are_filled_in_where_they_are_missing(tmp_path):
    (annotation,) = read_mask_annotations(write(tmp_path / "a.json"))["annotations"]
    assert (annotation["iscrowd"], annotation["area"]) == (0, 12)


def test_crowd_flag_and_area_stay_as_they_are(tmp_path):
    given = {"id": 7, "image_id": 1, "category_id": 1, "segmentation": TRIANGLE, "iscrowd": 1, "area": 3.5}
    assert read_mask_annotations(write(tmp_path / "a.json", annotations=[given]))["annotations"] == [given]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"images": [{"id": 1}, {"id": 1}]}, "image id 1 appears twice in 'images'"),
        ({"images": [{"id": 2}]}, "annotation 7 belongs to image 1, which is not listed"),
        ({"images": [{}]}, "an entry of 'images' has no 'id'"),
        ({"annotations": [5]}, "an entry of 'annotations' has no 'id': 5"),
        ({"categories": [{"id": 1}]}, "expected categories with 'id' and 'name'"),
        ({"categories": [{"id": 1, "name": "cat"}] * 2}, "category id 1 appears twice"),
        ({"annotations": {}}, "expected a list under 'annotations', got dict"),
    ],
)
def test_faults_that_training_refuses_are_refused(tmp_path, changes, match):
    path = write(tmp_path / "a.json", **changes)
    with pytest.raises(UserError, match=match) as caught:
        read_mask_annotations(path)
    assert caught.value.file == str(path)
