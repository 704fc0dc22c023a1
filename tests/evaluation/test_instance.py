import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric
from pycocotools import mask as mask_api

from mmdataseg.evaluation.instance import InstanceMetric

from .samples import CLASSES, META, instances, panoptic, score


def disc(size=64, centre=(32, 32), outer=24.0, inner=0.0):
    y, x = np.mgrid[:size, :size]
    radius = np.hypot(y + 0.5 - centre[0], x + 0.5 - centre[1])
    return (radius <= outer) & (radius >= inner)


def rle(mask):
    encoded = mask_api.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(encoded, counts=encoded["counts"].decode())


@pytest.fixture
def annotate(tmp_path):
    """Write COCO annotations: one (image id, class name, mask) each; categories in the order given."""

    def write(truth, categories=CLASSES, num_images=3, size=64):
        ids = {name: 10 + 7 * i for i, name in enumerate(categories)}
        content = dict(
            info={},
            images=[dict(id=i, width=size, height=size, file_name=f"{i}.jpg") for i in range(num_images)],
            categories=[dict(id=ids[name], name=name) for name in categories],
            annotations=[
                dict(
                    id=number + 1,
                    image_id=image,
                    category_id=ids[name],
                    segmentation=rle(mask),
                    area=int(mask.sum()),
                    bbox=mask_api.toBbox(rle(mask)).tolist(),
                    iscrowd=0,
                )
                for number, (image, name, mask) in enumerate(truth)
            ],
        )
        path = tmp_path / "instances.json"
        path.write_text(json.dumps(content))
        return str(path)

    return write


BIG, LEFT, RIGHT = disc(), disc(centre=(32, 16), outer=12), disc(centre=(32, 48), outer=12)
TRUTH = [(0, "dog", LEFT), (0, "cat", RIGHT), (1, "cat", BIG)]


@pytest.mark.parametrize("categories", [CLASSES, CLASSES[::-1], ("cat", "dog"), (" cat", "sky ", "dog")])
def test_labels_are_matched_to_categories_by_name(annotate, categories):
    truth = [(image, next(c for c in categories if c.strip() == name), mask) for image, name, mask in TRUTH]
    metric = InstanceMetric(ann_file=annotate(truth, categories))
    samples = [instances([LEFT, RIGHT], [0, 1], img_id=0), instances([BIG], [1], img_id=1)]
    got = score(metric, samples)
    assert got["mask_AP"] == got["mask_AP50"] == got["mask_AP75"] == 100
    assert set(got) == {"mask_AP", "mask_AP50", "mask_AP75", "mask_AP_s", "mask_AP_m", "mask_AP_l"}
    swapped = [instances([LEFT, RIGHT], [1, 0], img_id=0), instances([BIG], [0], img_id=1)]
    assert score(metric, swapped)["mask_AP"] == 0


def test_a_ring_beats_its_filled_box(annotate):
    """A disc of radius 24 fills its box of 48 x 48 to pi / 4, a ring of radii 16 and 24 to pi / 4 x 5 / 9."""
    ring = disc(inner=16)
    assert ring.sum() == pytest.approx(np.pi * (24**2 - 16**2), rel=0.02)
    metric = InstanceMetric(ann_file=annotate([(0, "dog", ring), (1, "cat", BIG)]), fill_boxes=True)
    got = score(metric, [instances([ring], [0], img_id=0), instances([BIG], [1], img_id=1)])
    assert got["mask_AP"] == 100
    # IoU with the box: ring 0.44, no hit at all; disc 0.785, a hit at 0.50, 0.55 .. 0.75: 6 of 10 thresholds
    assert got["mask_AP_filled_boxes"] == pytest.approx(100 * (0 + 0.6) / 2)
    assert got["mask_AP50_filled_boxes"] == 50
    assert got["mask_AP75_filled_boxes"] == 50
    assert sum(name.endswith("_filled_boxes") for name in got) == 3


def test_filled_boxes_are_exact_and_an_empty_mask_stays_empty(annotate):
    box = np.zeros((64, 64), bool)
    box[5:20, 7:60] = True
    corner = np.zeros_like(box)
    corner[5, 7:60] = corner[5:20, 59] = True
    metric = InstanceMetric(ann_file=annotate([(0, "dog", box)]), fill_boxes=True)
    got = score(metric, [instances([np.zeros_like(box), corner], [0, 0], scores=[0.9, 0.8], img_id=0)])
    assert got["mask_AP"] == 0
    assert got["mask_AP_filled_boxes"] == pytest.approx(50, abs=1)  # found at full IoU, behind one false alarm


def test_it_equals_mmdets_if_the_file_has_the_order_of_the_labels(annotate):
    rng = np.random.default_rng(0)

    def around():
        return disc(centre=rng.integers(20, 44, 2), outer=rng.uniform(8, 20))

    truth = [(image, CLASSES[label], around()) for image in range(3) for label in rng.integers(0, 4, 4)]
    samples = []
    for image in range(3):
        found = [(CLASSES.index(name), np.roll(mask, rng.integers(-6, 7, 2), (0, 1))) for i, name, mask in truth]
        labels, masks = zip(*found, strict=True)
        samples.append(instances(list(masks), list(labels), scores=rng.uniform(size=len(found)).tolist(), img_id=image))
    path = annotate(truth)
    got, expected = (
        score(InstanceMetric(ann_file=path), samples),
        score(CocoMetric(ann_file=path, metric="segm"), samples),
    )
    for ours, theirs in (("", ""), ("50", "_50"), ("75", "_75"), ("_s", "_s"), ("_m", "_m")):
        assert got[f"mask_AP{ours}"] == pytest.approx(100 * expected[f"coco/segm_mAP{theirs}"], abs=0.06)
    assert 5 < got["mask_AP"] < 95


def test_the_file_is_parsed_once(annotate, monkeypatch):
    path = annotate(TRUTH)
    parsed, loads = [], json.loads  # json.load calls it too
    monkeypatch.setattr(json, "loads", lambda text, **options: (parsed.append(text), loads(text, **options))[1])
    InstanceMetric(ann_file=path)
    assert parsed == [Path(path).read_text()]


def test_classes_restrict_what_is_scored(annotate):
    ann_file = annotate(TRUTH)
    # the dog is found, the cats are not
    samples = [instances([LEFT, LEFT], [0, 1], img_id=0), instances([LEFT], [1], img_id=1)]
    assert score(InstanceMetric(ann_file=ann_file), samples)["mask_AP"] == 50
    assert score(InstanceMetric(ann_file=ann_file, classes=["dog"]), samples)["mask_AP"] == 100
    assert score(InstanceMetric(ann_file=ann_file, classes=["cat "]), samples)["mask_AP"] == 0
    with pytest.raises(ValueError, match="cannot score class 'cow', which is not in the label space"):
        score(InstanceMetric(ann_file=ann_file, classes=["cow"]), samples)


def test_only_the_images_that_were_tested_are_scored(annotate):
    metric = InstanceMetric(ann_file=annotate(TRUTH))
    assert score(metric, [instances([LEFT, RIGHT], [0, 1], img_id=0)])["mask_AP"] == 100


def nothing(img_id):
    return instances(torch.zeros(0, 64, 64), [], img_id=img_id)


def test_images_without_detections(annotate):
    metric = InstanceMetric(ann_file=annotate(TRUTH))
    got = score(metric, [nothing(1), instances([LEFT, RIGHT], [0, 1], img_id=0), nothing(2)])
    # the dog is found, and one cat of two: precision 1 up to recall 0.5, 51 of 101 points
    assert got["mask_AP"] == pytest.approx(100 * (1 + 51 / 101) / 2, abs=0.1)


def test_no_detection_at_all_is_zero(annotate):
    got = score(InstanceMetric(ann_file=annotate(TRUTH), fill_boxes=True), [nothing(0), nothing(1)])
    assert got["mask_AP"] == got["mask_AP50"] == got["mask_AP_filled_boxes"] == 0


@pytest.mark.parametrize("detections", [nothing(0), instances([LEFT], [0], img_id=0)])
def test_nothing_to_find_is_nan(annotate, detections):
    got = score(InstanceMetric(ann_file=annotate([])), [detections])
    assert np.isnan(list(got.values())).all()


def test_masks_are_kept_encoded(annotate):
    metric = InstanceMetric(ann_file=annotate(TRUTH))
    metric.dataset_meta = META
    metric.process(None, [instances([LEFT, RIGHT], [0, 1], img_id=0).to_dict()])
    masks = metric.results[0][1]["masks"]
    assert all(isinstance(mask["counts"], bytes) for mask in masks)
    assert np.array_equal(mask_api.decode(masks[0]).astype(bool), LEFT)


def test_an_unknown_image_is_refused(annotate):
    metric = InstanceMetric(ann_file=annotate(TRUTH))
    with pytest.raises(ValueError, match=r"source 'pets', a.jpg: image id 99 is not in .*instances\.json"):
        score(metric, [instances([LEFT], [0], img_id=99, source="pets", img_path="a.jpg")])


def test_a_prediction_without_masks_is_refused(annotate):
    metric = InstanceMetric(ann_file=annotate(TRUTH))
    with pytest.raises(ValueError, match="no masks in 'pred_instances'"):
        score(metric, [panoptic([[0]], [0], [[1000]])])


def test_annotations_of_classes_outside_the_label_space_are_refused(annotate):
    metric = InstanceMetric(ann_file=annotate([*TRUTH, (2, "cow", BIG)], (*CLASSES, "cow")))
    with pytest.raises(ValueError, match=r"annotations of class 'cow', which is not in the label space .*; use"):
        score(metric, [instances([LEFT], [0], img_id=0)])


def test_a_file_with_none_of_the_classes_is_refused(annotate):
    metric = InstanceMetric(ann_file=annotate([], ("cow", "hen")))
    with pytest.raises(ValueError, match=r"has none of the 4 classes to score .*\['cow', 'hen'\]"):
        score(metric, [instances([LEFT], [0], img_id=0)])


def test_bad_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"annotation file .*nowhere\.json' does not exist; .*set ann_file in"):
        InstanceMetric(ann_file=str(tmp_path / "nowhere.json"))
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match=r"bad\.json': not valid JSON"):
        InstanceMetric(ann_file=str(tmp_path / "bad.json"))
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ValueError, match=r"list\.json': expected a JSON object with the keys \['images'"):
        InstanceMetric(ann_file=str(tmp_path / "list.json"))


def test_a_metric_without_classes_is_refused(annotate):
    with pytest.raises(ValueError, match="does not know its classes"):
        InstanceMetric(ann_file=annotate(TRUTH)).compute_metrics([])


@pytest.mark.parametrize("missing", ["iscrowd", "area"])
def test_what_not_every_tool_writes_is_filled_in(annotate, missing):
    path = annotate(TRUTH)
    samples = [instances([LEFT], [0], img_id=0), instances([BIG], [1], img_id=1)]
    expected = score(InstanceMetric(ann_file=path), samples)
    content = json.loads(Path(path).read_text())
    for annotation in content["annotations"]:
        del annotation[missing]
    Path(path).write_text(json.dumps(content))
    assert score(InstanceMetric(ann_file=path), samples) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("segmentation", [[[1, 2, 3, 4]], [[]]])
def test_a_mask_that_cannot_be_read_is_named(annotate, segmentation):
    path = annotate(TRUTH)
    content = json.loads(Path(path).read_text())
    del content["annotations"][1]["area"]
    content["annotations"][1]["segmentation"] = segmentation
    Path(path).write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=r"instances\.json': the mask of annotation 2 cannot be read .*; repair or remove"
    ):
        InstanceMetric(ann_file=path)
