"""The published files become the layout that the sources read."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdataseg.errors import UserError
from mmdataseg.formats.coco_panoptic import rgb_to_id
from mmdataseg.formats.masks import decode_mask
from projects.voc import make_voc
from projects.voc.published.annotations import Maps, panoptic_segments, read_boxes
from projects.voc.published.sets import make_sets, read_sets
from projects.voc.tests.files import Scene, write_published


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("published")
    write_published(root, num_train=5, num_val=2, num_boxes=3, num_sbd=5)
    return root


@pytest.fixture(scope="module")
def made(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "voc"
    make_voc.main([str(published / "VOC2012"), str(out), "--sbd", str(published / "benchmark_RELEASE/dataset")])
    return out


def annotations(made: Path, kind: str, name: str) -> dict:
    return json.loads((made / f"annotations/{kind}_{name}.json").read_text())


def stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.iterdir())


def test_the_sets_of_the_published_lists_are_disjoint(published: Path) -> None:
    voc, sbd = published / "VOC2012", published / "benchmark_RELEASE/dataset"
    assert make_sets(voc) == {
        "semantic": ["2007_000001", "2007_000003"],
        "panoptic": ["2007_000000", "2007_000002", "2007_000004"],
        "boxes": [f"2009_{i:06}" for i in range(3)] + [f"2010_{i:06}" for i in range(5)],
        "val": ["2008_000000", "2008_000001"],
    }
    assert make_sets(voc, sbd) == {
        "semantic": ["2010_000000", "2010_000002", "2010_000004"],
        "panoptic": [f"2007_{i:06}" for i in range(5)],
        "boxes": ["2010_000001", "2010_000003"],
        "val": ["2008_000000", "2008_000001"],
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"val": ["a", "b"]}, "image a is in sets 'semantic' and 'val'; remove one entry"),
        ({"boxes": ["c", "c"]}, "image c is in set 'boxes' twice"),
        ({"panoptic": []}, "set 'panoptic' has no image; complete the lists"),
        ({"semantic": None}, "list of images .*semantic.txt.* does not exist"),
    ],
)
def test_own_lists_must_be_disjoint(tmp_path: Path, change: dict, message: str) -> None:
    lists = {"semantic": ["a"], "panoptic": ["p"], "boxes": ["c"], "val": ["v"]}
    for name, images in {**lists, **change}.items():
        if images is not None:
            (tmp_path / f"{name}.txt").write_text("\n".join(images))
    with pytest.raises((UserError, FileNotFoundError), match=message):
        read_sets(tmp_path)


def test_each_set_has_its_files(made: Path) -> None:
    for name, images in (("semantic", 3), ("panoptic", 5), ("boxes", 2), ("val", 2)):
        found = stems(made / "images" / name)
        assert len(found) == images
        assert found == stems(made / "labels" / name) == stems(made / f"annotations/panoptic_{name}")
        for kind in ("boxes", "instances", "panoptic"):
            assert [image["file_name"] for image in annotations(made, kind, name)["images"]] == [
                f"{stem}.jpg" for stem in found
            ]
    assert annotations(made, "boxes", "val")["images"][0] == {
        "id": 2008000000,
        "file_name": "2008_000000.jpg",
        "height": 48,
        "width": 64,
    }


def test_boxes_are_those_of_the_xml_counted_from_zero(made: Path) -> None:
    content = annotations(made, "boxes", "panoptic")
    names = {category["id"]: category["name"] for category in content["categories"]}
    first = content["annotations"][:2]
    assert [a["bbox"] for a in first] == [[4, 6, 20, 34], [34, 10, 26, 20]]
    assert [names[a["category_id"]] for a in first] == ["aeroplane", "cat"]  # of scene 0
    assert [(a["id"], a["iscrowd"], a["area"]) for a in first] == [(1, 0, 680), (2, 0, 520)]


@pytest.mark.parametrize("name", ["panoptic", "semantic"])
def test_masks_are_those_of_the_maps(made: Path, name: str) -> None:
    """Of VOC, which has a void border, and of SBD, which has none."""
    scene = Scene(0 if name == "panoptic" else 10)
    stem = {"panoptic": "2007_000000", "semantic": "2010_000000"}[name]
    labels = np.asarray(Image.open(made / f"labels/{name}/{stem}.png"))
    border = 255 if name == "panoptic" else 0
    np.testing.assert_array_equal(labels, np.where(scene.class_map == 255, border, scene.class_map))
    ids = rgb_to_id(np.asarray(Image.open(made / f"annotations/panoptic_{name}/{stem}.png")))
    expected = np.where(scene.object_map == 255, 0, scene.object_map).astype(int)
    background = (scene.class_map == 0) | ((scene.class_map == 255) & (border == 0))
    np.testing.assert_array_equal(ids, np.where(background, 255, expected))
    instances = [
        a for a in annotations(made, "instances", name)["annotations"] if a["image_id"] == int(stem.replace("_", ""))
    ]
    assert [a["category_id"] for a in instances] == list(scene.classes)
    for number, annotation in enumerate(instances, 1):
        np.testing.assert_array_equal(decode_mask(annotation["segmentation"], 48, 64), scene.object_map == number)


def test_a_second_run_changes_nothing(published: Path, made: Path) -> None:
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    make_voc.make_voc(published / "VOC2012", made, sbd=published / "benchmark_RELEASE/dataset")
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before


def test_another_rule_leaves_nothing_of_the_first(published: Path, made: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "voc"
    shutil.copytree(made, out, symlinks=True)
    for link in out.glob("images/*/*.jpg"):  # they are relative to the folder that was copied
        link.unlink()
    make_voc.main([str(published / "VOC2012"), str(out)])
    assert "boxes: 8 images, 16 boxes, without masks" in capsys.readouterr().out
    for name, images in make_sets(published / "VOC2012").items():
        assert stems(out / "images" / name) == images
        assert all((out / f"images/{name}/{image}.jpg").is_file() for image in images)
    for name in ("semantic", "panoptic", "val"):
        assert stems(out / "labels" / name) == stems(out / "images" / name)
        content = annotations(out, "panoptic", name)
        assert [image["file_name"][:-4] for image in content["images"]] == stems(out / "images" / name)


def test_difficult_objects_are_crowd_and_parts_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    file.write_text(
        "<annotation><object><name>tvmonitor</name><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>2.5</ymin>"
        "<xmax>10</xmax><ymax>5.5</ymax></bndbox><part><name>hand</name><bndbox><xmin>1</xmin></bndbox></part></object>"
        "<object><name>dog</name><bndbox><ymin>1</ymin><xmin>1</xmin><xmax>1</xmax><ymax>1</ymax></bndbox></object>"
        "</annotation>"
    )
    screen, dog = read_boxes(file)
    assert (screen.category, screen.xywh, screen.difficult) == (20, (0, 1.5, 10, 4), True)
    assert (dog.category, dog.xywh, dog.difficult) == (12, (0, 0, 1, 1), False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation><object>", "cannot be read"),
        ("<a><object><name>unicorn</name></object></a>", "class 'unicorn', which is not one of VOC's 20"),
        ("<a><object><name>dog</name></object></a>", "class 'dog' has no box"),
    ],
)
def test_an_unreadable_xml_is_refused_in_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(UserError, match=message) as raised:
        read_boxes(tmp_path / "a.xml")
    assert raised.value.file == str(tmp_path / "a.xml")


def test_an_object_has_the_class_of_most_of_its_pixels() -> None:
    classes = np.array([[0, 0, 3, 3, 3, 5, 255, 7]], np.uint8)
    objects = np.array([[0, 1, 1, 1, 1, 1, 255, 0]], np.uint8)
    found = panoptic_segments(Maps(classes=classes, objects=objects))
    assert found.ids.tolist() == [[255, 1, 1, 1, 1, 1, 0, 0]], "void, and a class outside all objects, are unlabelled"
    assert found.categories == {1: 3, 255: 21}


def test_an_object_without_a_class_is_refused() -> None:
    maps = Maps(classes=np.zeros((1, 2), np.uint8), objects=np.array([[0, 1]], np.uint8))
    with pytest.raises(ValueError, match="object 1 has no pixel of a class"):
        panoptic_segments(maps)


def broken(published: Path, tmp_path: Path) -> Path:
    shutil.copytree(published / "VOC2012", tmp_path / "VOC2012")
    return tmp_path / "VOC2012"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("no photograph", "photograph .*2007_000001.jpg' does not exist"),
        ("colours", r"same shape .*got \(48, 64, 3\).*of numbers, not of colours"),
        ("value", "class map has value 99; expected 0 to 20 and 255"),
        ("size", "has 10 x 64 pixels"),
    ],
)
def test_a_damaged_release_is_refused_in_one_sentence(
    published: Path, tmp_path: Path, damage: str, message: str
) -> None:
    voc = broken(published, tmp_path)
    name = "2007_000001"
    if damage == "no photograph":
        (voc / f"JPEGImages/{name}.jpg").unlink()
    elif damage == "colours":
        Image.new("RGB", (64, 48)).save(voc / f"SegmentationClass/{name}.png")
    elif damage == "value":
        Image.new("L", (64, 48), 99).save(voc / f"SegmentationClass/{name}.png")
    else:
        for kind in ("Class", "Object"):
            Image.new("L", (64, 10), 1).save(voc / f"Segmentation{kind}/{name}.png")
    with pytest.raises(SystemExit, match=f"error: .*{message}"):
        make_voc.main([str(voc), str(tmp_path / "out")])


def test_a_damaged_file_of_sbd_is_refused_in_one_sentence(published: Path, tmp_path: Path) -> None:
    sbd = tmp_path / "dataset"
    shutil.copytree(published / "benchmark_RELEASE/dataset", sbd)
    (sbd / "inst/2010_000000.mat").write_bytes(b"not a mat file")
    with pytest.raises(SystemExit, match=r"inst/2010_000000\.mat': cannot be read as a file of SBD with 'GTinst'"):
        make_voc.main([str(published / "VOC2012"), str(tmp_path / "out"), "--sbd", str(sbd)])
