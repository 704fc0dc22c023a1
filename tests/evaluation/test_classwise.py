"""The scores of each class: of every metric of the package, by its own setting or by that of the evaluator."""

import json
import math
import sys

import numpy as np
import pytest
from mmdet.evaluation import CocoMetric
from pycocotools import mask as mask_api

from mmdataseg.evaluation.instance import InstanceMetric
from mmdataseg.evaluation.multi_source import MultiSourceEvaluator

from .samples import LABEL_SPACE, OrderMetric, instances, panoptic, score, semantic

LEFT, RIGHT, ALL = np.zeros((3, 64, 64), bool)
LEFT[:, :32], RIGHT[:, 32:], ALL[:] = True, True, True
CATEGORIES = {"sky": 4, "cat": 30, "dog": 7}  # neither in the order of the label space nor in that of their ids


@pytest.fixture
def ann_file(tmp_path):
    """A dog, left, and a cat, right; no object of any other class."""
    annotations = []
    for number, (name, mask) in enumerate([("dog", LEFT), ("cat", RIGHT)], start=1):
        rle = mask_api.encode(np.asfortranarray(mask.astype(np.uint8)))
        rle["counts"] = rle["counts"].decode()
        annotations.append({"id": number, "image_id": 0, "category_id": CATEGORIES[name], "segmentation": rle})
    content = {
        "images": [{"id": 0, "height": 64, "width": 64, "file_name": "0.jpg"}],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in CATEGORIES.items()],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    return str(tmp_path / "instances.json")


@pytest.mark.parametrize("evaluator", ["pycocotools", "hotcoco"])
def test_mask_ap_of_each_class_by_hand(ann_file, evaluator, monkeypatch):
    """The dog is found exactly. The cat's mask covers the image: IoU 0.5, a hit at the first of ten thresholds."""
    if evaluator == "pycocotools":
        monkeypatch.setitem(sys.modules, "hotcoco", None)
    else:
        pytest.importorskip("hotcoco")
    got = score(InstanceMetric(ann_file=ann_file, classwise=True), [instances([LEFT, ALL], [0, 1], img_id=0)])
    assert (got["mask_AP/dog"], got["mask_AP/cat"]) == (100, 10)
    assert got["mask_AP"] == 55
    assert math.isnan(got["mask_AP/sky"])
    assert "mask_AP/grass" not in got  # the file has no such category


def test_only_the_scored_classes_are_reported(ann_file):
    metric = InstanceMetric(ann_file=ann_file, classes=["cat"], classwise=True, prefix="cats")
    got = score(metric, [instances([LEFT, RIGHT], [0, 1], img_id=0)])
    assert {name: value for name, value in got.items() if name.count("/") == 2} == {"cats/mask_AP/cat": 100}


def source_of(name, task, metrics):
    return {"name": name, "task": task, "label_space": LABEL_SPACE, "test": {"type": "Any"}, "metrics": metrics}


@pytest.mark.parametrize("classwise", [False, True])
def test_the_evaluator_switches_all_metrics(ann_file, classwise):
    sources = [
        source_of("pets", "panoptic", [{"type": "mmdataseg.PanopticQualityMetric"}]),
        source_of("maps", "semantic", [{"type": "mmdataseg.SemanticMetric"}]),
        source_of(
            "things", "instance", [{"type": "mmdataseg.InstanceMetric", "ann_file": ann_file, "classes": ["dog"]}]
        ),
    ]
    evaluator = MultiSourceEvaluator(metrics=sources, classwise=classwise)
    evaluator.process(
        [
            panoptic([[0, 0]], [0], [[1000, 1000]], source="pets", sample_idx=0),
            semantic([[0, 0]], [0], [[0, 0]], source="maps", sample_idx=1),
            instances([LEFT], [0], source="things", sample_idx=2, img_id=0),
        ]
    )
    got = evaluator.evaluate(3)
    of_dogs = {"pets/PQ/dog": 100.0, "maps/IoU/dog": 100.0, "things/mask_AP/dog": 100.0}
    assert {name: value for name, value in got.items() if name.endswith("/dog")} == (of_dogs if classwise else {})


class PassingOn(InstanceMetric):
    """As users write it: what it does not know is its base's."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.at_start = self.classwise


class WithoutClasses(OrderMetric):
    """It has the attribute, and its constructor does not take it."""

    classwise = False


@pytest.mark.parametrize("classwise", [False, True])
def test_metrics_of_others_are_built_with_it_if_they_take_it(ann_file, classwise):
    """It reaches the constructor: nothing is changed in a metric that is built."""
    metrics = [
        {"type": PassingOn, "ann_file": ann_file},
        {"type": CocoMetric, "ann_file": ann_file, "metric": "proposal"},
        {"type": WithoutClasses},
    ]
    label_space = {"name": "in order", "classes": tuple(CATEGORIES), "is_thing": (True,) * 3}
    source = source_of("things", "instance", metrics) | {"label_space": label_space}
    passing_on, of_mmdet, other = MultiSourceEvaluator(metrics=[source], classwise=classwise).metrics
    assert passing_on.at_start == passing_on.classwise == of_mmdet.classwise == classwise
    assert other.classwise is False


def test_a_metric_that_asks_for_its_classes_keeps_them():
    sources = [source_of("maps", "semantic", [{"type": "mmdataseg.SemanticMetric", "classwise": True}])]
    evaluator = MultiSourceEvaluator(metrics=sources)
    evaluator.process([semantic([[0, 0]], [0], [[0, 0]], source="maps", sample_idx=0)])
    assert evaluator.evaluate(1)["maps/IoU/dog"] == 100
