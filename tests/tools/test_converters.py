"""Every converter continues where it stopped, does nothing twice, and names what is broken and what to do."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from tests import layouts

# converter -> (its layout, its arguments, what it writes under data/)
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


def truncate(path):
    path.write_bytes(path.read_bytes()[:40])


def wrong_size(path):
    layouts.save_array(np.array(Image.open(path))[:-1], path)


def without_label_map(path):
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
    ("pascal_context", "VOCdevkit/VOC2010/trainval/2010_001000.mat", without_label_map, "has no matrix LabelMap"),
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
