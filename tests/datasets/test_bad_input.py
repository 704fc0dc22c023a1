"""What a user may get wrong in files, through a whole source: the error names source, file and remedy, in training and
in testing, and `tools/check_data.py` tells it before."""

import json
import shutil

import numpy as np
import pytest
from torch.utils.data import DataLoader

from mmdataseg.datasets import MultiSourceDataset
from mmdataseg.datasets.inspection import check_source
from mmdataseg.errors import UserError
from mmdataseg.sources import Source
from tests.datasets.writing import CLASSES, IS_THING, InstanceFiles, PanopticFiles, id_to_rgb, write_image, write_png

SPACE = {"name": "four", "classes": list(CLASSES), "is_thing": list(IS_THING)}
TASKS = {"scenes": "semantic", "pets": "panoptic", "finds": "instance"}
LOADERS = {"scenes": "LoadSemanticMap", "pets": "LoadPanopticMap", "finds": "LoadInstances"}


@pytest.fixture
def datasets(tmp_path):
    """Source name -> its dataset's config, of intact files below a folder of that name."""
    write_image(tmp_path / "scenes/images/a.jpg", 2, 3)
    write_png(tmp_path / "scenes/labels/a.png", np.array([[0, 1, 1], [3, 4, 4]], np.uint8))
    scenes = {"data_root": str(tmp_path / "scenes"), "img_dir": "images", "ann_dir": "labels", "zero_is_void": True}
    return {
        "scenes": {"type": "mmdataseg.SemanticSegDataset", **scenes},
        "pets": {"type": "mmdataseg.PanopticSegDataset", **PanopticFiles(tmp_path / "pets").write()},
        "finds": {"type": "mmdataseg.InstanceSegDataset", **InstanceFiles(tmp_path / "finds").write()},
    }


def build(datasets, name):
    dataset = {key: value for key, value in datasets[name].items() if key != "metainfo"}
    pipeline = ["LoadImage", LOADERS[name], "PackInputs"]
    dataset["pipeline"] = [{"type": f"mmdataseg.{transform}"} for transform in pipeline]
    return {"name": name, "task": TASKS[name], "label_space": SPACE, "train": dataset, "test": dataset}


def read_all(source, split):
    dataset = MultiSourceDataset(sources=[source], split=split)
    return [dataset[index] for index in range(len(dataset))]


# ---- what is done to the files below a source's folder


def without(path):
    def change(root):
        shutil.rmtree(root / path) if (root / path).is_dir() else (root / path).unlink()

    return change


def cut(path, size=None):
    def change(root):
        content = (root / path).read_bytes()
        (root / path).write_bytes(content[: len(content) // 2 if size is None else size])

    return change


def png(path, array):
    return lambda root: write_png(root / path, array)


def changed(path, *keys, value):
    """Another value at a place of a JSON."""

    def change(root):
        content = json.loads((root / path).read_text())
        place = content
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        (root / path).write_text(json.dumps(content))

    return change


def box(*xywh):
    return changed("instances.json", "annotations", 0, "bbox", value=xywh)


ID_OF_NO_SEGMENT = np.where(PanopticFiles.IDS == 0, 77, PanopticFiles.IDS)
NO_CAT = np.where(PanopticFiles.IDS == PanopticFiles.CAT, 0, PanopticFiles.IDS)
UNICORN = 11  # a category that the files list and the label space lacks
BOX = ("instances.json", "annotation 1: xyxy", "drop_bad_boxes=True")

# source, what is done; of the message: file, what is wrong, remedy
MISSING = {
    "no image folder": ("scenes", without("images"), "scenes/images", "does not exist", "put the data there"),
    "no label folder": ("scenes", without("labels"), "scenes/labels", "does not exist", "put the data there"),
    "no PNG folder": ("pets", without("pngs"), "pets/pngs", "does not exist", "put the data there"),
    "no panoptic JSON": ("pets", without("panoptic.json"), "panoptic.json", "does not exist", "put the data there"),
    "no box JSON": ("finds", without("instances.json"), "instances.json", "does not exist", "put the data there"),
    "no label PNG": ("scenes", without("labels/a.png"), "a.png", "no label PNG", "complete the folder"),
    "no panoptic PNG": ("pets", without("pngs/a.png"), "a.png", "missing under", "complete the folder"),
    "no image": ("finds", without("images/part1/ü.jpg"), "part1/ü.jpg", "missing under", "complete the folder"),
}
WRONG = {
    "cut panoptic JSON": ("pets", cut("panoptic.json"), "panoptic.json", "not valid JSON", "downloaded completely"),
    "cut box JSON": ("finds", cut("instances.json"), "instances.json", "not valid JSON", "downloaded completely"),
    "empty box JSON": ("finds", cut("instances.json", 0), "instances.json", "not valid JSON", "downloaded completely"),
    "panoptic category": (
        *("pets", changed("panoptic.json", "annotations", 0, "segments_info", 0, "category_id", value=UNICORN)),
        *("panoptic.json", "segment 300 of image 42 has category 11 ('unicorn')", "map its name with label_map"),
    ),
    "box category": (
        *("finds", changed("instances.json", "annotations", 0, "category_id", value=UNICORN)),
        *("instances.json", "annotation 1 has category 11 ('unicorn')", "map its name with label_map"),
    ),
    "category that no file lists": (
        *("finds", changed("instances.json", "annotations", 0, "category_id", value=99)),
        *("instances.json", "annotation 1 has category 99", "repair the file"),
    ),
    "JSON without categories": (
        *("pets", lambda root: (root / "panoptic.json").write_text('{"images": [], "annotations": []}')),
        *("panoptic.json", "'categories' is missing", "use the file for this task and format"),
    ),
    "box of no width": ("finds", box(2, 1, 0, 3), *BOX),
    "box of no height": ("finds", box(2, 1, 4, 0), *BOX),
    "box of negative width": ("finds", box(2, 1, -4, 3), *BOX),
    "box outside": ("finds", box(21, 1, 4, 3), *BOX),
    "box above": ("finds", box(2, -9, 4, 3), *BOX),
    "box with NaN": ("finds", box(2, float("nan"), 4, 3), *BOX),
    "box with infinity": ("finds", box(2, 1, float("inf"), 3), *BOX),
}
AT_THE_SAMPLE = {
    "id that is not in the JSON": (
        *("pets", png("pngs/a.png", id_to_rgb(ID_OF_NO_SEGMENT)), "pngs/a.png"),
        *("segment ids [77] that are not in the JSON", "use ann_file and ann_dir of the same version"),
    ),
    "id that is not in the PNG": (
        *("pets", png("pngs/a.png", id_to_rgb(NO_CAT)), "pngs/a.png"),
        *("segment ids [5] that are not in the PNG", "use ann_file and ann_dir of the same version"),
    ),
    "label over the classes": (
        *("scenes", png("labels/a.png", np.full((2, 3), 5, np.uint8)), "labels/a.png"),
        *("values [5] have no class", "correct zero_is_void, ignore_index or label_map"),
    ),
    "label PNG of another size": (
        *("scenes", png("labels/a.png", np.ones((3, 2), np.uint8)), "labels/a.png"),
        *("has 3 x 2 pixels", "use both from the same release"),
    ),
    "panoptic PNG of another size": (
        *("pets", png("pngs/a.png", id_to_rgb(PanopticFiles.IDS[:3])), "pngs/a.png"),
        *("has 3 x 6 pixels", "use both from the same release"),
    ),
    "boxes of an image of another size": (
        *("finds", changed("instances.json", "images", 1, "width", value=21), "part1/ü.jpg"),
        *("has 10 x 21 pixels", "use both from the same release"),
    ),
    "cut label PNG": ("scenes", cut("labels/a.png"), "labels/a.png", "cannot decode", "replace the file"),
    "cut panoptic PNG": ("pets", cut("pngs/a.png"), "pngs/a.png", "cannot decode", "replace the file"),
}
UNDECODABLE = {
    "empty image": ("scenes", cut("images/a.jpg", 0), "images/a.jpg", "cannot read this image", "replace the file"),
    "cut image": ("pets", cut("images/a.jpg", 150), "images/a.jpg", "cannot read this image", "replace the file"),
    "image of boxes": (
        *("finds", cut("images/part1/ü.jpg", 150), "images/part1/ü.jpg", "cannot read this image", "replace the file"),
    ),
}


def check_message(message, name, *expected):
    for part in (f"source '{name}'", *expected):
        assert part in message, message


def by_name(cases):
    return pytest.mark.parametrize("case", cases.values(), ids=cases.keys())


@pytest.mark.parametrize("name", TASKS)
def test_the_intact_files_are_read(datasets, name):
    for split in ("train", "test"):
        assert len(read_all(build(datasets, name), split)) == (2 if name == "finds" else 1)
    assert check_source(Source.from_config(build(datasets, name)), "train", 0, None).problems == []


@pytest.mark.parametrize(
    ("error", "case"),
    [(error, case) for error, cases in ((FileNotFoundError, MISSING), (ValueError, WRONG)) for case in cases.values()],
    ids=[*MISSING, *WRONG],
)
def test_found_before_a_training_starts(datasets, tmp_path, error, case):
    name, change, *expected = case
    change(tmp_path / name)
    for split in ("train", "test"):
        with pytest.raises(error, match="source ") as raised:
            MultiSourceDataset(sources=[build(datasets, name)], split=split)
        check_message(str(raised.value), name, *expected)


@by_name(AT_THE_SAMPLE)
def test_found_where_the_file_is_read_and_before_by_the_check(datasets, tmp_path, case):
    name, change, *expected = case
    change(tmp_path / name)
    for split in ("train", "test"):
        with pytest.raises(ValueError, match="source ") as raised:
            read_all(build(datasets, name), split)
        check_message(str(raised.value), name, *expected)
    (problem,) = check_source(Source.from_config(build(datasets, name)), "train", 0, None).problems
    check_message(problem, name, *expected)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_coloured_picture_of_labels_is_one_line_from_a_worker_too(datasets, tmp_path, workers):
    """A worker's error reaches the main process as the text of its traceback."""
    write_png(tmp_path / "scenes/labels/a.png", np.zeros((2, 3, 3), np.uint8))
    loader = DataLoader(MultiSourceDataset(sources=[build(datasets, "scenes")], split="train"), num_workers=workers)
    with pytest.raises(UserError) as raised:
        list(loader)
    message = str(raised.value)
    check_message(message, "scenes", "labels/a.png': expected one channel of labels, got 3; is this a coloured picture")
    assert message.endswith("; give PNGs with one channel, where each value is the number of a class")
    assert "\n" not in message


@by_name(UNDECODABLE)
def test_an_image_that_cannot_be_decoded(datasets, tmp_path, case):
    """In training another one is taken (test_bad_samples.py); where there is none, and in testing, it is an error."""
    name, change, *expected = case
    change(tmp_path / name)
    with pytest.raises(OSError, match="source ") as raised:
        read_all(build(datasets, name), "test")
    check_message(str(raised.value), name, *expected)
    if name != "finds":  # the only image of its source
        with pytest.raises(ValueError, match="in a row could not be used") as raised:
            read_all(build(datasets, name), "train")
        check_message(str(raised.value), name, *expected)
    (problem,) = check_source(Source.from_config(build(datasets, name)), "train", 0, None).problems
    check_message(problem, name, *expected)
