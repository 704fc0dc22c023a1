"""Variants that exporters write are read if their meaning is certain; other values are refused in one sentence."""

import json
import os
import subprocess
import sys
import unicodedata

import numpy as np
import pytest

from mmdataseg.datasets import InstanceSegDataset, MultiSourceDataset, PanopticSegDataset, SemanticSegDataset
from mmdataseg.errors import UserError
from mmdataseg.formats.coco_instances import read_instance_table
from mmdataseg.formats.coco_panoptic import load_panoptic_json
from mmdataseg.formats.mask_annotations import read_mask_annotations
from tests.datasets.writing import CLASSES, METAINFO, InstanceFiles, PanopticFiles, write_image, write_png


@pytest.fixture
def boxes(tmp_path):
    files = InstanceFiles(tmp_path / "boxes")
    files.add_masks()
    return files


@pytest.fixture
def panoptic(tmp_path):
    return PanopticFiles(tmp_path / "panoptic")


def table(files, **options):
    return InstanceSegDataset(**files.write(), **options).table


def same(one, other):
    names = [name for name in one.columns() if name != "counts"]
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_text_null_and_floats_are_the_same_table(boxes):
    expected = table(boxes, with_masks=True)
    for annotation in boxes.annotations:
        annotation.update(id=str(annotation["id"]), image_id=float(annotation["image_id"]))
        annotation["category_id"] = f" {annotation['category_id']} "
    boxes.annotations[0]["iscrowd"] = "0"
    boxes.annotations[1]["iscrowd"] = "1"
    boxes.annotations[2]["iscrowd"] = None
    boxes.content["images"][0]["id"] = "9"
    boxes.content["images"][1]["file_name"] = "part1\\ü.jpg"
    boxes.content["categories"] = [dict(c, id=str(c["id"])) for c in boxes.content["categories"]]
    boxes.annotations[0].update(bbox=[str(x) for x in boxes.annotations[0]["bbox"]], area=None)
    boxes.content["images"][0].update(height="10", width=20.0)
    assert same(table(boxes, with_masks=True), expected)


@pytest.mark.parametrize("side", ["image_id", "category_id", "images", "categories"])
def test_ids_as_text_on_one_side_are_the_same_table(boxes, side):
    expected = table(boxes)
    part, key = (side, "id") if side in boxes.content else ("annotations", side)
    boxes.content[part] = [dict(entry, **{key: str(entry[key])}) for entry in boxes.content[part]]
    assert same(table(boxes), expected)


def test_two_categories_of_one_name_are_one_class(boxes):
    expected = table(boxes)
    boxes.content["categories"] = [*boxes.content["categories"], {"id": 50, "name": " dog"}]
    boxes.annotations[0]["category_id"] = 50
    assert same(table(boxes), expected)


def test_two_panoptic_categories_of_one_name_are_one_class(panoptic):
    expected = PanopticSegDataset(**panoptic.write()).get_data_info(0)["segments_info"]
    panoptic.content["categories"] = [*panoptic.content["categories"], {"id": 50, "name": " dog", "isthing": 1}]
    panoptic.segments[0]["category_id"] = 50
    assert PanopticSegDataset(**panoptic.write()).get_data_info(0)["segments_info"] == expected


def test_category_names_that_are_integers_are_read_as_text(boxes, panoptic):
    numbers = {name: number for number, name in enumerate(CLASSES)}
    meta = dict(METAINFO, classes=tuple(map(str, numbers.values())))
    for files, kind in ((boxes, InstanceSegDataset), (panoptic, PanopticSegDataset)):
        known = [c for c in files.content["categories"] if c["name"].strip() in numbers]
        expected = kind(**files.write()).get_data_info(0)
        files.content["categories"] = [dict(c, name=numbers[c["name"].strip()]) for c in known]
        assert kind(**{**files.write(), "metainfo": meta}).get_data_info(0) == expected


def test_a_byte_order_mark_is_ignored(boxes, panoptic):
    for files, kind in ((boxes, InstanceSegDataset), (panoptic, PanopticSegDataset)):
        arguments = files.write()
        path = files.root / arguments["ann_file"]
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert len(kind(**arguments)) > 0


def test_files_are_utf8_whatever_the_locale(boxes, panoptic, tmp_path, repo_root):
    files = [f.root / f.write()["ann_file"] for f in (boxes, panoptic)]
    for file in files:
        file.write_text(json.dumps(json.loads(file.read_text()), ensure_ascii=False), encoding="utf-8")
    (tmp_path / "names.txt").write_text("größe\n", encoding="utf-8")
    (tmp_path / "own.py").write_text("model = dict(name='größe')  # ü\n", encoding="utf-8")
    program = """
import locale, sys
from pathlib import Path
from mmdataseg.apis.config.reading import read_config
from mmdataseg.formats.coco_instances import read_instance_table
from mmdataseg.formats.coco_panoptic import load_panoptic_json
from mmdataseg.formats.mask_annotations import read_mask_annotations
from mmdataseg.formats.text_files import read_lines

boxes, panoptic, names, config = map(Path, sys.argv[1:])
assert locale.getpreferredencoding() != "UTF-8"
print(ascii(read_instance_table(boxes, classes=("cat", "dog", "sky", "grass")).name(1)))
print(ascii(read_mask_annotations(boxes)["images"][1]["file_name"]))
print(len(load_panoptic_json(panoptic).images), ascii(read_lines(names)), ascii(read_config(config).model.name))
"""
    arguments = [*map(str, files), str(tmp_path / "names.txt"), str(tmp_path / "own.py")]
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", program, *arguments],
        env={**os.environ, "LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(repo_root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    name, size = ascii("part1/ü.jpg"), ascii("größe")
    assert done.stdout.split("\n")[:3] == [name, name, f"1 [{size}] {size}"]


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        (
            {"iscrowd": "perhaps"},
            r"entry of 'annotations' cannot be read \('iscrowd': expected 0 or 1, .*: id 1; repair",
        ),
        ({"category_id": None}, "'category_id': expected an integer, got null.: id 1"),
        ({"category_id": 3.5}, "'category_id': expected an integer, got 3.5"),
        ({"bbox": None}, "'bbox': expected four numbers x, y, width, height, got null"),
        ({"bbox": [1, 2, 3]}, "'bbox': expected four numbers"),
        ({"segmentation": {"size": [10, 20], "counts": "zzzz"}}, "compressed RLE is damaged: character 0 is 'z'"),
    ],
)
def test_an_annotation_that_cannot_be_read_is_named(boxes, entry, match):
    boxes.annotations[0].update(entry)
    with pytest.raises(UserError, match=match) as caught:
        table(boxes, with_masks=True)
    assert caught.value.file.endswith("instances.json")


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        (
            {"file_name": None},
            "entry of 'images' cannot be read .'file_name': expected a file name, got null.: id 9",
        ),
        ({"height": "tall"}, "'height': expected an integer, got 'tall'"),
        ({"file_name": "part1/ü.jpg"}, "images 9 and 8 have the same file 'part1/ü.jpg'; merge their annotations"),
        ({"file_name": "part1\\ü.jpg"}, "images 9 and 8 have the same file 'part1/ü.jpg'"),
    ],
)
def test_an_image_that_cannot_be_read_is_named(boxes, entry, match):
    boxes.content["images"][0].update(entry)
    with pytest.raises(UserError, match=match):
        table(boxes)


def test_two_names_that_path_parts_makes_one_are_refused(boxes):
    boxes.content["images"][0]["file_name"] = "part2/ü.jpg"
    with pytest.raises(
        UserError, match=r"images 9 and 8 have the same file 'ü.jpg' .the last 1 parts .*; increase path_p"
    ):
        table(boxes, path_parts=1)


def test_a_name_in_another_unicode_form_is_reported(boxes):
    boxes.content["images"][1]["file_name"] = unicodedata.normalize("NFD", "part1/ü.jpg")
    with pytest.raises(
        FileNotFoundError, match="exists in another Unicode form, which looks the same: NFC, but expected NFD"
    ):
        table(boxes)


def test_annotation_ids_that_repeat_are_counted(boxes):
    boxes.annotations[1]["id"] = boxes.annotations[2]["id"] = 1
    assert table(boxes).repeated_ids == 2


def test_boxes_within_one_are_no_targets_unless_there_are_masks(boxes):
    for annotation in boxes.annotations:
        annotation.update(bbox=[0.25, 0.25, 0.5, 0.5])
    assert table(boxes).num_targets == 0
    assert table(boxes, with_masks=True).num_targets == 2
    boxes.annotations[0].update(bbox=[1, 1, 5, 5])
    assert table(boxes).num_targets == 2


def test_boxes_of_void_within_one_do_not_make_the_others_fractions(boxes):
    for annotation in boxes.annotations[:2]:
        annotation.update(bbox=[0.25, 0.25, 0.5, 0.5], category_id=7)
    found = table(boxes, label_map={"sky": None})
    assert (found.num_targets, found.suspicions) == (1, [])


def test_all_crowd_and_fractions_are_suspicious(boxes):
    for annotation in boxes.annotations:
        annotation["iscrowd"] = 1
    (said,) = table(boxes).suspicions
    assert said.startswith("all 3 annotations are crowd regions (iscrowd 1)")
    for annotation in boxes.annotations:
        annotation.update(iscrowd=0, bbox=[0.25, 0.25, 0.5, 0.5])
    (said,) = table(boxes).suspicions
    assert said.startswith("all 3 boxes are within 0 .. 1")


@pytest.mark.parametrize("annotations", ["crowd", "none"])
def test_a_training_split_without_a_target_is_refused(boxes, annotations):
    if annotations == "none":
        boxes.content["annotations"] = []
    for annotation in boxes.annotations:
        annotation["iscrowd"] = 1
    arguments = {**boxes.write(), "type": "mmdataseg.InstanceSegDataset"}
    arguments.pop("metainfo")
    space = {"name": "four", "classes": CLASSES, "is_thing": METAINFO["is_thing"]}
    source = {"name": "finds", "task": "instance", "label_space": space, "train": arguments, "test": arguments}
    assert len(MultiSourceDataset(sources=[source], split="test")) == 2
    with pytest.raises(UserError, match=r"source 'finds': '.*instances\.json': has no object to train on: 2 images"):
        MultiSourceDataset(sources=[source], split="train")


def test_panoptic_values_as_text_and_null_are_read(panoptic):
    expected = PanopticSegDataset(**panoptic.write()).get_data_info(0)["segments_info"]
    for segment in panoptic.segments:
        segment.update(id=str(segment["id"]), category_id=str(segment["category_id"]), iscrowd=str(segment["iscrowd"]))
    panoptic.content["annotations"][0]["image_id"] = "42"
    panoptic.content["images"][0].update(file_name=".\\a.jpg", height="4", width=6.0)
    panoptic.content["categories"] = [dict(c, id=str(c["id"]), isthing=None) for c in panoptic.content["categories"]]
    assert PanopticSegDataset(**panoptic.write()).get_data_info(0)["segments_info"] == expected
    panoptic.content["annotations"][0]["segments_info"] = None
    assert PanopticSegDataset(**panoptic.write()).get_data_info(0)["segments_info"] == []


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda c: c["annotations"][0].update(segments_info=5),
            "image 42 in 'annotations': 'segments_info': expected a l",
        ),
        (
            lambda c: c["annotations"][0].update(file_name=None),
            "image 42 in 'annotations': 'file_name': expected a file name",
        ),
        (lambda c: c["annotations"][0].update(image_id=None), "'image_id': expected an integer or text, got None"),
        (lambda c: c["annotations"][0]["segments_info"][0].update(iscrowd=7), "'iscrowd': expected 0 or 1, got 7"),
        (lambda c: c["annotations"][0]["segments_info"][0].update(id="x"), "'id': expected an integer, got 'x'"),
        (lambda c: c.update(categories=[*c["categories"], {"id": 50, "name": None}]), "whose 'name' is text"),
        (
            lambda c: c.update(annotations=[{"id": 1, "image_id": 42, "category_id": 1, "bbox": [0, 0, 1, 1]}]),
            "expected a panoptic file, got an instance file: .* without 'segments_info'; use the panoptic JSON",
        ),
        (
            lambda c: (
                c["images"].append(dict(c["images"][0], id=43)),
                c["annotations"].append(dict(c["annotations"][0], image_id=43)),
            ),
            "images 42 and 43 have the same file 'a.jpg'; remove one of them",
        ),
    ],
)
def test_panoptic_files_that_cannot_be_read_are_refused(panoptic, change, match):
    change(panoptic.content)
    with pytest.raises(UserError, match=match) as caught:
        PanopticSegDataset(**panoptic.write())
    assert caught.value.file.endswith("panoptic.json")


READERS = {
    "training": lambda path: read_instance_table(path, classes=CLASSES),
    "scoring": read_mask_annotations,
    "panoptic": load_panoptic_json,
}


@pytest.mark.parametrize("kind", ["training", "scoring"])
def test_a_panoptic_file_given_as_an_instance_file_is_refused(panoptic, kind):
    path = panoptic.root / panoptic.write()["ann_file"]
    with pytest.raises(
        UserError, match=r"panoptic\.json': expected an instance file, got a panoptic file: .*; use the in"
    ):
        READERS[kind](path)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_a_list_at_top_level_is_refused(tmp_path, read):
    (tmp_path / "list.json").write_text(json.dumps([{"id": 1}]))
    with pytest.raises(UserError, match=r"expected a JSON object with the keys .*, got a list or a single value"):
        read(tmp_path / "list.json")


def test_swapped_things_and_stuff_are_refused_and_one_different_flag_is_reported(panoptic):
    arguments = panoptic.write()
    one = dict(METAINFO, is_thing=(True, False, False, False))
    (said,) = PanopticSegDataset(**{**arguments, "metainfo": one}).suspicions
    assert said.startswith("'isthing' of 1 of 4 categories differs from is_thing of the label space, e.g. 'dog ")
    swapped = dict(METAINFO, is_thing=(False, False, True, True))
    with pytest.raises(
        UserError, match=r"'isthing' of 4 of 4 categories differs from .*; correct is_thing of the label sp"
    ):
        PanopticSegDataset(**{**arguments, "metainfo": swapped})


def test_a_list_of_names_from_windows_is_read(tmp_path):
    for folder, suffix, write in (("img", "jpg", write_image), ("ann", "png", None)):
        for name in ("x/a", "x/b"):
            path = tmp_path / folder / f"{name}.{suffix}"
            if write:
                write(path, 2, 2)
            else:
                write_png(path, np.zeros((2, 2), np.uint8))
    (tmp_path / "names.txt").write_bytes("\ufeffx\\a\r\nx\\b\r\n".encode())
    arguments = dict(data_root=str(tmp_path), img_dir="img", ann_dir="ann", metainfo={"classes": CLASSES})
    dataset = SemanticSegDataset(**arguments, ann_file="names.txt")
    assert [dataset.get_data_info(i)["img_id"] for i in range(2)] == ["x/a", "x/b"]
    (tmp_path / "names.txt").write_bytes("für".encode("latin-1"))
    with pytest.raises(UserError, match=r"names\.txt': not valid UTF-8 .*; save it as UTF-8"):
        SemanticSegDataset(**arguments, ann_file="names.txt")
