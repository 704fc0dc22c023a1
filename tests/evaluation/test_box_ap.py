"""Average precision of boxes, for annotations without masks."""

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric

from mmdataseg.errors import UserError
from mmdataseg.evaluation.instance import InstanceMetric
from mmdataseg.formats.mask_annotations import read_box_annotations

from .samples import CLASSES, instances, score

NAMES = {"box_AP", "box_AP50", "box_AP75", "box_AP_s", "box_AP_m", "box_AP_l"}


@pytest.fixture
def annotate(tmp_path):
    """Write COCO annotations without masks: (image id, class name, xyxy box) each."""

    def write(truth, categories=CLASSES, **more):
        content = {
            "images": [{"id": i, "height": 64, "width": 64, "file_name": f"{i}.jpg"} for i in range(3)],
            "categories": [{"id": 10 + 7 * i, "name": name} for i, name in enumerate(categories)],
            "annotations": [
                {"id": number, "image_id": image, "category_id": 10 + 7 * categories.index(name), **boxed(box), **more}
                for number, (image, name, box) in enumerate(truth, start=1)
            ],
        }
        (tmp_path / "boxes.json").write_text(json.dumps(content))
        return str(tmp_path / "boxes.json")

    return write


def boxed(box):
    x1, y1, x2, y2 = box
    return {"bbox": [x1, y1, x2 - x1, y2 - y1]}


def found(boxes, labels, scores=None, img_id=0):
    """A sample with detections whose masks are never read."""
    sample = instances(torch.zeros(len(boxes), 64, 64), labels, scores, img_id=img_id)
    sample.pred_instances.bboxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return sample


DOG, CAT = [4, 4, 24, 24], [30, 10, 60, 50]


@pytest.mark.parametrize("categories", [CLASSES, CLASSES[::-1]])
def test_boxes_that_are_found_exactly(annotate, categories):
    path = annotate([(0, "dog", DOG), (0, "cat", CAT)], categories)
    got = score(InstanceMetric(ann_file=path, boxes=True), [found([DOG, CAT], [0, 1])])
    assert got["box_AP"] == got["box_AP50"] == got["box_AP75"] == 100
    assert set(got) == NAMES
    assert score(InstanceMetric(ann_file=path, boxes=True), [found([DOG, CAT], [1, 0])])["box_AP"] == 0


def test_a_case_by_hand(annotate):
    """The dog's box of 20 x 20 is found as 20 x 26: IoU 20 / 26 = 0.77, a hit at 6 of 10 thresholds."""
    path = annotate([(0, "dog", DOG), (0, "cat", CAT)])
    got = score(InstanceMetric(ann_file=path, boxes=True, classwise=True), [found([[4, 4, 24, 30], CAT], [0, 1])])
    assert (got["box_AP/dog"], got["box_AP/cat"], got["box_AP"]) == (60, 100, 80)


def test_it_equals_mmdets(annotate):
    rng = np.random.default_rng(0)

    def box():
        corner, size = rng.integers(0, 30, 2), rng.integers(8, 34, 2)
        return [*corner.tolist(), *(corner + size).tolist()]

    truth = [(image, CLASSES[label], box()) for image in range(3) for label in rng.integers(0, 4, 4)]
    path = annotate(truth, area=300, iscrowd=0)
    samples = []
    for image in range(3):
        own = [(name, (np.array(box) + rng.integers(-3, 4, 4)).tolist()) for i, name, box in truth if i == image]
        labels = [CLASSES.index(name) for name, _ in own]
        samples.append(found([box for _, box in own], labels, rng.uniform(size=len(own)).tolist(), img_id=image))
    with redirect_stdout(StringIO()):
        expected = score(CocoMetric(ann_file=path, metric="bbox"), samples)
    got = score(InstanceMetric(ann_file=path, boxes=True), samples)
    for ours, theirs in (("", ""), ("50", "_50"), ("75", "_75"), ("_s", "_s")):
        assert got[f"box_AP{ours}"] == pytest.approx(100 * expected[f"coco/bbox_mAP{theirs}"], abs=0.06)
    assert 5 < got["box_AP"] < 95


def test_masks_are_not_kept(annotate):
    metric = InstanceMetric(ann_file=annotate([(0, "dog", DOG)]), boxes=True)
    score(metric, [found([DOG], [0])])
    metric.process(None, [found([DOG], [0]).to_dict()])
    assert "masks" not in metric.results[0][1]


def test_no_detection_at_all_is_zero_and_nothing_to_find_is_nan(annotate):
    got = score(InstanceMetric(ann_file=annotate([(0, "dog", DOG)]), boxes=True), [found([], [])])
    assert got["box_AP"] == got["box_AP50"] == 0
    got = score(InstanceMetric(ann_file=annotate([]), boxes=True), [found([DOG], [0])])
    assert np.isnan(list(got.values())).all()


def test_a_detection_in_a_crowd_region_is_not_counted(annotate, tmp_path):
    path = annotate([(0, "dog", DOG), (0, "dog", CAT)])
    content = json.loads((tmp_path / "boxes.json").read_text())
    content["annotations"][1]["iscrowd"] = 1
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    got = score(InstanceMetric(ann_file=path, boxes=True), [found([CAT, DOG], [0, 0], scores=[0.9, 0.8])])
    assert got["box_AP"] == 100


def test_boxes_of_the_file_are_not_rounded(annotate):
    path = annotate([(0, "dog", DOG)], bbox=[0.1, 0.2, "10.3", 20.7])
    (annotation,) = read_box_annotations(Path(path))["annotations"]
    assert annotation["bbox"] == [0.1, 0.2, 10.3, 20.7]
    assert annotation["area"] == 10.3 * 20.7


def test_masks_in_the_file_do_not_matter(annotate):
    path = annotate([(0, "dog", DOG)], segmentation=[[0, 0, 1, 0, 1, 1]])
    assert score(InstanceMetric(ann_file=path, boxes=True), [found([DOG], [0])])["box_AP"] == 100


def test_bad_input(annotate):
    path = annotate([(0, "dog", DOG)])
    with pytest.raises(UserError, match=r"fill_boxes scores masks, but boxes=True; leave one of them out"):
        InstanceMetric(ann_file=path, boxes=True, fill_boxes=True)
    with pytest.raises(UserError, match=r"1 annotation has no mask, e\.g\. annotation 1; use annotations with 'segm"):
        InstanceMetric(ann_file=path)
    with pytest.raises(UserError, match=r"annotation has no box, e\.g\. annotation 1; use annotations with 'bbox'"):
        InstanceMetric(ann_file=annotate([(0, "dog", DOG)], bbox=None), boxes=True)
    with pytest.raises(UserError, match=r"annotation 1 cannot be read \('bbox': expected four numbers"):
        InstanceMetric(ann_file=annotate([(0, "dog", DOG)], bbox=[1, 2, 3]), boxes=True)
    with pytest.raises(UserError, match=r"annotation 1 cannot be read \('bbox': .* an extent of at least 0, got \[9"):
        InstanceMetric(ann_file=annotate([(0, "dog", [9, 9, 4, 12])]), boxes=True)
    sample = found([DOG], [0])
    del sample.pred_instances.bboxes
    with pytest.raises(UserError, match="no bboxes in 'pred_instances'; average precision needs a source whose task"):
        score(InstanceMetric(ann_file=annotate([(0, "dog", DOG)]), boxes=True), [sample])
