"""Files that were once handled wrongly. Random tests, or reading the code for them, found these."""

import struct
from pathlib import Path

import pytest
import torch

from mmdataseg.checkpoints.reading import read_checkpoint
from mmdataseg.engine.whole_checkpoints import is_whole
from mmdataseg.errors import UserError
from mmdataseg.formats.coco_instances import read_instance_table
from mmdataseg.formats.coco_panoptic import load_panoptic_json
from mmdataseg.formats.json_files import load_json
from mmdataseg.formats.mask_annotations import read_mask_annotations
from mmdataseg.formats.masks import check_segmentation
from mmdataseg.formats.text_files import read_lines

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
        ([[0, 0, 10**400, 0, 9, 9]], "expected a polygon as a list"),
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


def test_a_byte_order_mark_that_is_cut_short(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(b"\xef")
    with pytest.raises(UserError, match="not valid UTF-8"):
        read_lines(tmp_path / "names.txt")


def test_a_checkpoint_that_is_no_dict(tmp_path: Path) -> None:
    torch.save("cpu", tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"expected a checkpoint with tensors, .* got a str"):
        read_checkpoint(tmp_path / "a.pth")


def test_a_zip_directory_that_spans_disks(tmp_path: Path) -> None:
    """A locator of 64 bits that names two disks; ``zipfile.is_zipfile`` raises for it."""
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 2)
    (tmp_path / "iter_1.pth").write_bytes(b"PK\x03\x04" + bytes(40) + locator + b"PK\x05\x06" + bytes(18))
    assert not is_whole(tmp_path / "iter_1.pth")
    with pytest.raises(UserError, match="is not a checkpoint"):
        read_checkpoint(tmp_path / "iter_1.pth")


@pytest.mark.parametrize("height", [0, -4, 2**32 + 4], ids=["zero", "negative", "four in 32 bits"])
def test_sides_that_no_image_has(tmp_path: Path, height: int) -> None:
    (tmp_path / "a.json").write_text(
        f'{{"images": [{{"id": 1, "file_name": "a.jpg", "height": {height}, "width": 5}}], "annotations": [],'
        ' "categories": [{"id": 1, "name": "car"}]}'
    )
    with pytest.raises(UserError, match=f"expected the size of an image in pixels, got {height} and 5"):
        read_instance_table(tmp_path / "a.json", classes=["car"])
