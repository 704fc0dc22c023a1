"""The toy world's files agree with one another, an interrupted run continues, and the preview shows all sources."""

import json
from contextlib import nullcontext

import cv2
import numpy as np
import pytest

from projects.toy.world import vocabulary as v
from projects.toy.world.preview import CELL, contact_sheet
from projects.toy.world.writing import make_world, plan_world
from tests.datasets.writing import rgb_to_id

SMALL = dict(seed=5, size=64, train_images=(3, 4, 5), val_images=2)


def files_of(folder):
    """Relative name -> content of every file under a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_panoptic_files_agree_with_one_another(tmp_path):
    assert make_world(tmp_path, **SMALL) == 3 + 4 + 5 + 4 * 2
    for name, count in (
        ("toy_panoptic/annotations/panoptic_train", 4),
        ("toy_panoptic/annotations/panoptic_val", 2),
        ("toy_semantic/annotations/panoptic_validation", 2),
        ("toy_open/annotations/panoptic_val", 2),
    ):
        content = json.loads((tmp_path / f"{name}.json").read_text())
        assert len(content["images"]) == len(content["annotations"]) == count
        for annotation in content["annotations"]:
            picture = cv2.imread(str(tmp_path / name / annotation["file_name"]))[..., ::-1]
            ids, areas = np.unique(rgb_to_id(picture), return_counts=True)
            expected = {s["id"]: s["area"] for s in annotation["segments_info"]}
            assert {i: a for i, a in zip(ids.tolist(), areas.tolist(), strict=True) if i} == expected


def test_boxes_hold_no_masks_and_true_masks_are_in_another_file(tmp_path):
    make_world(tmp_path, **SMALL)
    root = tmp_path / "toy_boxes"
    for split in ("train", "val"):
        boxes = json.loads((root / f"annotations/boxes_{split}.json").read_text())
        assert boxes["annotations"]
        assert not any("segmentation" in a for a in boxes["annotations"])
    masks = json.loads((root / "true_masks/instances_val.json").read_text())
    keys = ("id", "image_id", "category_id", "bbox", "iscrowd")
    assert [[a[k] for k in keys] for a in masks["annotations"]] == [[a[k] for k in keys] for a in boxes["annotations"]]
    assert all(a["segmentation"]["size"] == [64, 64] for a in masks["annotations"])
    assert len(list(root.glob("true_masks/*"))) == 1


def test_label_maps_are_single_channel_and_in_range(tmp_path):
    make_world(tmp_path, **SMALL)
    for split, count in (("training", 3), ("validation", 2)):
        images = sorted(p.stem for p in (tmp_path / "toy_semantic/images" / split).iterdir())
        maps = sorted((tmp_path / "toy_semantic/annotations" / split).iterdir())
        assert [p.stem for p in maps] == images
        assert len(images) == count
        for path in maps:
            labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            assert labels.shape == (64, 64)
            assert labels.max() <= len(v.TOY_SEMANTIC.classes)


def test_a_second_run_changes_nothing(tmp_path):
    make_world(tmp_path, **SMALL)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    assert make_world(tmp_path, **SMALL) == 0
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("stop_after", [1, 6, 13, 19])
@pytest.mark.parametrize("torn_line", ["", '{"stem": "000'])
def test_an_interrupted_run_continues_to_the_same_world(tmp_path, stop_after, torn_line):
    make_world(tmp_path / "whole", **SMALL)

    def interrupt(there, total):
        assert total == 20
        if there == stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_world(tmp_path / "cut", **SMALL, progress=interrupt)
    for journal in (tmp_path / "cut").rglob("*.journal"):
        with journal.open("a") as file:
            file.write(torn_line)
    assert make_world(tmp_path / "cut", **SMALL) == 20 - stop_after
    assert files_of(tmp_path / "cut") == files_of(tmp_path / "whole")


@pytest.mark.parametrize("change", [dict(seed=6), dict(size=72), dict(train_images=(3, 3, 6)), dict(val_images=1)])
def test_a_folder_with_another_world_is_refused(tmp_path, change):
    make_world(tmp_path, **SMALL)
    before = files_of(tmp_path)
    with pytest.raises(ValueError, match=f"another world: {next(iter(change))}"):
        make_world(tmp_path, **(SMALL | change))
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("stop_after", [None, 9])
def test_a_smaller_world_grows_into_the_larger_one(tmp_path, stop_after):
    """Also if it was not complete. The set that keeps its size is not drawn again."""
    larger = SMALL | dict(train_images=(SMALL["train_images"][0], 6, 7), val_images=3)

    def interrupt(there, _total):
        if there == stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) if stop_after else nullcontext():
        make_world(tmp_path / "grown", **SMALL, progress=interrupt)
    kept = (tmp_path / "grown/toy_semantic/images/training/00000001.jpg").stat().st_mtime_ns
    make_world(tmp_path / "whole", **larger)
    make_world(tmp_path / "grown", **larger)
    assert files_of(tmp_path / "grown") == files_of(tmp_path / "whole")
    assert (tmp_path / "grown/toy_semantic/images/training/00000001.jpg").stat().st_mtime_ns == kept
    assert make_world(tmp_path / "grown", **larger) == 0


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(ValueError, match="holds other files"):
        make_world(tmp_path, **SMALL)


@pytest.mark.parametrize("content", ["{", "[]", '{"world": 3}'])
def test_a_broken_state_file_is_refused(tmp_path, content):
    (tmp_path / "toy.json").write_text(content)
    with pytest.raises(ValueError, match=r"toy\.json is not what this tool wrote"):
        make_world(tmp_path, **SMALL)


@pytest.mark.parametrize("train_images", [(1, 2), (1, 2, 0), ()])
def test_numbers_out_of_range_are_refused(train_images):
    with pytest.raises(ValueError, match="three numbers of training images"):
        plan_world(train_images, 1)


def test_with_a_bad_size_no_folder_is_made(tmp_path):
    with pytest.raises(ValueError, match="at least 64"):
        make_world(tmp_path / "world", size=16)
    assert not (tmp_path / "world").exists()


def test_contact_sheet_shows_images_beside_annotations():
    sheet = contact_sheet(size=64, pairs=1)
    assert sheet.shape[1] == 2 * CELL
    assert sheet.dtype == np.uint8
    row_height = sheet.shape[0] // 6
    for row in range(6):
        image, annotated = np.split(sheet[row * row_height + 40 : (row + 1) * row_height], 2, axis=1)
        assert (image != annotated).any(-1).mean() > 0.005
