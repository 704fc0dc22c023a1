"""The metrics of a source report under different names, and no score is lost."""

import json
import logging

import pytest
from mmengine.registry import METRICS

from mmdataseg.errors import UserError
from mmdataseg.evaluation.multi_source import MultiSourceEvaluator

from .samples import CLASSES, OrderMetric, pets, source


def test_a_prefix_tells_two_metrics_of_one_class_apart():
    quality = dict(type="mmdataseg.PanopticQualityMetric")
    evaluator = MultiSourceEvaluator(metrics=[source("pets", [quality, quality | dict(prefix="again")])])
    evaluator.process([pets(0)])
    values = evaluator.evaluate(1)
    assert values["pets/PQ"] == values["pets/again/PQ"] == 100


def test_a_metric_that_inherits_its_scores_from_another_one_is_refused_before_the_test():
    METRICS.register_module(module=type("SameScoresMetric", (OrderMetric,), {}), force=True)
    first, second = dict(type="OrderMetric"), dict(type="SameScoresMetric")
    for pair in ([first, second], [second, first]):
        names = " and ".join(metric["type"] for metric in pair)
        with pytest.raises(UserError, match=f"source 'pets': {names} would report under the same names; .* prefix='"):
            MultiSourceEvaluator(metrics=[source("pets", pair)])
    MultiSourceEvaluator(metrics=[source("pets", [first, second | dict(prefix="other")])])


def test_mask_ap_and_box_ap_of_one_source_need_no_prefix(tmp_path):
    path = tmp_path / "annotations.json"
    annotation = dict(id=1, image_id=0, category_id=1, bbox=[0, 0, 9, 9], segmentation=[[0, 0, 9, 0, 9, 9]])
    content = dict(images=[dict(id=0, height=9, width=9, file_name="0.jpg")], annotations=[annotation])
    path.write_text(json.dumps(content | dict(categories=[dict(id=1, name=CLASSES[0])])))
    masks = dict(type="mmdataseg.InstanceMetric", ann_file=str(path))
    MultiSourceEvaluator(metrics=[source("pets", [masks, masks | dict(boxes=True)], task="instance")])
    with pytest.raises(UserError, match="two InstanceMetric would report under the same names"):
        MultiSourceEvaluator(metrics=[source("pets", [masks, masks | dict(classwise=True)], task="instance")])


def test_names_that_clash_after_the_test_lose_no_score(log):
    """The later metrics get the prefix that the user could have given; a baseline stays with its metric."""

    @METRICS.register_module(force=True)
    class ClashingMetric(OrderMetric):
        def compute_metrics(self, results):
            return dict(order=1.0 + len(results), order_chance=0.5, own=2.0)

    @METRICS.register_module(force=True)
    class PrefixedMetric(OrderMetric):
        def compute_metrics(self, results):  # noqa: ARG002
            return {"ClashingMetric/own": 3.0}

    @METRICS.register_module(name="ThirdMetric", force=True)
    class ThirdMetric(OrderMetric):
        def compute_metrics(self, results):  # noqa: ARG002
            return dict(order=4.0)

    ThirdMetric.__name__ = "ClashingMetric"
    kinds = ("OrderMetric", "PrefixedMetric", "ClashingMetric", "ThirdMetric")
    evaluator = MultiSourceEvaluator(metrics=[source("pets", [dict(type=kind) for kind in kinds])])
    evaluator.process([pets(2)])
    assert evaluator.evaluate(1) == {
        "pets/order": 2.0,
        "pets/classes": 4.0,
        "pets/results": 2.0,
        "pets/ClashingMetric/own": 3.0,
        "pets/ClashingMetric2/order": 3.0,
        "pets/ClashingMetric2/order_chance": 0.5,
        "pets/ClashingMetric2/own": 2.0,
        "pets/ClashingMetric/order": 4.0,
    }
    warnings = [message for level, message in log if level == logging.WARNING]
    assert warnings == [
        f"source 'pets': OrderMetric and ClashingMetric both report 'order'; the scores of the latter are named "
        f"'{prefix}/...'. To choose the name, give one of them a prefix, prefix='...'"
        for prefix in ("ClashingMetric2", "ClashingMetric")
    ]
    row = next(line for line in log[-1][1].splitlines() if "ClashingMetric2/order" in line)
    assert "0.50 (chance)" in row
