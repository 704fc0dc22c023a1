"""Datasets of mmdet and mmseg as sources: classes are matched by name, and a mix-up is refused."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmdet.datasets import CocoDataset
from mmengine.dataset import BaseDataset

from mmdataseg.errors import UserError
from mmdataseg.registry import DATASETS
from mmdataseg.structures import Task
from tests.datasets.numbered import SPACE, build, source, write_images


def coco_json(path):
    """Three categories, in the order dog, cat, cow."""
    content = {
        "images": [{"id": i + 1, "file_name": f"{i}.jpg", "height": 8, "width": 10} for i in range(2)],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 1, 4, 4], "area": 16, "iscrowd": 0},
            {"id": 2, "image_id": 2, "category_id": 9, "bbox": [2, 2, 3, 3], "area": 9, "iscrowd": 0},
        ],
        "categories": [{"id": 3, "name": "dog"}, {"id": 9, "name": "cat"}, {"id": 10, "name": "cow"}],
    }
    path.write_text(json.dumps(content))
    return str(path)


def coco_source(tmp_path, classes, kind="mmdet.CocoDataset"):
    space = {"name": "pets", "classes": classes, "is_thing": [True] * len(classes)}
    train = {
        "type": kind,
        "ann_file": coco_json(tmp_path / "ann.json"),
        "data_prefix": {"img": write_images(tmp_path / "images")},
        "pipeline": [{"type": "LoadImageFromFile"}, {"type": "mmdet.LoadAnnotations", "with_bbox": True}],
    }
    return {"name": "boxes", "task": "instance", "label_space": space, "train": train}


@pytest.mark.usefixtures("mmdet_scope")
def test_mmdet_dataset_as_a_source(tmp_path):
    dataset = build(coco_source(tmp_path, ["dog", "cat"]))
    assert len(dataset) == 2
    labels = [dataset[i]["gt_bboxes_labels"].tolist() for i in range(2)]
    assert labels == [[0], [1]]
    assert dataset[1]["source"] == "boxes"


@pytest.mark.usefixtures("mmdet_scope")
@pytest.mark.parametrize("kind", ["mmdet.CocoDataset", "CocoDataset", CocoDataset], ids=["named", "scope", "class"])
@pytest.mark.parametrize(
    ("classes", "match"),
    [
        (["cat", "dog"], r"source 'boxes', .*ann\.json: .* label 0 is 'dog', not 'cat' as in label space 'pets'"),
        (["dog", "cat", "horse"], r"source 'boxes', .*ann\.json: .* the file has no category 'horse'"),
    ],
)
def test_mmdet_dataset_that_would_mix_up_the_classes(tmp_path, classes, match, kind):
    with pytest.raises(ValueError, match=match):
        build(coco_source(tmp_path, classes, kind))


class Lvis:
    """The part of the package lvis that mmdet's datasets use; the package has no release for new Pythons."""

    def __init__(self, path):
        content = json.loads(Path(path).read_text())
        self.categories, self.images = ({entry["id"]: entry for entry in content[k]} for k in ("categories", "images"))
        self.annotations = {a["id"]: a for a in content["annotations"]}
        self.cat_img_map = {a["category_id"]: [a["image_id"]] for a in content["annotations"]}

    def get_cat_ids(self):
        return list(self.categories)

    def get_img_ids(self):
        return list(self.images)

    def load_imgs(self, ids):
        return [{"coco_url": f"http://a/b/{self.images[i]['file_name']}", **self.images[i]} for i in ids]

    def get_ann_ids(self, img_ids):
        return [number for number, a in self.annotations.items() if a["image_id"] in img_ids]

    def load_anns(self, ids):
        return [self.annotations[i] for i in ids]


@pytest.mark.usefixtures("mmdet_scope")
@pytest.mark.parametrize("kind", ["mmdet.LVISV1Dataset", "mmdet.LVISV05Dataset"])
def test_lvis_that_would_mix_up_the_classes(tmp_path, monkeypatch, kind):
    monkeypatch.setitem(sys.modules, "lvis", SimpleNamespace(LVIS=Lvis))
    config = coco_source(tmp_path, ["cat", "dog", "cow"], kind)
    with pytest.raises(UserError, match=r"label 0 is 'dog', not 'cat' as in label space 'pets'"):
        build(config)
    config["label_space"]["classes"] = ["dog", "cat", "cow"]
    assert len(build(config)) == 2


@DATASETS.register_module()
class ClassesOfItsFiles(BaseDataset):
    """A dataset that reads its classes from a file, as mmdet's OpenImages do."""

    def __init__(self, **options):
        super().__init__(**options)
        self._metainfo["classes"] = ["grass", "cat", "dog"]

    def load_data_list(self):
        return [{"img_path": "a.jpg"}]


@pytest.mark.usefixtures("mmdet_scope")
def test_a_dataset_that_replaces_the_classes():
    train = {"type": "mmdataseg.ClassesOfItsFiles", "pipeline": []}
    config = {"name": "own", "task": "instance", "label_space": SPACE, "train": train}
    with pytest.raises(UserError, match=r"source 'own', .* label 0 is 'grass', not 'cat' as in label space 'animals'"):
        build(config)
    space = {"name": "others", "classes": ["grass", "cat", "dog"], "is_thing": [True] * 3}
    assert len(build({**config, "label_space": space})) == 1


@pytest.mark.usefixtures("mmdet_scope")
def test_mmseg_dataset_as_a_source(tmp_path):
    prefix = write_images(tmp_path / "images")
    (tmp_path / "labels").mkdir()
    for i in range(4):
        cv2.imwrite(str(tmp_path / "labels" / f"{i}.png"), np.full((8, 10), i % 3, np.uint8))
    train = {
        "type": "mmseg.BaseSegDataset",
        "data_prefix": {"img_path": prefix, "seg_map_path": str(tmp_path / "labels")},
        "pipeline": [{"type": "LoadImageFromFile"}, {"type": "mmseg.LoadAnnotations"}],
    }
    dataset = build(source("a"), {"name": "maps", "task": "semantic", "label_space": SPACE, "train": train})
    sample = dataset[6]
    assert np.unique(sample["gt_seg_map"]).tolist() == [2]
    assert (sample["source"], sample["task"]) == ("maps", Task.SEMANTIC)
    assert dataset.datasets[1].metainfo["classes"] == ("cat", "grass", "dog")


@pytest.mark.usefixtures("mmdet_scope")
@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ("ade150", [[-1, 7], [0, 149]]),  # "bed" is class 7, "bed " in mmseg
        ({"name": "furniture", "classes": ["bed", "wall"], "is_thing": [True, False]}, [[-1, 0], [1, -1]]),
    ],
)
def test_mmseg_dataset_that_spells_a_class_with_a_blank(tmp_path, space, expected):
    """mmseg's ADE20K has "bed ", and would refuse the label space's "bed" as unknown."""
    write_images(tmp_path / "images")
    (tmp_path / "labels").mkdir()
    for i in range(4):
        labels = np.array([[0, 8], [1, 150]], np.uint8).repeat(4, 0).repeat(5, 1)
        cv2.imwrite(str(tmp_path / f"labels/{i}.png"), labels)
    train = {
        "type": "mmseg.ADE20KDataset",
        "data_root": str(tmp_path),
        "data_prefix": {"img_path": "images", "seg_map_path": "labels"},
        "pipeline": [{"type": "mmdataseg.LoadImage"}, {"type": "mmdataseg.LoadSemanticMap"}],
    }
    dataset = build({"name": "ade", "task": "semantic", "label_space": space, "train": train})
    sample = dataset[0]
    table = np.array([*sample["gt_segment_labels"], -1])
    assert table[sample["gt_seg_map"][::4, ::5]].tolist() == expected
    assert "bed" in dataset.metainfo["classes"]
