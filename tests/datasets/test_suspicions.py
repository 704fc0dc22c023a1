"""What `check_data` reports for data that can be read but is wrong: two images of 48 x 64 with a car and a bike."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mmdataseg.datasets.findings import Findings
from mmdataseg.datasets.inspection import check_source, report
from mmdataseg.datasets.suspicions import shared_images
from mmdataseg.sources import Source
from tests.datasets.writing import id_to_rgb, write_json, write_png

CLASSES, HEIGHT, WIDTH = ("car", "bike"), 48, 64
BOXES = ((4, 4, 16, 16), (30, 10, 20, 20))
CATEGORIES = [{"id": i, "name": name} for i, name in enumerate(CLASSES, 1)]


def write_images(root, value=200, **options):
    (root / "img").mkdir(parents=True, exist_ok=True)
    for seed in (1, 2):
        noise = np.random.default_rng(seed).integers(0, value, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        Image.fromarray(noise).save(root / f"img/{seed}.png", **options)


def source(task, kind, root, loader, is_thing=(True, True), split="train", **arguments):
    pipeline = [dict(type="mmdataseg.LoadImage"), loader, dict(type="mmdataseg.PackInputs")]
    dataset = dict(type=f"mmdataseg.{kind}", data_root=str(root), img_dir="img", pipeline=pipeline, **arguments)
    space = dict(name="street", classes=CLASSES, is_thing=is_thing)
    return Source.from_config({"name": "street", "task": task, "label_space": space, split: dataset})


def semantic(root, first=0, second=1, **options):
    """Left half of one value, right half of another."""
    write_images(root)
    values = np.full((HEIGHT, WIDTH), first, np.uint8)
    values[:, 32:] = second
    for name in (1, 2):
        write_png(root / f"ann/{name}.png", values)
    loader = dict(type="mmdataseg.LoadSemanticMap")
    return source("semantic", "SemanticSegDataset", root, loader, ann_dir="ann", suffixes=(".png", ".png"), **options)


def instance(root, change=dict, split="train", with_masks=True, **options):
    write_images(root)
    annotations = []
    for image in (1, 2):
        for category, (x, y, w, h) in enumerate(BOXES, 1):
            polygon = [[x, y, x + w, y, x + w, y + h, x, y + h]]
            entry = {"id": len(annotations) + 1, "image_id": image, "category_id": category, "bbox": [x, y, w, h]}
            annotations.append(entry | {"segmentation": polygon, "iscrowd": 0})
            change(annotations[-1])
    images = [{"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH} for i in (1, 2)]
    write_json(root / "ann.json", {"images": images, "annotations": annotations, "categories": CATEGORIES})
    loader = dict(type="mmdataseg.LoadInstances", with_masks=with_masks)
    options |= dict(split=split, ann_file="ann.json", with_masks=with_masks)
    return source("instance", "InstanceSegDataset", root, loader, **options)


def panoptic(root, is_thing, pieces=2):
    """A road over all, and so many cars."""
    write_images(root)
    ids = np.full((HEIGHT, WIDTH), 9)
    for number in range(pieces):
        ids[4:12, 10 * number : 10 * number + 6] = number + 1
    segments = [{"id": n + 1, "category_id": 1, "iscrowd": 0} for n in range(pieces)]
    segments.append({"id": 9, "category_id": 2, "iscrowd": 0})
    for name in (1, 2):
        write_png(root / f"ann/{name}.png", id_to_rgb(ids))
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH} for i in (1, 2)],
        "annotations": [{"image_id": i, "file_name": f"{i}.png", "segments_info": segments} for i in (1, 2)],
        "categories": CATEGORIES,
    }
    write_json(root / "ann.json", content)
    loader = dict(type="mmdataseg.LoadPanopticMap")
    return source(
        "panoptic", "PanopticSegDataset", root, loader, is_thing, ann_dir="ann", ann_file="ann.json"
    )  # fmt: skip


def findings(built, split="train", limit=None):
    return check_source(built, split, 0, limit)


@pytest.mark.parametrize("make", [semantic, instance, lambda root: panoptic(root, (True, False))])
def test_intact_data_raises_no_suspicion(tmp_path, make):
    found = findings(make(tmp_path))
    assert (found.problems, found.notes) == ([], [])
    assert found.images == 2


def test_stuff_need_not_occur_among_boxes(tmp_path):
    def all_cars(annotation):
        annotation["category_id"] = 1

    assert findings(instance(tmp_path, all_cars, is_thing=(True, False))).problems == []
    (problem,) = findings(instance(tmp_path, all_cars)).problems
    assert problem.startswith("source 'street': 1 of 2 classes never occur in 2 images: 'bike'")


def test_a_foreground_of_255_is_void(tmp_path):
    (problem,) = findings(semantic(tmp_path, 0, 255)).problems
    assert problem.startswith(
        "source 'street': 1 of 2 classes never occur in 2 images: 'bike'; its label maps hold only"
    )
    assert "set ignore_index=None and label_map={0: ..., 255: ...}" in problem
    fixed = findings(semantic(tmp_path, 0, 255, ignore_index=None, label_map={0: "car", 255: "bike"}))
    assert fixed.problems == []


def test_label_maps_of_only_void_give_nothing_to_train_on(tmp_path):
    (problem,) = findings(semantic(tmp_path, 255, 255)).problems
    assert "none of the 2 images has a target: a training would learn nothing; its label maps hold the" in problem


def test_a_missing_class_is_reported_only_for_a_whole_training_split(tmp_path):
    built = semantic(tmp_path, 0, 0)
    assert len(findings(built).problems) == 1
    assert findings(built, limit=1).problems == []


def test_annotations_that_are_all_crowd_are_reported(tmp_path):
    (problem,) = findings(instance(tmp_path, lambda a: a.update(iscrowd=1))).problems
    assert "has no object to train on" in problem
    assert "all 4 annotations are crowd regions (iscrowd 1)" in problem
    assert findings(instance(tmp_path, lambda a: a.update(iscrowd="0"))).problems == []


def test_polygons_within_one(tmp_path):
    def shrink(annotation):
        annotation["segmentation"] = [[x / WIDTH for x in annotation["segmentation"][0]]]

    problems = " ".join(findings(instance(tmp_path, shrink)).problems)
    assert "none of the 2 images has a target" in problems
    assert "4 masks have no pixel, and 4 are polygons within 0 .. 1: multiply fractions" in problems


def test_boxes_within_one(tmp_path):
    def shrink(annotation):
        annotation["bbox"] = [number / WIDTH for number in annotation["bbox"]]

    (problem,) = findings(instance(tmp_path, shrink)).problems
    assert "all 4 boxes are within 0 .. 1" in problem
    (problem,) = findings(instance(tmp_path / "alone", shrink, with_masks=False)).problems
    assert "has no object to train on: 2 images" in problem
    assert "all 4 boxes are within 0 .. 1, so each is smaller than a pixel; if they are fractions" in problem


def test_a_damaged_rle_is_a_problem(tmp_path):
    def damage(annotation):
        annotation["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": "zzzzzzzzzzzz"}

    (problem,) = findings(instance(tmp_path, damage)).problems
    assert "compressed RLE is damaged: character 0 is 'z'" in problem


def test_annotated_stuff_in_an_instance_source(tmp_path):
    (problem,) = findings(instance(tmp_path, is_thing=(True, False))).problems
    assert "'bike' is annotated and flagged as stuff (1 such classes)" in problem


def test_flags_that_look_swapped_are_reported(tmp_path):
    found = findings(panoptic(tmp_path, (False, True)))
    assert found.problems == []
    assert [note.partition(": ")[2] for note in found.notes] == [
        "'car' is flagged as stuff and has several segments in 2 of 2 images; is it a thing?",
        "'bike' is flagged as a thing, and covers more than a third of 2 of 2 images in one segment; is it stuff?",
    ]


def test_repeated_annotation_ids_and_two_names_of_one_image_are_reported(tmp_path):
    built = instance(tmp_path, lambda a: a.update(id=1))
    (tmp_path / "img/2.png").write_bytes((tmp_path / "img/1.png").read_bytes())
    repeated, twice = findings(built).notes
    assert "3 annotations have an id that an earlier one has" in repeated
    assert "1 image appears under several names, e.g. '" in twice
    assert twice.endswith("img/2.png'")


def test_images_of_12_bits_in_16_are_reported_as_black(tmp_path):
    built = semantic(tmp_path)
    for name in (1, 2):
        noise = np.random.default_rng(name).integers(0, 1 << 12, (HEIGHT, WIDTH, 3)).astype(np.uint16)
        assert cv2.imwrite(str(tmp_path / f"img/{name}.png"), noise)
    (dark,) = findings(built).notes
    assert "2 of 2 images are nearly black: no value is above 31 of 255; if they hold 10 or 12 bits" in dark
    assert dark.endswith("scale them to 8 bits")


def test_an_orientation_and_black_images_are_reported(tmp_path):
    built = semantic(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 3
    write_images(tmp_path, value=16, exif=exif)
    turned, dark = findings(built).notes
    assert "2 of 2 images have an EXIF orientation and are rotated by it" in turned
    assert "2 of 2 images are nearly black: no value is above 31 of 255; if they hold 10 or 12 bits" in dark


def test_images_in_both_splits_are_found_by_content(tmp_path):
    trained = findings(instance(tmp_path / "a"))
    tested = findings(instance(tmp_path / "b", split="test"), "test")
    assert shared_images(trained, tested).startswith("2 of 2 test images are also training images, e.g. '")
    assert shared_images(trained, Findings(images=3)) is None


def test_notes_are_in_the_report_but_are_not_problems(tmp_path):
    built = panoptic(tmp_path, (False, True))
    text = report(built, "train", findings(built))
    assert "in this split: no problem\n? source 'street': 'car' is flagged" in text
