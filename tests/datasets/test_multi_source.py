"""Several sources as one dataset: what is stamped, what is drawn, what is replaced and what is an error."""

import json
import random

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from mmdataseg.datasets import multi_source, ratio_sampler
from mmdataseg.datasets.multi_source import MultiSourceDataset
from mmdataseg.datasets.ratio_sampler import RatioBatchSampler
from mmdataseg.datasets.seeding import SeededIndex, seeded_generators
from mmdataseg.registry import DATASETS, TRANSFORMS
from mmdataseg.structures import LabelSpace, Task

SPACE = {"name": "animals", "classes": ["cat", "grass", "dog"], "is_thing": [True, False, True]}


@TRANSFORMS.register_module(force=True)
class DrawFromEveryGenerator:
    """Leave what an augmentation would draw."""

    def __call__(self, results):
        results["drawn"] = (random.random(), np.random.rand(), torch.rand(()).item())
        return results


@TRANSFORMS.register_module(force=True)
class FailOn:
    """Return None, or raise, on the samples whose number is listed; all of them if none is."""

    def __init__(self, *, numbers=None, error=None):
        self.numbers = numbers
        self.error = error

    def __call__(self, results):
        if self.numbers is not None and results["number"] not in self.numbers:
            return results
        if self.error is not None:
            raise self.error
        return None


@DATASETS.register_module(force=True)
class Numbers(BaseDataset):
    """Samples that are a number and a path."""

    def __init__(self, *, size, prefix="img", metainfo=None, pipeline=()):
        self.size = size
        self.prefix = prefix
        super().__init__(metainfo=metainfo, pipeline=list(pipeline))

    def load_data_list(self):
        return [{"number": i, "img_path": f"{self.prefix}/{i}.jpg"} for i in range(self.size)]


def source(name="a", split="train", task="panoptic", space=None, **dataset):
    dataset = {"type": "mmdataseg.Numbers", "size": 4, **dataset}
    return {"name": name, "task": task, "label_space": space or SPACE, split: dataset}


def build(*sources, split="train", **kwargs):
    return MultiSourceDataset(sources=list(sources), split=split, **kwargs)


@pytest.fixture
def mmdet_scope():
    with DefaultScope.overwrite_default_scope("mmdet"):
        yield


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr(multi_source, "print_log", lambda message, **_: lines.append(message))
    return lines


def test_sources_lie_end_to_end():
    dataset = build(source("a", size=3), source("b", size=1), source("c", size=5))
    assert dataset.source_names == ["a", "b", "c"]
    assert dataset.sizes == [3, 1, 5]
    assert dataset.cumulative_sizes == [3, 4, 9]
    assert len(dataset) == 9
    places = [dataset.get_source(i) for i in range(9)]
    assert places == [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (2, 1), (2, 2), (2, 3), (2, 4)]
    assert [dataset[i]["number"] for i in range(9)] == [0, 1, 2, 0, 0, 1, 2, 3, 4]
    for outside in (9, -1):
        with pytest.raises(IndexError, match=f"index {outside} is outside of its 9 samples"):
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


def test_metainfo_are_plain_values_and_those_of_a_single_source_stand_at_the_top():
    classes = {
        "classes": ("cat", "grass", "dog"),
        "thing_classes": ("cat", "dog"),
        "stuff_classes": ("grass",),
        "is_thing": (True, False, True),
    }
    entry = {"task": "semantic", "label_space": "animals", **classes}
    assert build(source("a", task="semantic")).metainfo == {"sources": {"a": entry}, **classes}
    assert build(source("a", task="semantic"), source("b", task="semantic")).metainfo == {
        "sources": {"a": entry, "b": entry}
    }


def test_datasets_get_the_classes_and_keep_their_other_metainfo():
    dataset = build(source(metainfo={"palette": [(0, 0, 0)]}))
    inner = dataset.datasets[0].metainfo
    assert inner["classes"] == ("cat", "grass", "dog")
    assert inner["thing_classes"] == ("cat", "dog")
    assert inner["palette"] == [(0, 0, 0)]
    with pytest.raises(ValueError, match=r"source 'a': metainfo key 'classes' .* label space 'animals'; remove it"):
        build(source(metainfo={"classes": ["cat"]}))


# ---- randomness


def test_augmentation_is_a_function_of_the_seed_and_leaves_the_generators_alone():
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


# ---- bad samples


def test_a_sample_without_result_is_replaced_by_another_of_its_source(log):
    pipeline = [{"type": "mmdataseg.FailOn", "numbers": [2]}]
    dataset = build(source("a", size=3), source("b", size=9, pipeline=pipeline))
    replaced = [dataset[SeededIndex(5, seed)] for seed in range(20)]
    assert {s["source"] for s in replaced} == {"b"}
    assert 2 not in {s["number"] for s in replaced}
    assert len({s["number"] for s in replaced}) > 3
    assert [s["number"] for s in replaced] == [dataset[SeededIndex(5, seed)]["number"] for seed in range(20)]
    assert all(s["sample_idx"] == s["number"] + 3 for s in replaced)
    assert dataset.num_replaced["a"] == 0
    assert dataset.num_replaced["b"] >= 40
    assert "source 'b', img/2.jpg: its pipeline returned no sample" in log[0]
    assert len(log) == 10  # then every hundredth


@pytest.mark.parametrize("idx", [SeededIndex(1, 9), 1])
def test_too_many_bad_samples_in_a_row_are_an_error(log, idx):
    dataset = build(source(pipeline=[{"type": "mmdataseg.FailOn"}]), max_refetch=3)
    with pytest.raises(ValueError, match=r"source 'a', img/\d.jpg: .*no sample\. 4 samples .* in a row"):
        dataset[idx]
    assert len(log) == dataset.num_replaced["a"] == 4


def test_in_testing_a_sample_without_result_is_an_error_at_once(log):
    dataset = build(source(split="test", pipeline=[{"type": "mmdataseg.FailOn", "numbers": [2]}]), split="test")
    assert dataset[1]["number"] == 1
    with pytest.raises(ValueError, match=r"source 'a', img/2.jpg: its pipeline returned no sample"):
        dataset[2]
    assert not log


def write_images(folder, broken=None, content=b"no image"):
    folder.mkdir()
    for i in range(4):
        path = folder / f"{i}.jpg"
        if i == broken:
            path.write_bytes(content)
        else:
            cv2.imwrite(str(path), np.full((8, 10, 3), 40 * i, np.uint8))
    return str(folder)


@pytest.mark.usefixtures("mmdet_scope")
@pytest.mark.parametrize("content", [b"no image", b""])
@pytest.mark.parametrize("backend", ["cv2", "pillow"])
@pytest.mark.parametrize("loader", ["LoadImageFromFile", "mmdataseg.LoadImage"])
def test_an_undecodable_image_is_replaced_in_training_and_named_in_testing(tmp_path, log, content, backend, loader):
    prefix = write_images(tmp_path / "images", broken=2, content=content)
    pipeline = [{"type": loader, "imdecode_backend": backend}]
    train = build(source(prefix=prefix, pipeline=pipeline))
    sample = train[SeededIndex(2, 4)]
    assert sample["number"] != 2
    assert sample["img"].shape == (8, 10, 3)
    assert f"{prefix}/2.jpg" in log[0]
    test = build(source(split="test", prefix=prefix, pipeline=pipeline), split="test")
    with pytest.raises((ValueError, OSError), match=r"source 'a'.*images/2\.jpg"):
        test[2]


@pytest.mark.usefixtures("mmdet_scope")
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_missing_image_is_an_error_at_once(tmp_path, split, log):
    prefix = write_images(tmp_path / "images")
    (tmp_path / "images" / "2.jpg").unlink()
    dataset = build(source(split=split, prefix=prefix, pipeline=[{"type": "LoadImageFromFile"}]), split=split)
    with pytest.raises(FileNotFoundError, match=r"source 'a'.*images/2\.jpg"):
        dataset[2]
    assert not log


@pytest.mark.parametrize(
    ("raised", "expected", "match"),
    [
        (ValueError("box has no width"), ValueError, r"^source 'a', img/2.jpg: box has no width$"),
        (ValueError("source 'a', img/2.jpg: said"), ValueError, r"^source 'a', img/2.jpg: said$"),
        (ValueError("img/2.jpg: said"), ValueError, r"^source 'a': img/2.jpg: said$"),
        (ValueError("source 'a': said"), ValueError, r"^img/2.jpg: source 'a': said$"),
        (KeyError("bbox"), ValueError, r"^source 'a', img/2.jpg: KeyError: 'bbox'$"),
        (AssertionError("shapes"), ValueError, r"img/2.jpg: AssertionError: shapes"),
        (TypeError("a list"), TypeError, r"source 'a', img/2.jpg: a list"),
        (RuntimeError("boom"), RuntimeError, r"source 'a', img/2.jpg: RuntimeError: boom"),
    ],
)
def test_a_mistake_in_the_annotation_is_not_hidden_by_a_replacement(raised, expected, match, log):
    dataset = build(source(pipeline=[{"type": "mmdataseg.FailOn", "numbers": [2], "error": raised}]))
    with pytest.raises(expected, match=match) as caught:
        dataset[SeededIndex(2, 0)]
    assert type(caught.value) is expected
    assert caught.value is raised or caught.value.__cause__ is raised
    assert not log


# ---- datasets of mmdet and mmseg


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


def coco_source(tmp_path, classes):
    space = {"name": "pets", "classes": classes, "is_thing": [True] * len(classes)}
    train = {
        "type": "mmdet.CocoDataset",
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
@pytest.mark.parametrize(
    ("classes", "match"),
    [
        (["cat", "dog"], r"source 'boxes', .*ann\.json: .* label 0 is 'dog', not 'cat' as in label space 'pets'"),
        (["dog", "cat", "horse"], r"source 'boxes', .*ann\.json: .* the file has no category 'horse'"),
    ],
)
def test_mmdet_dataset_that_would_mix_up_the_classes(tmp_path, classes, match):
    with pytest.raises(ValueError, match=match):
        build(coco_source(tmp_path, classes))


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


# ---- errors while building


def test_two_sources_of_one_name():
    with pytest.raises(ValueError, match="names must differ, 'a' stands 2 times"):
        build(source("a"), source("b"), source("a"))


def test_unknown_task():
    with pytest.raises(ValueError, match="source 'a': unknown task 'depth'"):
        build(source(task="depth"))


def test_unknown_key_of_a_source():
    with pytest.raises(TypeError, match="source 'a': unknown key 'ratio'"):
        build({**source(), "ratio": 4})


def test_unknown_key_of_a_dataset():
    with pytest.raises(TypeError, match=r"source 'a'.*'colour'"):
        build(source(colour="red"))


def test_unknown_key_of_the_wrapper():
    with pytest.raises(TypeError, match="seed"):
        build(source(), seed=3)


def test_unknown_dataset():
    with pytest.raises(ValueError, match=r"source 'a'.*NoSuchDataset is not in the"):
        build(source(type="mmdataseg.NoSuchDataset"))


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


def test_annotation_file_that_is_no_json(tmp_path):
    (tmp_path / "ann.json").write_text("<html>")
    train = {"type": "mmdet.CocoDataset", "ann_file": str(tmp_path / "ann.json"), "data_prefix": {"img": ""}}
    with pytest.raises(ValueError, match=r"source 'boxes'.*ann\.json.*Expecting value"):
        build({"name": "boxes", "task": "instance", "label_space": SPACE, "train": train})


def test_dataset_of_another_kind():
    with pytest.raises(ValueError, match="source 'a': a dict has no 'get_data_info'"):
        build(source(type=dict))
