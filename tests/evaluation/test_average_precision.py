"""Average precision of masks: hotcoco's numbers are pycocotools' to the last digit."""

import sys
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
from pycocotools import mask as mask_api
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmdataseg.evaluation.average_precision import (
    by_category,
    fast_evaluator,
    precision_at_recalls,
    summary,
)

SIZE = 96
EVALUATORS = {"pycocotools": None, "hotcoco": fast_evaluator()}
each_evaluator = pytest.mark.parametrize("name", EVALUATORS)


def evaluator(name):
    if EVALUATORS[name] is None and name != "pycocotools":
        pytest.skip(f"{name} is not installed")
    return EVALUATORS[name]


def average_precision(truth, found, **options):
    return summary(precision_at_recalls(truth, found, **options))


def index(images, annotations, categories):
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image, "height": SIZE, "width": SIZE} for image in images],
        "annotations": [{"id": number, **entry} for number, entry in enumerate(annotations, start=1)],
        "categories": [{"id": category, "name": str(category)} for category in categories],
    }
    with redirect_stdout(StringIO()):
        coco.createIndex()
    return coco


def disc(rng):
    y, x = np.mgrid[:SIZE, :SIZE]
    centre = rng.integers(0, SIZE, 2)
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < rng.integers(3, 45) ** 2


def encoded(mask):
    return mask_api.encode(np.asfortranarray(mask.astype(np.uint8)))


def entry(image, category, mask, **more):
    rle = encoded(mask)
    area = float(mask_api.area(rle))
    return {"image_id": image, "category_id": category, "segmentation": rle, "area": area, "iscrowd": 0, **more}


def generated(seed, *, images, crowds, per_object=3, false_alarms=5):
    """Annotations and detections with rounded scores, so that many are the same; every third truth is a polygon."""
    rng, categories = np.random.default_rng(seed), (3, 17, 5)
    truth, found = [], []
    for image in images:
        for _ in range(int(rng.integers(0, 8))):
            mask, category = disc(rng), int(rng.choice(categories))
            truth.append(entry(image, category, mask, iscrowd=int(rng.random() < crowds)))
            if len(truth) % 3 == 0 and not truth[-1]["iscrowd"]:
                x, y, w, h = mask_api.toBbox(truth[-1]["segmentation"]).tolist()
                truth[-1]["segmentation"] = [[x, y, x + w, y + 0.3, x + w / 2, y + h], [x, y, x + 9.5, y, x, y + 7]]
            for _ in range(int(rng.integers(0, per_object + 1))):
                shifted = np.roll(mask, tuple(rng.integers(-4, 5, 2)), (0, 1))
                other = category if rng.random() < 0.8 else int(rng.choice(categories))
                found.append(entry(image, other, shifted, score=round(rng.random(), 1)))
        for _ in range(false_alarms):
            found.append(entry(image, int(rng.choice(categories)), disc(rng), score=round(rng.random(), 1)))
    return index(images, truth, categories), found


@each_evaluator
def test_a_case_worked_out_by_hand(name):
    """Two objects, one found: precision 1 up to recall 0.5, i.e. at 51 of 101 recalls. Nothing is small."""
    left, right = np.zeros((2, SIZE, SIZE), bool)
    left[:48, :48], right[48:, 48:] = True, True
    truth = index([1], [entry(1, 3, left), entry(1, 3, right)], [3])
    found = [entry(1, 3, left, score=0.5)]
    values = average_precision(truth, found, image_ids=[1], category_ids=[3], evaluator=evaluator(name))
    np.testing.assert_allclose(values, [51 / 101, 51 / 101, 51 / 101, -1, 51 / 101, -1], atol=1e-12)


def summarized(truth, found, *, image_ids, category_ids):
    """What pycocotools itself reports."""
    with redirect_stdout(StringIO()):
        result = COCOeval(truth, truth.loadRes([dict(one) for one in found]), "segm")
        result.params.imgIds, result.params.catIds = image_ids, category_ids
        result.params.maxDets = [100, 300, 1000]
        result.evaluate()
        result.accumulate()
        result.summarize()
    return result.stats[:6]


def check_same(name, truth, found, **scored):
    """Equal to the last bit. Return the values."""
    expected = summarized(truth, found, **scored)
    values = average_precision(truth, found, **scored, evaluator=evaluator(name))
    assert values.tobytes() == expected.tobytes()
    return values


@each_evaluator
@pytest.mark.parametrize("crowds", [0.0, 0.2, 0.6])
@pytest.mark.parametrize("seed", range(8))
def test_the_numbers_are_pycocotools_to_the_last_digit(seed, crowds, name):
    """With crowds, ties, polygons, text as image ids in another order, and images and categories left out."""
    numbers = [7 * number % 12 for number in range(12)]
    images = [f"image {number}" for number in numbers] if seed % 2 else [900_000_000_000 - n for n in numbers]
    truth, found = generated(seed, images=images, crowds=crowds)
    found = [one for one in found if one["image_id"] in images[1:] and one["category_id"] in (17, 3)]
    values = check_same(name, truth, found, image_ids=images[1:], category_ids=[17, 3])
    assert 0 < values[0] < 1


@each_evaluator
@pytest.mark.parametrize("seed", range(4))
def test_each_category_has_the_value_that_it_has_alone(seed, name):
    """In the order of the ids, whatever the order that was asked for; their mean is the value of all."""
    truth, found = generated(seed, images=[1, 2, 3, 4], crowds=0.2)
    scored = dict(image_ids=[1, 2, 3, 4], evaluator=evaluator(name))
    precision = precision_at_recalls(truth, found, category_ids=[17, 3, 5], **scored)
    values = by_category(precision)
    of_each = {category: [one for one in found if one["category_id"] == category] for category in (3, 5, 17)}
    alone = [average_precision(truth, own, category_ids=[c], **scored)[0] for c, own in of_each.items()]
    np.testing.assert_allclose(values, alone, rtol=0, atol=1e-12)
    np.testing.assert_allclose(values[values >= 0].mean(), summary(precision)[0], rtol=0, atol=1e-12)


@each_evaluator
def test_they_are_the_same_with_more_detections_than_count(name):
    truth, found = generated(0, images=[1, 2], crowds=0.2, false_alarms=1_100)
    check_same(name, truth, found, image_ids=[1, 2], category_ids=[3, 5, 17])


@each_evaluator
def test_the_order_of_the_images_does_not_matter_and_a_wrong_class_is_worth_nothing(name):
    truth, found = generated(1, images=[1, 2, 3], crowds=0.1)
    scored = {"category_ids": [3, 5, 17], "evaluator": evaluator(name)}
    values = average_precision(truth, found, image_ids=[1, 2, 3], **scored)
    other = average_precision(truth, found[::-1], image_ids=[3, 1, 2], **scored)
    assert 0 < values[0] < 1
    np.testing.assert_allclose(values[1], other[1], atol=0.05)  # only the order of ties differs
    empty = [entry(1, 3, np.zeros((SIZE, SIZE), bool), score=0.5)]
    nothing = average_precision(truth, empty, image_ids=[1, 2, 3], **scored)
    assert nothing[0] == 0


def test_without_hotcoco_pycocotools_is_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "hotcoco", None)
    assert fast_evaluator() is None
