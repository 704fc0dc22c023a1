"""Datasets, transforms and tasks that do not fit together."""

import numpy as np
import pytest
from mmengine.registry import init_default_scope

from mmdataseg.datasets import MultiSourceDataset
from mmdataseg.errors import UserError
from tests.datasets.writing import CLASSES, IS_THING, InstanceFiles, PanopticFiles, write_image, write_png

SPACE = {"name": "four", "classes": CLASSES, "is_thing": IS_THING}


@pytest.fixture
def read(tmp_path):
    """Read the last sample of a training dataset: its kind, the task, its loader, and what comes after it."""
    init_default_scope("mmdet")
    instances = InstanceFiles(tmp_path / "instances")
    instances.add_masks()
    write_image(tmp_path / "semantic/img/a.jpg", 2, 3)
    write_png(tmp_path / "semantic/ann/a.png", np.zeros((2, 3), np.uint8))
    datasets = {
        "panoptic": PanopticFiles(tmp_path / "panoptic").write() | {"type": "mmdataseg.PanopticSegDataset"},
        "instances": instances.write() | {"type": "mmdataseg.InstanceSegDataset"},
        "semantic": {"data_root": str(tmp_path / "semantic"), "img_dir": "img", "ann_dir": "ann"}
        | {"type": "mmdataseg.SemanticSegDataset"},
    }

    def read(kind, task, loader, *later, **options):
        pipeline = [{"type": "mmdataseg.LoadImage"}, loader, *later, {"type": "mmdataseg.PackInputs"}]
        config = {**datasets[kind], **options, "metainfo": None, "pipeline": pipeline}
        source = {"name": "a", "task": task, "label_space": SPACE, "train": config}
        dataset = MultiSourceDataset(sources=[source], split="train")
        return dataset[len(dataset) - 1]["data_samples"]

    return read


@pytest.mark.parametrize(
    ("kind", "task", "loader", "match"),
    [
        ("instances", "panoptic", "LoadPanopticMap", "needs 'segments_info', .*; use a dataset such as PanopticSegD"),
        ("semantic", "panoptic", "LoadPanopticMap", "needs 'segments_info', .*; use a dataset such as PanopticSegD"),
        ("instances", "semantic", "LoadSemanticMap", "needs 'seg_map_path', .*; use a dataset such as SemanticSegData"),
        ("panoptic", "instance", "LoadInstances", "needs 'instances', .*; use a dataset such as InstanceSegDataset"),
        ("semantic", "instance", "LoadInstances", "needs 'instances', .*; use a dataset such as InstanceSegDataset"),
    ],
)
def test_a_dataset_without_the_annotations_of_its_loader(read, kind, task, loader, match):
    with pytest.raises(UserError, match=rf"source 'a': '.*\.jpg': {loader} {match}"):
        read(kind, task, {"type": f"mmdataseg.{loader}"})


def test_masks_of_a_dataset_that_reads_boxes(read):
    loader = {"type": "mmdataseg.LoadInstances", "with_masks": True}
    with pytest.raises(UserError, match=r"needs masks, .* reads only boxes; set with_masks=True in the dataset, too"):
        read("instances", "instance", loader)
    assert read("instances", "instance", loader, with_masks=True).gt_instances.masks.shape == (2, 10, 20)


@pytest.mark.parametrize(
    ("kind", "task", "loader"),
    [("panoptic", "panoptic", "LoadPanopticMap"), ("instances", "instance", "LoadInstances")],
)
def test_a_train_pipeline_that_loads_crowd_regions_as_objects(read, kind, task, loader):
    with pytest.raises(UserError, match=rf"source 'a': the train pipeline has {loader}\(scoring=True\), .*; remove"):
        read(kind, task, {"type": f"mmdataseg.{loader}", "scoring": True})


@pytest.mark.parametrize(
    "later",
    [
        {"type": "Pad", "size": (16, 16)},
        {"type": "mmdet.ShearX", "prob": 1.0, "level": 10},
        {"type": "mmseg.RandomRotate", "prob": 1.0, "degree": (30, 30)},
    ],
)
def test_a_transform_that_fills_an_id_map_with_255(read, later):
    with pytest.raises(UserError, match=r"source 'a': .*: the id map has the value 255, .* has 3 segments: .*seg=-1"):
        read("panoptic", "panoptic", {"type": "mmdataseg.LoadPanopticMap"}, later)


def test_filled_pixels_of_an_instance_map_are_void(read):
    loader = {"type": "mmdataseg.LoadInstances", "with_masks": True}
    unpadded = read("instances", "instance", loader, with_masks=True).gt_void.data[0]
    padded = read("instances", "instance", loader, {"type": "Pad", "size": (16, 20)}, with_masks=True).gt_void.data[0]
    assert (padded[:10] == unpadded).all()
    assert padded[10:].all()


def test_an_id_map_filled_with_void_is_packed(read):
    later = {"type": "Pad", "size": (16, 16), "pad_val": {"img": 0, "seg": -1}}
    sample = read("panoptic", "panoptic", {"type": "mmdataseg.LoadPanopticMap"}, later)
    assert (sample.gt_id_map.data[0, 4:] == -1).all()
    assert len(sample.gt_instances) == 3
