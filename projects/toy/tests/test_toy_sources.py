"""The source configs of the toy world read what the generator writes."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmdataseg.datasets import MultiSourceDataset
from mmdataseg.registry import METRICS
from projects.toy.world import vocabulary as v
from projects.toy.world.formats import instance_annotations, semantic_map
from projects.toy.world.scenes import draw_scene
from projects.toy.world.writing import make_world

TRAINED = [source.name for source in v.TRAINING_SOURCES]
TESTED = [*v.TOY_SOURCES, "toy_semantic_as_panoptic"]
SEED = 2


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A small world of full-sized images."""
    folder = tmp_path_factory.mktemp("toy")
    make_world(folder, seed=SEED, train_images=(6, 6, 6), val_images=4)
    return folder


@pytest.fixture
def source(request, repo_root, world):
    """The config of a source, with paths of the small world."""
    init_default_scope("mmdet")
    config = Config.fromfile(repo_root / f"projects/toy/configs/_base_/sources/{request.param}.py")[
        request.param
    ].to_dict()
    return moved(config, world)


def moved(value, world):
    """Replace data/toy in every path of a config."""
    if isinstance(value, dict):
        return {key: moved(entry, world) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(moved(entry, world) for entry in value)
    return value.replace("data/toy", str(world), 1) if isinstance(value, str) else value


@pytest.mark.parametrize("source", TRAINED, indirect=True)
def test_training_samples_have_targets_and_fit_the_crop(source):
    dataset = MultiSourceDataset(sources=[source], split="train")
    assert len(dataset) == 6
    np.random.seed(0)
    for index in [*range(6), *range(6)]:
        sample = dataset[index]
        channels, height, width = sample["inputs"].shape
        assert channels == 3
        assert max(height, width) <= 128
        assert sample["inputs"].shape[1:] == sample["data_samples"].img_shape
        labels = sample["data_samples"].gt_instances.labels
        assert len(labels) > 0
        assert int(labels.max()) < len(source["label_space"]["classes"])
    assert dataset.num_replaced == {source["name"]: 0}


@pytest.mark.parametrize("source", TRAINED, indirect=True)
def test_training_pipelines_do_not_change_hues(source):
    """Colours are names: a permuted or rotated hue would make the label wrong."""
    transforms = [t["type"] for t in source["train"]["pipeline"]]
    assert "PhotoMetricDistortion" not in transforms
    assert all(t.get("hue_delta", 0) == 0 for t in source["train"]["pipeline"])


@pytest.mark.parametrize("source", ["toy_semantic"], indirect=True)
def test_loaded_semantic_labels_are_those_drawn(source):
    dataset = MultiSourceDataset(sources=[source], split="test")
    for index in range(4):
        sample = dataset[index]["data_samples"]
        rows = sample.gt_id_map.data[0].numpy()
        labels = np.where(rows >= 0, sample.gt_instances.labels.numpy()[rows], -1)
        expected = semantic_map(draw_scene(v.TOY_SEMANTIC, "val", index, seed=SEED), v.TOY_SEMANTIC)
        np.testing.assert_array_equal(labels + 1, expected)


@pytest.mark.parametrize("source", ["toy_panoptic", "toy_semantic_as_panoptic", "toy_open"], indirect=True)
def test_loaded_panoptic_segments_are_those_drawn(source):
    toy = v.TOY_SOURCES[source["label_space"]["name"]]
    dataset = MultiSourceDataset(sources=[source], split="test")
    for index in range(4):
        sample = dataset[index]["data_samples"]
        scene = draw_scene(toy, "val", index, seed=SEED)
        rows = sample.gt_id_map.data[0].numpy()
        expected = [(toy.label_of[r.kind], r.is_crowd) for r in scene.regions if r.kind in toy.label_of]
        found = zip(sample.gt_instances.labels.tolist(), sample.gt_instances.is_crowd.tolist(), strict=True)
        assert sorted(found) == sorted(expected)
        named = np.array([r.kind in toy.label_of for r in scene.regions])
        np.testing.assert_array_equal(rows >= 0, named[scene.region_map] & ~scene.unlabelled)


@pytest.mark.parametrize("source", ["toy_boxes"], indirect=True)
def test_loaded_boxes_are_those_drawn(source):
    dataset = MultiSourceDataset(sources=[source], split="test")
    for index in range(4):
        instances = dataset[index]["data_samples"].gt_instances
        annotations = instance_annotations(
            draw_scene(v.TOY_BOXES, "val", index, seed=SEED), v.TOY_BOXES, with_masks=False
        )
        expected = [[x, y, x + w, y + h] for x, y, w, h in (a["bbox"] for a in annotations)]
        assert instances.bboxes.tolist() == expected


@pytest.mark.parametrize("source", ["toy_boxes"], indirect=True)
def test_training_on_boxes_reads_no_mask(source):
    dataset = MultiSourceDataset(sources=[source], split="train")
    for index in range(6):
        sample = dataset[index]["data_samples"]
        assert "masks" not in sample.gt_instances
        assert "gt_id_map" not in sample


@pytest.mark.parametrize("source", TESTED, indirect=True)
def test_metrics_build_and_tested_images_keep_their_size(source):
    assert [METRICS.build(metric) for metric in source["metrics"]]
    sample = MultiSourceDataset(sources=[source], split="test")[0]
    assert tuple(sample["inputs"].shape) == (3, 128, 128)
    assert sample["data_samples"].ori_shape == (128, 128)
