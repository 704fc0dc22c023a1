"""Files that were once handled wrongly. Random tests, or reading the code for them, found these."""

from pathlib import Path

import pytest

from mmdataseg.errors import UserError
from mmdataseg.formats.coco_instances import read_instance_table
from mmdataseg.formats.coco_panoptic import load_panoptic_json
from mmdataseg.formats.json_files import load_json
from mmdataseg.formats.mask_annotations import read_mask_annotations
from mmdataseg.formats.masks import check_segmentation

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("value", [DEEP, "9" * 5000], ids=["lists in lists", "an integer of 5000 digits"])
@pytest.mark.parametrize("read", [lambda path: read_instance_table(path, classes=["car"]), read_mask_annotations])
def test_json_that_python_cannot_hold(tmp_path: Path, value, read) -> None:
    path = tmp_path / "instances.json"
    path.write_text(f'{{"images": [{{"id": {value}}}], "annotations": [], "categories": []}}')
    with pytest.raises(UserError, match="not valid JSON"):
        read(path)


def test_a_whole_file_of_lists_in_lists(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(DEEP)
    with pytest.raises(UserError, match="not valid JSON"):
        load_json(tmp_path / "a.json", ())


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": [1, 1], "counts": [None]}, "'counts': expected an integer, got null"),
        ({"size": [1, 1], "counts": [0.5]}, "'counts': expected an integer, got 0.5"),
        ({"size": [1, 1], "counts": [10**30]}, "at most 64 bits"),
        ({"size": [1, float("inf")], "counts": [1]}, "expected height and width"),
        # the sum wraps to 1 in 64 bits
        ({"size": [1, 1], "counts": [2**62, 2**62, 2**62, 2**62, 1]}, "add up to 18446744073709551617 pixels"),
        ([[0, 0, 1e9, 0, 1e9, 1e9]], "coordinate 1e[+]09, which is outside any image"),
    ],
)
def test_masks_that_pycocotools_would_misread(segmentation, message) -> None:
    with pytest.raises(ValueError, match=message):
        check_segmentation(segmentation, 1, 1)


@pytest.mark.parametrize("segment", ["null", '{"id": 1, "category_id": []}'])
def test_an_entry_that_is_not_a_segment(tmp_path: Path, segment: str) -> None:
    annotations = f'[{{"image_id": 1, "segments_info": [{segment}]}}]'
    (tmp_path / "a.json").write_text(f'{{"images": [{{"id": 1}}], "annotations": {annotations}, "categories": []}}')
    with pytest.raises(UserError, match="image 1 in 'annotations': expected segments with an 'id' and a 'category_id'"):
        load_panoptic_json(tmp_path / "a.json")


@pytest.mark.parametrize("height", [0, -4, 2**32 + 4], ids=["zero", "negative", "four in 32 bits"])
def test_sides_that_no_image_has(tmp_path: Path, height: int) -> None:
    (tmp_path / "a.json").write_text(
        f'{{"images": [{{"id": 1, "file_name": "a.jpg", "height": {height}, "width": 5}}], "annotations": [],'
        ' "categories": [{"id": 1, "name": "car"}]}'
    )
    with pytest.raises(UserError, match=f"expected the size of an image in pixels, got {height} and 5"):
        read_instance_table(tmp_path / "a.json", classes=["car"])
