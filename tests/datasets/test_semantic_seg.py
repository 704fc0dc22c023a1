"""Folders of images and label PNGs."""

import os

import numpy as np
import pytest

from mmdataseg.datasets import LoadImage, LoadSemanticMap, SemanticSegDataset
from mmdataseg.errors import UserError
from tests.datasets.writing import METAINFO, write_image, write_png

LABELS = np.array([[0, 1, 1], [3, 4, 255]], np.uint8)


def make(root, names=("a", "b"), labels=LABELS):
    for name in names:
        write_image(root / f"img/{name}.jpg", *labels.shape)
        write_png(root / f"ann/{name}.png", labels)
    return {"data_root": str(root), "img_dir": "img", "ann_dir": "ann", "metainfo": METAINFO, "zero_is_void": True}


def load(dataset, index=0):
    return LoadSemanticMap()(LoadImage()(dataset.get_data_info(index)))


def test_lists_images_in_order_with_nested_names(tmp_path):
    dataset = SemanticSegDataset(**make(tmp_path, names=("b", "city/a")))
    assert [dataset.get_data_info(i)["img_id"] for i in range(len(dataset))] == ["b", "city/a"]
    info = dataset.get_data_info(1)
    assert info["img_path"] == str(tmp_path / "img/city/a.jpg")
    assert info["seg_map_path"] == str(tmp_path / "ann/city/a.png")
    assert info["sample_idx"] == 1


def test_zero_is_void_shifts_labels_and_255_is_void(tmp_path):
    results = load(SemanticSegDataset(**make(tmp_path)))
    assert results["gt_segment_labels"].tolist() == [0, 2, 3]
    assert results["gt_seg_map"].tolist() == [[-1, 0, 0], [1, 2, -1]]


def test_without_zero_is_void_zero_is_the_first_class(tmp_path):
    arguments = make(tmp_path, labels=np.array([[0, 3, 255]], np.uint8)) | {"zero_is_void": False}
    results = load(SemanticSegDataset(**arguments))
    assert results["gt_segment_labels"].tolist() == [0, 3]
    assert results["gt_seg_map"].tolist() == [[0, 1, -1]]


def test_label_map_by_value(tmp_path):
    label_map = {0: None, 1: "grass", 3: "grass", 4: "cat"}
    results = load(SemanticSegDataset(**make(tmp_path), label_map=label_map))
    assert results["gt_segment_labels"].tolist() == [0, 3]
    assert results["gt_seg_map"].tolist() == [[-1, 1, 1], [1, 0, -1]]


def test_label_map_lacks_a_value(tmp_path):
    dataset = SemanticSegDataset(**make(tmp_path), label_map={0: None, 1: "grass"})
    with pytest.raises(ValueError, match=r"ann/a\.png': values \[3, 4\] have no class.*label_map"):
        load(dataset)


def test_label_map_to_an_unknown_class(tmp_path):
    for wrong in ("gras", 3):
        with pytest.raises(UserError, match=f"label_map maps to {wrong!r}, which is not a class of the label space"):
            SemanticSegDataset(**make(tmp_path), label_map={1: wrong})


def test_label_map_with_an_impossible_value(tmp_path):
    for key in ("cat", 1.5):
        with pytest.raises(UserError, match=f"expected keys between 0 and 65535, got {key!r}; its keys are the values"):
            SemanticSegDataset(**make(tmp_path), label_map={key: "cat"})
    with pytest.raises(ValueError, match="expected keys between 0 and 65535, got -1"):
        SemanticSegDataset(**make(tmp_path), label_map={-1: "cat"})


def test_sixteen_bits_and_more_than_255_classes(tmp_path):
    classes = [f"class {i}" for i in range(459)]
    labels = np.array([[0, 255, 459]], np.uint16)
    arguments = make(tmp_path, labels=labels) | {"metainfo": {"classes": classes}}
    with pytest.raises(
        ValueError, match=r"ignore_index=255 is also the value of one of the 459 classes.*set ignore_index=None"
    ):
        SemanticSegDataset(**arguments)
    results = load(SemanticSegDataset(**arguments, ignore_index=None))
    assert results["gt_segment_labels"].tolist() == [254, 458]
    assert results["gt_seg_map"].tolist() == [[-1, 0, 1]]


def test_list_of_names_and_suffixes(tmp_path):
    arguments = make(tmp_path)
    write_image(tmp_path / "img/c_image.jpg", 2, 3)
    write_png(tmp_path / "ann/c_label.png", LABELS)
    (tmp_path / "val.txt").write_text("c\n\n")
    dataset = SemanticSegDataset(**arguments, ann_file="val.txt", suffixes=("_image.jpg", "_label.png"))
    assert [dataset.get_data_info(i)["img_id"] for i in range(len(dataset))] == ["c"]


def test_images_of_several_suffixes(tmp_path):
    arguments = make(tmp_path, names=("a", "b", "city/c"))
    (tmp_path / "img/b.jpg").rename(tmp_path / "img/b.JPG")
    write_image(tmp_path / "img/city/c.png", 2, 3)
    (tmp_path / "img/city/c.jpg").unlink()
    dataset = SemanticSegDataset(**arguments, suffixes=([".jpg", ".JPG", ".png"], ".png"))
    paths = [dataset.get_data_info(i)["img_path"] for i in range(len(dataset))]
    assert paths == [str(tmp_path / "img" / name) for name in ("a.jpg", "b.JPG", "city/c.png")]
    assert all(load(dataset, index)["img"].shape == (2, 3, 3) for index in range(3))


def test_images_of_several_suffixes_are_found_by_one_listing_of_each_folder(tmp_path, monkeypatch):
    arguments = make(tmp_path)
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: listed.append(str(folder)) or scandir(folder))
    SemanticSegDataset(**arguments, suffixes=([".jpg", ".jpeg", ".JPG"], ".png"))
    assert listed == [str(tmp_path / "img"), str(tmp_path / "ann")]


def test_two_images_for_one_label_png(tmp_path):
    arguments = make(tmp_path)
    write_image(tmp_path / "img/b.png", 2, 3)
    with pytest.raises(UserError, match=r"img': has both 'b\.jpg' and 'b\.png', for one label PNG; remove or rename"):
        SemanticSegDataset(**arguments, suffixes=([".jpg", ".png"], ".png"))
    assert len(SemanticSegDataset(**arguments)) == 2


@pytest.mark.parametrize("suffixes", [(".jpg", ".png", ".png"), ([], ".png")])
def test_suffixes_that_are_not_two_are_refused(tmp_path, suffixes):
    with pytest.raises(UserError, match=r"suffixes: expected that of the images and .* write suffixes=\(\['\.jpg', "):
        SemanticSegDataset(**make(tmp_path), suffixes=suffixes)


def test_an_image_beside_its_missing_label_png_is_not_taken_for_one(tmp_path):
    arguments = make(tmp_path) | dict(img_dir="ann")
    for name in "ab":
        (tmp_path / f"img/{name}.jpg").rename(tmp_path / f"ann/{name}.jpg")
    assert len(SemanticSegDataset(**arguments)) == 2
    (tmp_path / "ann/b.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"\['b\.png'\] missing; complete the folder"):
        SemanticSegDataset(**arguments)


@pytest.mark.parametrize(("folder", "other"), [("img", "b.JPG"), ("img", "b.png"), ("ann", "b.PNG")])
def test_a_file_with_another_suffix_is_named(tmp_path, folder, other):
    arguments = make(tmp_path, names=("a", "b", "zebra"))
    (tmp_path / folder / {"img": "b.jpg", "ann": "b.png"}[folder]).rename(tmp_path / folder / other)
    with pytest.raises(
        FileNotFoundError, match=rf"the folder has '{other}': set suffixes to those of the files, e\.g\."
    ):
        SemanticSegDataset(**arguments)


def test_indices(tmp_path):
    dataset = SemanticSegDataset(**make(tmp_path, names="abc"), indices=2)
    assert [dataset.get_data_info(i)["img_id"] for i in range(len(dataset))] == ["a", "b"]


@pytest.mark.parametrize(("key", "what"), [("img_dir", "image folder"), ("ann_dir", "folder of label PNGs")])
def test_missing_folder(tmp_path, key, what):
    with pytest.raises(FileNotFoundError, match=rf"{what} '.*nowhere' does not exist; .*data_root"):
        SemanticSegDataset(**make(tmp_path) | {key: "nowhere"})


def test_image_without_label_png(tmp_path):
    arguments = make(tmp_path)
    (tmp_path / "ann/b.png").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"1 images have no label PNG in '.*ann', e\.g\. \['b\.png'\].*complete"
    ):
        SemanticSegDataset(**arguments)


def test_label_png_without_image(tmp_path):
    arguments = make(tmp_path)
    (tmp_path / "img/a.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 label PNGs have no image in '.*img', e\.g\. \['a\.jpg'\]"):
        SemanticSegDataset(**arguments)


def test_listed_name_without_image(tmp_path):
    arguments = make(tmp_path)
    (tmp_path / "val.txt").write_text("a\nzebra")
    with pytest.raises(FileNotFoundError, match=r"val\.txt' have no image in '.*img', e\.g\. \['zebra\.jpg'\]"):
        SemanticSegDataset(**arguments, ann_file="val.txt")
    with pytest.raises(FileNotFoundError, match=r"list of names '.*test\.txt' does not exist"):
        SemanticSegDataset(**arguments, ann_file="test.txt")


def test_no_image(tmp_path):
    with pytest.raises(ValueError, match=r"img': there is no image with the suffix '\.jpeg'; set suffixes or img_dir"):
        SemanticSegDataset(**make(tmp_path), suffixes=(".jpeg", ".nothing"))


def test_no_classes(tmp_path):
    with pytest.raises(ValueError, match=r"SemanticSegDataset needs the class names of its label.*metainfo=dict"):
        SemanticSegDataset(**make(tmp_path) | {"metainfo": None})


def test_unknown_argument(tmp_path):
    with pytest.raises(TypeError, match="reduce_zero"):
        SemanticSegDataset(**make(tmp_path), reduce_zero=True)


def test_a_name_that_appears_twice(tmp_path):
    """A test would count the image twice."""
    config = make(tmp_path)
    (tmp_path / "names.txt").write_text("a\nb\na\n")
    with pytest.raises(UserError, match=r"names\.txt': 1 name appears more than once, e\.g\. 'a'; remove the"):
        SemanticSegDataset(**config, ann_file="names.txt")
