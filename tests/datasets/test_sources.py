"""The paper's source configs, unchanged, read data in the official layouts."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image
from pycocotools import mask as coco_mask

from mmdataseg.datasets import MultiSourceDataset
from mmdataseg.registry import METRICS
from mmdataseg.sources import Source
from mmdataseg.structures import Task
from mmdataseg.text.embeddings import load_embeddings
from tests import layouts

TRAINED = ("ade_semantic", "coco_panoptic", "objects365_boxes", "coco_semantic")  # the last one in configs/others only
TESTED = (
    *("ade_semantic", "coco_panoptic"),  # as trained
    *("ade_panoptic", "objects365_instances"),  # weak transfer
    *("pascal_context59", "pascal_context459", "cityscapes_panoptic"),  # direct transfer
    "coco_semantic",  # in the same table, its images and classes trained on as coco_panoptic
)
SOURCES = sorted({*TRAINED, *TESTED})


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("layouts")
    layouts.write_all(root)
    return root


@pytest.fixture(autouse=True)
def in_world(world, monkeypatch):
    """Paths of the configs are relative to the folder where a training starts."""
    monkeypatch.chdir(world)
    init_default_scope("mmdet")


@pytest.fixture
def load(repo_root):
    return lambda name: Config.fromfile(repo_root / f"configs/_base_/sources/{name}.py")[name].to_dict()


def shrunk(config, size=64):
    """The same pipelines at a tenth of the size."""
    for transform in config["train"]["pipeline"]:
        if "scale" in transform:
            transform["scale"] = (size, size)
        if "size" in transform:
            transform["size"] = (size, size)
    return config


def test_the_lists_above_are_all_sources(repo_root):
    files = {path.stem for path in (repo_root / "configs/_base_/sources").glob("*.py")}
    # others may come, but none of the paper's may go
    assert set(SOURCES) <= files
    assert len(SOURCES) == 9


@pytest.mark.parametrize("name", SOURCES)
def test_source_names_its_task_and_its_embeddings(load, name):
    config = load(name)
    source = Source.from_config(config)
    assert source.name == name
    assert (source.supervision == "boxes") == (name == "objects365_boxes")
    assert (source.train is not None) == (name in TRAINED)
    assert (source.test is not None) == (name in TESTED)
    assert bool(source.metrics) == (name in TESTED)
    assert load_embeddings(source.embeddings, label_space=source.label_space).matrix.shape[1] == layouts.EMBED_DIM


@pytest.mark.parametrize("name", TRAINED)
def test_training_samples_have_targets(load, name):
    dataset = MultiSourceDataset(sources=[shrunk(load(name))], split="train")
    assert len(dataset) == layouts.TRAIN_IMAGES  # Objects365's unpublished images are left out
    np.random.seed(0)
    for index in range(len(dataset)):
        sample = dataset[index]
        assert sample["inputs"].shape[1:] == sample["data_samples"].img_shape
        assert len(sample["data_samples"].gt_instances.labels) > 0
        assert ("bboxes" in sample["data_samples"].gt_instances) == (name == "objects365_boxes")
    assert dataset.num_replaced == {name: 0}


@pytest.mark.parametrize("name", TESTED)
def test_test_samples_have_ground_truth_at_the_original_size(load, name):
    config = load(name)
    dataset = MultiSourceDataset(sources=[config], split="test")
    assert len(dataset) == layouts.VAL_IMAGES
    task, space = dataset.sources[0].task, dataset.sources[0].label_space
    for index in range(len(dataset)):
        sample = dataset[index]["data_samples"]
        assert sample.source == name
        assert sample.ori_shape == (layouts.HEIGHT, layouts.WIDTH)
        assert sample.img_shape > sample.ori_shape  # the pipelines enlarge these small images
        if task is not Task.INSTANCE:
            assert tuple(sample.gt_id_map.data.shape[1:]) == sample.ori_shape
            assert len(sample.gt_instances.labels) > 0
        assert all(0 <= label < len(space) for label in sample.gt_instances.labels.tolist())


@pytest.mark.parametrize("name", TESTED)
def test_metrics_build(load, name):
    metrics = [METRICS.build(metric) for metric in load(name)["metrics"]]
    expected = {
        Task.SEMANTIC: "SemanticMetric",
        Task.PANOPTIC: "PanopticQualityMetric",
        Task.INSTANCE: "InstanceMetric",
    }
    assert [type(metric).__name__ for metric in metrics] == [expected[Source.from_config(load(name)).task]]


def class_map(sample):
    """(H, W) labels, -1 = void."""
    rows = sample.gt_id_map.data[0].numpy()
    return np.where(rows >= 0, sample.gt_instances.labels.numpy()[rows], -1)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("ade_semantic", "data/ADEChallengeData2016/annotations/validation"),
        ("pascal_context59", "data/VOCdevkit/VOC2010/SegmentationClassContext"),
        ("pascal_context459", "data/VOCdevkit/VOC2010/SegmentationClassContext459"),
    ],
)
def test_value_k_plus_1_is_class_k_and_0_is_void(load, name, folder):
    dataset = MultiSourceDataset(sources=[load(name)], split="test")
    for index in range(len(dataset)):
        sample = dataset[index]["data_samples"]
        expected = np.asarray(Image.open(f"{folder}/{sample.img_id}.png")).astype(int) - 1
        np.testing.assert_array_equal(class_map(sample), expected)


def test_class_256_of_pascal_context_is_not_void(load):
    """255 is the usual value of void, and here the value of a class."""
    dataset = MultiSourceDataset(sources=[load("pascal_context459")], split="test")
    table = dataset.datasets[0].label_table
    assert table[[0, 1, 255, 256, 459]].tolist() == [-1, 0, 254, 255, 458]
    assert table[460] == -2


def test_coco_semantic_is_coco_panoptic_with_the_classes_merged(load):
    """Crowds belong to their class, and unlabelled pixels to none."""
    panoptic = MultiSourceDataset(sources=[load("coco_panoptic")], split="test")
    semantic = MultiSourceDataset(sources=[load("coco_semantic")], split="test")
    crowds = 0
    for index in range(len(panoptic)):
        first, second = panoptic[index]["data_samples"], semantic[index]["data_samples"]
        np.testing.assert_array_equal(class_map(first), class_map(second))
        assert (class_map(second) == -1).any()
        crowds += int(first.gt_instances.is_crowd.sum())
    assert crowds > 0


def test_groups_of_cityscapes_are_crowd_and_unevaluated_pixels_void(load):
    sample = MultiSourceDataset(sources=[load("cityscapes_panoptic")], split="test")[0]["data_samples"]
    assert sorted(sample.gt_instances.is_crowd.tolist()) == [False, False, False, False, True]
    assert (class_map(sample)[:, :4] == -1).all()


def oracle(sample, task):
    """A data sample as a dict, with the ground truth as its prediction."""
    packed = sample.to_dict()
    if task is Task.INSTANCE:
        content = json.loads(Path("data/objects365/annotations/instances_val_1000.json").read_text())
        found = [a for a in content["annotations"] if a["image_id"] == sample.img_id]
        masks = np.stack([coco_mask.decode(a["segmentation"]) for a in found]).astype(bool)
        boxes = np.array([a["bbox"] for a in found], float)
        boxes[:, 2:] += boxes[:, :2]
        packed["pred_instances"] = {
            "labels": torch.tensor([a["category_id"] - 1 for a in found]),
            "scores": torch.ones(len(found)),
            "bboxes": torch.from_numpy(boxes),
            "masks": torch.from_numpy(masks),
        }
        return packed
    labels = torch.from_numpy(class_map(sample))
    if task is Task.SEMANTIC:
        packed["pred_sem_seg"] = {"sem_seg": labels.clamp(min=0)[None]}
        return packed
    rows = sample.gt_id_map.data[0].long()
    crowd = sample.gt_instances.is_crowd[rows.clamp(min=0)] | (rows < 0)
    segments = torch.where(crowd, 0, labels + 1000 * (rows + 1))
    packed["pred_panoptic_seg"] = {"sem_seg": segments[None], "ignore_index": 0}
    return packed


@pytest.mark.parametrize("name", TESTED)
def test_ground_truth_scores_100(load, name):
    """So whatever the metric needs is in the files that the converters write."""
    config = load(name)
    dataset = MultiSourceDataset(sources=[config], split="test")
    metric = METRICS.build(config["metrics"][0])
    metric.dataset_meta = dataset.metainfo | {"source": name}
    task = dataset.sources[0].task
    metric.process(None, [oracle(dataset[i]["data_samples"], task) for i in range(len(dataset))])
    scores = metric.compute_metrics(metric.results)
    main = {Task.SEMANTIC: "mIoU", Task.PANOPTIC: "PQ", Task.INSTANCE: "mask_AP"}[task]
    assert scores[main] == pytest.approx(100)


@pytest.mark.parametrize("name", TESTED)
def test_missing_data_names_source_file_and_remedy(load, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"source '{name}'.*data/.*; put the data there"):
        MultiSourceDataset(sources=[load(name)], split="test")
