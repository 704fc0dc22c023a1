"""Perfect predictions score 100 in every exporter's variant; annotations that cannot be read are refused at once."""

import json

import numpy as np
import pytest

from mmdataseg.errors import UserError
from mmdataseg.evaluation.instance import InstanceMetric
from mmdataseg.evaluation.multi_source import MultiSourceEvaluator
from mmdataseg.formats.masks import describe_mask

from .samples import instances, score

META = dict(classes=("car", "bike"), is_thing=(True, True), source="street")
SIZE = (48, 64)
BOXES = {"car": (4, 4, 20, 20), "bike": (30, 10, 50, 30)}


def polygon(x1, y1, x2, y2):
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def mask(x1, y1, x2, y2):
    found = np.zeros(SIZE, bool)
    found[y1:y2, x1:x2] = True
    return found


def content():
    """Two images of 48 x 64, a car and a bike in each."""
    annotations = []
    for image in (1, 2):
        for category, box in enumerate(BOXES.values(), start=1):
            entry = {"image_id": image, "category_id": category, "segmentation": [polygon(*box)], "iscrowd": 0}
            x1, y1, x2, y2 = box
            entry |= {"id": len(annotations) + 1, "area": 400, "bbox": [x1, y1, x2 - x1, y2 - y1]}
            annotations.append(entry)
    return {
        "images": [{"id": i, "file_name": f"{i}.jpg", "height": SIZE[0], "width": SIZE[1]} for i in (1, 2)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "bike"}],
    }


PERFECT = [instances([mask(*box) for box in BOXES.values()], [0, 1], img_id=image) for image in (1, 2)]


def ids_from_zero(file):
    for number, annotation in enumerate(file["annotations"]):
        annotation["id"] = number


def ids_that_restart(file):
    for number, annotation in enumerate(file["annotations"]):
        annotation["id"] = 1 + number % 2


def two_categories_of_one_name(file):
    file["categories"].append({"id": 3, "name": " bike"})
    file["annotations"][3]["category_id"] = 3


def text_on_the_other_side(file):
    for entry in (*file["images"], *file["categories"]):
        entry["id"] = str(entry["id"])


def categories_as_text(file):
    for annotation in file["annotations"]:
        annotation["category_id"] = str(annotation["category_id"])


def images_as_text(file):
    for annotation in file["annotations"]:
        annotation["image_id"] = str(annotation["image_id"])


def text_on_one_side(file):
    categories_as_text(file)
    images_as_text(file)


def text_on_both_sides(file):
    text_on_one_side(file)
    text_on_the_other_side(file)


def nulls_and_text(file):
    file["annotations"][0] |= {"iscrowd": None, "area": None}
    file["annotations"][1] |= {"iscrowd": "0", "area": "400"}
    file["annotations"][2] |= {"iscrowd": False, "bbox": None}
    file["images"][0] |= {"height": "48", "width": 64.0}


def flat_polygons(file):
    for annotation in file["annotations"]:
        annotation["segmentation"] = annotation["segmentation"][0]


def rle_without_the_sizes_of_images(file):
    for annotation, box in zip(file["annotations"], [*BOXES.values()] * 2, strict=True):
        annotation["segmentation"] = describe_mask(mask(*box))["segmentation"]
    file["images"] = [{"id": image} for image in (1, 2, 3)]


@pytest.mark.parametrize("evaluator", ["hotcoco", None])
def test_images_without_size_whose_masks_are_rle(tmp_path, monkeypatch, evaluator):
    """Also an image without annotations, of which nobody knows the size."""
    if evaluator is None:
        monkeypatch.setattr("mmdataseg.evaluation.instance.fast_evaluator", lambda: None)
    file = content()
    rle_without_the_sizes_of_images(file)
    (tmp_path / "a.json").write_text(json.dumps(file))
    nothing = instances(np.zeros((0, *SIZE), bool), [], img_id=3)
    metric = InstanceMetric(ann_file=str(tmp_path / "a.json"))
    assert score(metric, [*PERFECT, nothing], META)["mask_AP"] == 100


def test_annotations_for_images_of_another_size_are_refused(tmp_path):
    """pycocotools compares no masks of different sizes, so AP would be 0."""
    file = content()
    file["images"][1]["height"] *= 2
    (tmp_path / "a.json").write_text(json.dumps(file))
    with pytest.raises(UserError, match=r"image has 48 x 64 pixels .*, but '.*a\.json' has 96 x 64; use annotations"):
        score(InstanceMetric(ann_file=str(tmp_path / "a.json")), PERFECT, META)


@pytest.mark.parametrize(
    "change",
    [
        ids_from_zero,
        ids_that_restart,
        two_categories_of_one_name,
        categories_as_text,
        images_as_text,
        text_on_one_side,
        text_on_the_other_side,
        text_on_both_sides,
        nulls_and_text,
        flat_polygons,
    ],
)
def test_perfect_predictions_score_100(tmp_path, change):
    file = content()
    change(file)
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(file))
    assert score(InstanceMetric(ann_file=str(path)), PERFECT, META)["mask_AP"] == 100


def test_image_ids_as_text_in_the_samples_score_100(tmp_path):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(content()))
    samples = [instances([mask(*b) for b in BOXES.values()], [0, 1], img_id=str(image)) for image in (1, 2)]
    assert score(InstanceMetric(ann_file=str(path)), samples, META)["mask_AP"] == 100


def test_names_that_are_integers_are_compared_as_text(tmp_path):
    file = content()
    for number, category in enumerate(file["categories"]):
        category["name"] = number
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(file))
    meta = dict(META, classes=("0", "1"))
    assert score(InstanceMetric(ann_file=str(path)), PERFECT, meta)["mask_AP"] == 100


LOST = {"size": [48, 64], "counts": "zzzzzzzzzzzz"}


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ({"id": "a7"}, r"entry of 'annotations' cannot be read \('id': expected an integer, got 'a7'\)"),
        ({"image_id": "one"}, "'image_id': expected an integer, got 'one'"),
        ({"image_id": 3}, "annotation 1 belongs to image 3, which is not listed"),
        ({"category_id": 9}, "annotation 1 has category 9, which the file's own 'categories' do not list"),
        ({"iscrowd": "maybe"}, "annotation 1 cannot be read .'iscrowd': expected 0 or 1, got 'maybe'"),
        ({"iscrowd": 2}, "'iscrowd': expected 0 or 1, got 2"),
        ({"area": "large"}, "annotation 1 cannot be read .'area': expected a number, got 'large'"),
        ({"segmentation": LOST}, "annotation 1 cannot be read .*compressed RLE is damaged: character 0 is 'z'"),
        ({"segmentation": {"size": [48, 64], "counts": [5, 5]}}, "the RLE add up to 10 pixels, but the image has 3072"),
        ({"segmentation": {"size": [64, 48], "counts": [64 * 48]}}, "the RLE has 64 x 48 .* the image 48 x 64"),
        ({"segmentation": [[1, 2, "x", 4, 5, 6]]}, "expected a polygon as a list"),
    ],
)
def test_annotations_that_cannot_be_read_are_refused_when_the_metric_is_built(tmp_path, entry, match):
    file = content()
    file["annotations"][0] |= entry
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(file))
    with pytest.raises(UserError, match=match) as caught:
        InstanceMetric(ann_file=str(path))
    assert caught.value.file == str(path)


def source(tmp_path, truth, tested, **test):
    """A source tested on one file and scored against another."""
    for name, file in (("truth", truth), ("tested", tested)):
        (tmp_path / f"{name}.json").write_text(json.dumps(file))
    space = dict(name="street", classes=META["classes"], is_thing=META["is_thing"])
    return dict(
        name="street",
        task="instance",
        label_space=space,
        test=dict(type="mmdataseg.InstanceSegDataset", data_root=str(tmp_path), ann_file="tested.json", **test),
        metrics=[dict(type="mmdataseg.InstanceMetric", ann_file=str(tmp_path / "truth.json"))],
    )


def test_a_metric_file_of_another_split_is_refused_when_the_evaluator_is_built(tmp_path):
    other = content()
    for image in other["images"]:
        image["id"] += 1
        image["file_name"] = f"{image['id']}.jpg"
    with pytest.raises(
        UserError, match=r"source 'street': '.*truth\.json': does not list 1 of the 2 tested images, e\.g\. .* 3; set"
    ):
        MultiSourceEvaluator(metrics=[source(tmp_path, content(), other)])
    # the one image that is tested is there
    MultiSourceEvaluator(metrics=[source(tmp_path, content(), other, indices=1)])
    MultiSourceEvaluator(metrics=[source(tmp_path, content(), other, leave_out=["3.jpg"])])
    MultiSourceEvaluator(metrics=[source(tmp_path, content(), content())])


def test_a_metric_file_whose_ids_are_other_images_is_refused(tmp_path):
    other = content()
    other["images"][1]["file_name"] = "train/2b.jpg"
    with pytest.raises(UserError, match=r"image 2 is '2\.jpg', but the test dataset has 'train/2b\.jpg'"):
        MultiSourceEvaluator(metrics=[source(tmp_path, content(), other)])
    other["images"][1]["file_name"] = "val\\2.jpg"
    MultiSourceEvaluator(metrics=[source(tmp_path, content(), other)])


def test_things_flagged_as_stuff_are_refused(tmp_path):
    config = source(tmp_path, content(), content())
    config["label_space"]["is_thing"] = (False, False)
    with pytest.raises(UserError, match=r"'street': the instance task needs things.* flags all its classes as stuff"):
        MultiSourceEvaluator(metrics=[config])
    config["label_space"]["is_thing"] = (True, False)
    with pytest.raises(UserError, match="has annotations of 'bike', which label space 'street' flags as stuff"):
        MultiSourceEvaluator(metrics=[config])
    config["metrics"][0]["classes"] = ["car"]
    MultiSourceEvaluator(metrics=[config])
