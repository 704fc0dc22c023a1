"""mmdet's metrics read labels in the order of the categories of their file."""

import json

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmdataseg.errors import UserError
from mmdataseg.evaluation import MultiSourceEvaluator

NAMES = ("cat", "dog", "cow")


@pytest.fixture
def evaluator(tmp_path, request):
    """Build an evaluator of mmdet's box AP over a source with the given classes."""
    init_default_scope("mmdet")
    content = {
        "images": [{"id": 1, "height": 40, "width": 40, "file_name": "a.jpg"}],
        "categories": [{"id": number, "name": name} for number, name in enumerate(getattr(request, "param", NAMES))],
        "annotations": [
            {"id": k + 1, "image_id": 1, "category_id": k, "bbox": [5 * k, 5 * k, 10, 10], "area": 100, "iscrowd": 0}
            for k in range(2)
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))

    def build(classes, kind="mmdet.CocoMetric", **options):
        metric = {"type": kind, "ann_file": str(tmp_path / "a.json"), **options}
        space = {"name": "pets", "classes": classes, "is_thing": [True] * len(classes)}
        source = {"name": "a", "task": "instance", "label_space": space, "test": {}, "metrics": [metric]}
        return MultiSourceEvaluator(metrics=[source])

    return build


@pytest.mark.parametrize("classes", [NAMES, NAMES[:2]])
def test_perfect_boxes_score_1_in_the_order_of_the_file(evaluator, classes):
    metrics = evaluator(classes, metric="bbox")
    sample = DetDataSample(metainfo={"source": "a", "sample_idx": 0, "img_id": 1, "ori_shape": (40, 40)})
    boxes = torch.tensor([[0.0, 0, 10, 10], [5, 5, 15, 15]])
    sample.pred_instances = InstanceData(bboxes=boxes, scores=torch.ones(2), labels=torch.arange(2))
    metrics.process([sample])
    assert metrics.evaluate(1)["a/coco/bbox_mAP"] == 1


@pytest.mark.parametrize("evaluator", [("cat", "dog", "cat")], indirect=True)
def test_a_category_that_appears_twice_is_refused(evaluator):
    with pytest.raises(UserError, match=r"CocoMetric numbers classes .*, and category 'cat' appears twice in the file"):
        evaluator(("cat", "dog"), metric="bbox")


@pytest.mark.parametrize(
    ("classes", "match"),
    [
        (("dog", "cat"), "label 0 is 'cat' there, and 'dog' in label space 'pets'; give the label space the order"),
        (("cat", "horse", "dog"), "the file has no category 'horse'"),
    ],
)
def test_another_order_is_refused(evaluator, classes, match):
    """Perfect boxes scored 0."""
    with pytest.raises(UserError, match=rf"source 'a': '.*a\.json': CocoMetric numbers classes .*, and {match}"):
        evaluator(classes, metric="bbox")


def test_ours_takes_any_order(evaluator, tmp_path):
    content = json.loads((tmp_path / "a.json").read_text())
    for annotation in content["annotations"]:
        annotation["segmentation"] = [[0, 0, 9, 0, 9, 9]]
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert evaluator(("dog", "cat"), "mmdataseg.InstanceMetric").metrics
