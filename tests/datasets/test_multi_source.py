"""Several sources as one dataset: order, metainfo of samples, random numbers, and sources that cannot be built."""

import random

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mmdataseg.datasets import ratio_sampler
from mmdataseg.datasets.ratio_sampler import RatioBatchSampler
from mmdataseg.datasets.seeding import SeededIndex, seeded_generators
from mmdataseg.errors import UserError
from mmdataseg.structures import LabelSpace, Task
from tests.datasets.numbered import SPACE, build, source


def test_sources_are_concatenated():
    dataset = build(source("a", size=3), source("b", size=1), source("c", size=5))
    assert dataset.source_names == ["a", "b", "c"]
    assert dataset.sizes == [3, 1, 5]
    assert dataset.cumulative_sizes == [3, 4, 9]
    assert len(dataset) == 9
    places = [dataset.get_source(i) for i in range(9)]
    assert places == [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (2, 1), (2, 2), (2, 3), (2, 4)]
    assert [dataset[i]["number"] for i in range(9)] == [0, 1, 2, 0, 0, 1, 2, 3, 4]
    for outside in (9, -1):
        with pytest.raises(IndexError, match=f"expected an index in .0, 9., got {outside}"):
            dataset.get_source(outside)


@pytest.mark.parametrize("split", ["train", "test"])
def test_samples_are_stamped_before_their_pipeline(split):
    seen = []
    dataset = build(
        source("a", split, size=2), source("b", split, "semantic", pipeline=[seen.append]), split=split, max_refetch=0
    )
    with pytest.raises(ValueError, match="returned no sample"):
        dataset[5]
    assert seen[0]["source"] == "b"
    assert seen[0]["task"] is Task.SEMANTIC
    assert seen[0]["label_space"] == LabelSpace(**SPACE)
    assert (seen[0]["sample_idx"], type(seen[0]["sample_idx"]), seen[0]["number"]) == (5, int, 3)


def test_metainfo_has_plain_values_and_a_single_label_space_at_the_top_level():
    classes = {
        "classes": ("cat", "grass", "dog"),
        "thing_classes": ("cat", "dog"),
        "stuff_classes": ("grass",),
        "is_thing": (True, False, True),
    }
    entry = {"task": "semantic", "label_space": "animals", **classes}
    assert build(source("a", task="semantic")).metainfo == {"sources": {"a": entry}, **classes}
    two = source("a", task="semantic"), source("b", task="semantic")
    assert build(*two).metainfo == {"sources": {"a": entry, "b": entry}, **classes}
    two[1]["label_space"] = {**SPACE, "name": "others"}
    assert build(*two).metainfo.keys() == {"sources"}


def test_datasets_get_the_classes_and_keep_their_other_metainfo():
    dataset = build(source(metainfo={"palette": [(0, 0, 0)]}))
    inner = dataset.datasets[0].metainfo
    assert inner["classes"] == ("cat", "grass", "dog")
    assert inner["thing_classes"] == ("cat", "dog")
    assert inner["palette"] == [(0, 0, 0)]
    assert build(source(metainfo={"classes": ["cat", "grass", "dog"]})).metainfo["classes"] == inner["classes"]
    message = r"source 'a': metainfo key 'classes' .* differs from label space 'animals', .*; remove the key"
    with pytest.raises(ValueError, match=message):
        build(source(metainfo={"classes": ["cat"]}))


# ---- randomness


def test_augmentation_depends_on_the_seed_only_and_restores_the_generators():
    dataset = build(source(pipeline=[{"type": "mmdataseg.DrawFromEveryGenerator"}]))
    first = dataset[SeededIndex(1, 123)]["drawn"]
    with seeded_generators(5):
        before = random.random(), np.random.rand(), torch.rand(()).item()
    with seeded_generators(5):
        again = dataset[SeededIndex(1, 123)]["drawn"]
        after = random.random(), np.random.rand(), torch.rand(()).item()
    assert again == first
    assert after == before
    assert dataset[SeededIndex(1, 124)]["drawn"] != first
    assert dataset[1]["drawn"] != dataset[1]["drawn"]  # no seed: as the process happens to stand


def test_states_are_put_back_when_a_pipeline_raises():
    dataset = build(source(pipeline=[{"type": "mmdataseg.FailOn", "error": ValueError("wrong")}]))
    state = np.random.get_state()[1].copy()
    with pytest.raises(ValueError, match="wrong"):
        dataset[SeededIndex(1, 123)]
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def identity(batch):
    return batch


def drawn_batches(dataset, rank, world_size, num_workers, monkeypatch):
    monkeypatch.setattr(ratio_sampler, "get_dist_info", lambda: (rank, world_size))
    sampler = torch.utils.data.SequentialSampler(dataset)
    sampler.dataset = dataset
    batches = RatioBatchSampler(sampler=sampler, batch_size=12 // world_size, ratios=[1, 2], seed=3)
    batches.set_iteration(2, stop=8)
    return list(DataLoader(dataset, batch_sampler=batches, num_workers=num_workers, collate_fn=identity))


@pytest.mark.parametrize(("world_size", "num_workers"), [(2, 0), (3, 2), (4, 0)])
def test_augmented_global_batch_does_not_depend_on_ranks_and_workers(world_size, num_workers, monkeypatch):
    pipeline = [{"type": "mmdataseg.DrawFromEveryGenerator"}]
    dataset = build(source("a", size=20, pipeline=pipeline), source("b", size=31, pipeline=pipeline))
    alone = drawn_batches(dataset, 0, 1, 0, monkeypatch)
    ranks = [drawn_batches(dataset, r, world_size, num_workers, monkeypatch) for r in range(world_size)]
    for whole, *parts in zip(alone, *ranks, strict=True):
        drawn = [(sample["source"], sample["number"], sample["drawn"]) for part in parts for sample in part]
        assert drawn == [(sample["source"], sample["number"], sample["drawn"]) for sample in whole]


# ---- errors while building


def test_two_sources_of_one_name():
    with pytest.raises(ValueError, match="source name 'a' appears 2 times"):
        build(source("a"), source("b"), source("a"))


def test_unknown_task():
    with pytest.raises(ValueError, match="source 'a': unknown task 'depth'"):
        build(source(task="depth"))


def test_unknown_key_of_a_source():
    with pytest.raises(UserError, match="source 'a': unknown key 'ratio'"):
        build({**source(), "ratio": 4})


def test_unknown_key_of_a_dataset():
    with pytest.raises(UserError, match=r"source 'a'.*'colour'"):
        build(source(colour="red"))


def test_unknown_key_of_the_wrapper():
    with pytest.raises(TypeError, match="seed"):
        build(source(), seed=3)


def test_unknown_dataset():
    with pytest.raises(ValueError, match=r"source 'a'.*NoSuchDataset is not in the"):
        build(source(type="mmdataseg.NoSuchDataset"))


@pytest.mark.parametrize("kind", ["ConcatDataset", "RepeatDataset", "ClassBalancedDataset"])
def test_a_wrapper_of_datasets(kind):
    message = rf"source 'a'.*: a {kind} wraps other datasets, but .* one dataset; give the dataset without the wrapper,"
    with pytest.raises(UserError, match=message):
        build(source(type=kind))


@pytest.mark.parametrize("split", ["train", "test"])
def test_source_without_the_split(split):
    other = {"train": "test", "test": "train"}[split]
    with pytest.raises(ValueError, match=f"source 'b' has no '{split}' dataset"):
        build(source("a", split), source("b", other), split=split)


def test_unknown_split():
    with pytest.raises(ValueError, match=r"one of \['train', 'test'\], got 'val'"):
        build(source(), split="val")


@pytest.mark.parametrize("value", [-1, 1.5, True])
def test_bad_max_refetch(value):
    with pytest.raises(ValueError, match=f"max_refetch to be an int >= 0, got {value}"):
        build(source(), max_refetch=value)


def test_source_without_images():
    with pytest.raises(ValueError, match=r"source 'b'.* has no image; check its paths"):
        build(source("a"), source("b", size=0))


def test_missing_annotation_file(tmp_path):
    train = {"type": "mmdet.CocoDataset", "ann_file": str(tmp_path / "none.json"), "data_prefix": {"img": ""}}
    with pytest.raises(FileNotFoundError, match=r"source 'boxes'.*none\.json"):
        build({"name": "boxes", "task": "instance", "label_space": SPACE, "train": train})


def test_an_annotation_file_that_is_not_json_is_refused(tmp_path):
    (tmp_path / "ann.json").write_text("<html>")
    train = {"type": "mmdet.CocoDataset", "ann_file": str(tmp_path / "ann.json"), "data_prefix": {"img": ""}}
    with pytest.raises(ValueError, match=r"source 'boxes'.*ann\.json.*Expecting value"):
        build({"name": "boxes", "task": "instance", "label_space": SPACE, "train": train})


def test_dataset_of_another_kind():
    with pytest.raises(ValueError, match="source 'a': a dict has no 'get_data_info'"):
        build(source(type=dict))
