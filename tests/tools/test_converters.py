"""What all converters do: go on where they stopped, do nothing twice, say what is broken and what to do."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from mmdataseg.formats.coco_panoptic import PanopticSegments, segments_info
from mmdataseg.formats.panoptic_conversion import PanopticImage, convert_panoptic
from tests import layouts

# converter -> (layout it belongs to, its arguments, what it writes under data/)
CONVERTERS = {
    "ade_panoptic": ("ade", ["--root", "data/ADEChallengeData2016"], "ADEChallengeData2016/panoptic"),
    "cityscapes_panoptic": ("cityscapes", ["--root", "data/cityscapes"], "cityscapes/panoptic"),
    "pascal_context": (
        "pascal_context",
        ["--root", "data/VOCdevkit/VOC2010"],
        "VOCdevkit/VOC2010/SegmentationClassContext",
    ),
    "objects365_instances": (
        "objects365",
        ["data/objects365/annotations/o365_instance_seg_val.json"],
        "objects365/annotations/instances_val_1000.json",
    ),
}


def run(name):
    layouts.convert(name, *CONVERTERS[name][1])


def state(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_every_converter_is_tested(repo_root):
    files = {path.stem for path in (repo_root / "tools/dataset_converters").glob("*.py")}
    assert files == set(CONVERTERS)


@pytest.mark.parametrize("name", CONVERTERS)
def test_help(name, capsys):
    with pytest.raises(SystemExit) as stop:
        layouts.convert(name, "--help")
    assert stop.value.code == 0
    assert "does nothing" in capsys.readouterr().out


@pytest.mark.parametrize("name", CONVERTERS)
def test_second_run_does_nothing(world, name, capsys):
    layouts.write_layout(CONVERTERS[name][0], world)
    before = state(world)
    capsys.readouterr()
    run(name)
    assert "complete, nothing to do" in capsys.readouterr().out
    assert state(world) == before


@pytest.mark.parametrize("name", ["ade_panoptic", "cityscapes_panoptic", "pascal_context"])
def test_a_lost_png_is_made_again_and_nothing_else(world, name, capsys):
    layouts.write_layout(CONVERTERS[name][0], world)
    folder = world / "data" / CONVERTERS[name][2]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    lost = sorted(path for path in before if path.suffix == ".png")[1]
    kept = sorted(path for path in before if path.suffix == ".png")[0]
    lost.unlink()
    time = kept.stat().st_mtime_ns
    run(name)
    assert "images converted: 1" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert kept.stat().st_mtime_ns == time


def test_interrupted_run_goes_on(tmp_path):
    """The journal holds what is done; a line that was cut short counts for nothing."""
    images = [PanopticImage(image_id=i, file_name=f"{i}.jpg", png=f"{i}.png") for i in range(4)]
    converted = []

    def convert(image, stop_at=None):
        if image.image_id == stop_at:
            raise KeyboardInterrupt
        converted.append(image.image_id)
        return PanopticSegments(ids=np.full((2, 3), image.image_id + 1, np.int32), categories={image.image_id + 1: 7})

    arguments = {
        "categories": [{"id": 7, "name": "cat", "isthing": 1}],
        "json_file": tmp_path / "out/a.json",
        "png_dir": tmp_path / "out/a",
        "description": "test",
    }
    with pytest.raises(KeyboardInterrupt):
        convert_panoptic(images, convert=lambda image: convert(image, stop_at=2), **arguments)
    assert not (tmp_path / "out/a.json").exists()
    journal = tmp_path / "out/a.json.journal"
    assert len(journal.read_text().splitlines()) == 2
    journal.write_text(journal.read_text() + '{"image": {"id": 2, "fi')
    assert convert_panoptic(images, convert=convert, **arguments) == 2
    assert converted == [0, 1, 2, 3]
    content = json.loads((tmp_path / "out/a.json").read_text())
    assert [image["id"] for image in content["images"]] == [0, 1, 2, 3]
    assert content["annotations"][2] == {
        "image_id": 2,
        "file_name": "2.png",
        "segments_info": [{"id": 3, "category_id": 7, "area": 6, "bbox": [0, 0, 3, 2], "iscrowd": 0}],
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "a.json"]
    assert convert_panoptic(images, convert=convert, **arguments) == 0
    with pytest.raises(ValueError, match=r"a\.json' exists with other categories, .*choose another output"):
        convert_panoptic(images, convert=convert, **{**arguments, "categories": []})


def test_segments_info_by_hand():
    ids = np.array([[0, 300, 300, 0], [5, 5, 300, 0], [5, 70000, 0, 0]], np.int32)
    assert segments_info(PanopticSegments(ids=ids, categories={5: 1, 300: 2, 70000: 3}, crowds=frozenset([300]))) == [
        {"id": 5, "category_id": 1, "area": 3, "bbox": [0, 1, 2, 2], "iscrowd": 0},
        {"id": 300, "category_id": 2, "area": 3, "bbox": [1, 0, 2, 2], "iscrowd": 1},
        {"id": 70000, "category_id": 3, "area": 1, "bbox": [1, 2, 1, 1], "iscrowd": 0},
    ]


def truncate(path):
    path.write_bytes(path.read_bytes()[:40])


def wrong_size(path):
    layouts.save_array(np.array(Image.open(path))[:-1], path)


def no_label_map(path):
    savemat(path, {"Labels": np.zeros((3, 3))})


def large_label(path):
    savemat(path, {"LabelMap": np.full((layouts.HEIGHT, layouts.WIDTH), 460, np.uint16)})


def remove(path):
    path.unlink()


BROKEN = [
    ("ade_panoptic", "ADEChallengeData2016/annotations/validation/ADE_val_00000001.png", truncate, "unpack it again"),
    (
        "ade_panoptic",
        "ADEChallengeData2016/annotations_instance/validation/ADE_val_00000001.png",
        remove,
        "put the data",
    ),
    (
        "ade_panoptic",
        "ADEChallengeData2016/annotations_instance/validation/ADE_val_00000001.png",
        wrong_size,
        "has 47 x 64 pixels .* same release",
    ),
    ("ade_panoptic", "ADEChallengeData2016/images/validation/ADE_val_00000001.jpg", truncate, "not an image .* again"),
    (
        "cityscapes_panoptic",
        "cityscapes/gtFine/val/frankfurt/frankfurt_000000_000019_gtFine_instanceIds.png",
        truncate,
        "unpack it again",
    ),
    (
        "cityscapes_panoptic",
        "cityscapes/leftImg8bit/val/frankfurt/frankfurt_000000_000019_leftImg8bit.png",
        remove,
        "put the data there",
    ),
    ("pascal_context", "VOCdevkit/VOC2010/trainval/2010_001000.mat", truncate, r"unpack trainval\.tar\.gz again"),
    ("pascal_context", "VOCdevkit/VOC2010/trainval/2010_001000.mat", no_label_map, "has no matrix LabelMap"),
    (
        "pascal_context",
        "VOCdevkit/VOC2010/trainval/2010_001000.mat",
        large_label,
        "labels 460 to 460, expected 0 to 459",
    ),
    ("pascal_context", "VOCdevkit/VOC2010/ImageSets/Main/val.txt", remove, "put the data there"),
    ("objects365_instances", "objects365/annotations/o365_instance_seg_val.json", truncate, "not valid JSON"),
]


@pytest.mark.parametrize(("name", "file", "damage", "remedy"), BROKEN)
def test_broken_input_stops_with_its_name_and_the_remedy(world, name, file, damage, remedy):
    layouts.write_layout(CONVERTERS[name][0], world)
    target = world / "data" / CONVERTERS[name][2]
    for path in [target, *target.rglob("*")] if target.is_dir() else [target]:
        if path.is_file():
            path.unlink()
    damage(world / "data" / file)
    with pytest.raises(SystemExit, match=rf"(?s){Path(file).name}'.*{remedy}"):
        run(name)
