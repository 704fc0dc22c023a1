"""Panoptic quality of files."""

import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from mmdataseg.errors import UserError
from mmdataseg.evaluation.panoptic_files import PanopticFiles, panoptic_quality_of_files
from tests.datasets.writing import id_to_rgb, write_json, write_png
from tests.evaluation.panoptic_pairs import FOUND, TRUE, predict, segment, write, write_truth


@pytest.fixture
def truth(tmp_path: Path) -> PanopticFiles:
    return write_truth(tmp_path)


def test_a_hand_worked_image(truth, tmp_path):
    found = panoptic_quality_of_files(truth, predict(tmp_path))
    # sky: IoU 1. dog: 4 of 5 pixels. cat: 1 of 2 pixels, IoU not over 0.5: one missed, one wrong
    assert found["PQ"] == pytest.approx(100 * (1 + 4 / 5 + 0) / 3)
    assert found["PQ_th"] == pytest.approx(100 * 0.8 / 2)
    assert found["PQ_st"] == 100
    assert found["RQ"] == pytest.approx(100 * 2 / 3)


def test_the_truth_against_itself_is_perfect(truth):
    assert panoptic_quality_of_files(truth, truth)["PQ"] == 100


def test_every_count_of_the_coco_evaluator(panoptic_reference, tmp_path):
    data, maps = panoptic_reference
    categories = [{**c, "name": f"class {c['id']}"} for c in data["categories"]]
    sides = {}
    for side in ("gt", "pred"):
        annotations = []
        for number, case in enumerate(data["cases"]):
            write_png(tmp_path / side / f"{number}.png", id_to_rgb(maps[f"{side}_{number}"]))
            annotations.append(
                {"image_id": number, "file_name": f"{number}.png", "segments_info": case[f"{side}_segments"]}
            )
        images = [{"id": number, "file_name": f"{number}.jpg"} for number in range(len(annotations))]
        content = {"images": images, "annotations": annotations, "categories": categories}
        sides[side] = PanopticFiles(file=write_json(tmp_path / f"{side}.json", content))
    found = panoptic_quality_of_files(sides["gt"], sides["pred"], threads=3)
    for suffix, kind in (("", "All"), ("_th", "Things"), ("_st", "Stuff")):
        for key in ("pq", "sq", "rq"):
            expected = 100 * data["expected_total"][kind][key]
            assert found[key.upper() + suffix] == pytest.approx(expected, abs=1e-10)


def test_categories_are_matched_by_name(truth, tmp_path):
    renumbered = [{"id": 10, "name": "sky"}, {"id": 11, "name": "dog "}, {"id": 12, "name": "cat"}]
    found = write(tmp_path, "found", FOUND, [segment(70000, 10), segment(5, 11), segment(9, 12)], categories=renumbered)
    assert panoptic_quality_of_files(truth, found) == panoptic_quality_of_files(truth, predict(tmp_path))


@pytest.mark.parametrize("folder", ["", "val/"])
def test_images_are_matched_by_file_name(truth, tmp_path, folder):
    """Both numbered their images on their own, as `predict` does."""
    write_png(tmp_path / "truth/b.png", id_to_rgb(np.ones((2, 4), int)))
    write_png(tmp_path / "found/b.png", id_to_rgb(np.ones((2, 4), int)))

    def numbered(files, a, b, folder=""):
        sky = [segment(1, 7)]
        images = [{"id": b, "file_name": f"{folder}b.jpg"}, {"id": a, "file_name": f"{folder}a.jpg"}]
        return _edited(
            files,
            lambda c: [
                c.update(images=images, annotations=c["annotations"][:1]),
                c["annotations"][0].update(image_id=a),
                c["annotations"].append({"image_id": b, "file_name": "b.png", "segments_info": sky}),
            ],
        )

    expected = panoptic_quality_of_files(numbered(truth, 1, 2), numbered(predict(tmp_path), 1, 2))
    assert expected["PQ"] == pytest.approx(60)
    for ids in ((2, 1), (139, 285)):
        assert panoptic_quality_of_files(truth, numbered(predict(tmp_path), *ids, folder)) == expected
    with pytest.raises(UserError, match=r"no prediction for 1 of 2 images, e\.g\. image 2 \('b\.jpg'\)"):
        panoptic_quality_of_files(truth, predict(tmp_path))


def test_images_of_one_name_in_several_folders_are_told_apart(truth, tmp_path):
    images = [{"id": 1, "file_name": "x/a.jpg"}, {"id": 2, "file_name": "y/a.jpg"}]
    _edited(
        truth, lambda c: c.update(images=images, annotations=[{**c["annotations"][0], "image_id": n} for n in (1, 2)])
    )
    swapped = [{"id": 2, "file_name": "x/a.jpg"}, {"id": 1, "file_name": "y/a.jpg"}]
    found = predict(tmp_path)
    _edited(found, lambda c: c.update(images=swapped, annotations=[{**c["annotations"][0], "image_id": 2}]))
    with pytest.raises(UserError, match=r"no prediction for 1 of 2 images, e\.g\. image 2 \('y/a\.jpg'\)"):
        panoptic_quality_of_files(truth, found)


def test_names_that_differ_only_in_folders_of_other_images_match(truth, tmp_path):
    """The predictions cover more images than the truth, two of them with the same name in other folders."""
    expected = panoptic_quality_of_files(truth, predict(tmp_path))
    _edited(truth, lambda c: c["images"][0].update(file_name="x/a.jpg"))
    more = [{"id": 5, "file_name": "y/a.jpg"}, {"id": 1, "file_name": "x/a.jpg"}]
    found = predict(tmp_path, images=more)
    assert panoptic_quality_of_files(truth, found) == expected


def test_only_the_annotations_are_needed(truth, tmp_path):
    expected = panoptic_quality_of_files(truth, predict(tmp_path))
    assert panoptic_quality_of_files(truth, predict(tmp_path, images=None, categories=None)) == expected


def test_crowd_pixels_count_for_nobody(tmp_path):
    truth = write(tmp_path, "truth", TRUE, [segment(70000, 7), segment(5, 3), segment(9, 1, crowd=1)])
    found = panoptic_quality_of_files(truth, predict(tmp_path))
    # the cat lies on a crowd of cats: no class "cat" is left
    assert found["PQ"] == pytest.approx(100 * (1 + 4 / 5) / 2)


def test_more_predictions_than_images_are_ignored(truth, tmp_path):
    expected = panoptic_quality_of_files(truth, predict(tmp_path))
    found = predict(tmp_path)
    content = json.loads(found.file.read_text())
    content["annotations"].append({"image_id": 2, "file_name": "b.png", "segments_info": []})
    write_json(found.file, content)
    assert panoptic_quality_of_files(truth, found) == expected


def test_folders_beside_other_names(truth, tmp_path):
    found = predict(tmp_path)
    (tmp_path / "found").rename(tmp_path / "pngs")
    moved = PanopticFiles(file=found.file, folder=tmp_path / "pngs")
    assert panoptic_quality_of_files(truth, moved)["PQ_st"] == 100
    with pytest.raises(FileNotFoundError, match="folder of panoptic PNGs"):
        panoptic_quality_of_files(truth, found)


def _edited(files: PanopticFiles, edit) -> PanopticFiles:
    content = json.loads(files.file.read_text())
    edit(content)
    write_json(files.file, content)
    return files


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c.update(annotations=[]), "no prediction for 1 of 1 image, e.g. image 1"),
        (lambda c: c["annotations"][0].pop("file_name"), "image 1: no key 'file_name'"),
        (lambda c: c["annotations"][0]["segments_info"][0].pop("id"), "image 1: no key 'id'"),
        (lambda c: c["annotations"][0]["segments_info"][0].update(id="x"), "'id': expected an integer"),
        (
            lambda c: c["annotations"][0]["segments_info"][0].update(category_id=99),
            "category 99 is not in the 'categories' of the truth",
        ),
        (
            lambda c: c["annotations"][0]["segments_info"][0].update(id=2**70),
            "'id': expected integers of at most 64 bits",
        ),
        (lambda c: c["annotations"][0]["segments_info"].pop(), r"segment ids \[9\] that are not in the JSON"),
        (lambda c: c["categories"][0].update(name="cow"), "category 3 is not in the 'categories' of the truth"),
        (lambda c: c["annotations"].append(deepcopy(c["annotations"][0])), "image 1 appears twice"),
    ],
)
def test_a_wrong_file_is_refused(truth, tmp_path, edit, message):
    with pytest.raises(UserError, match=message):
        panoptic_quality_of_files(truth, _edited(predict(tmp_path), edit))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c["categories"][0].pop("isthing"), "category 'dog': no key 'isthing'"),
        (lambda c: c["categories"][0].update(isthing=2), "category 'dog': 'isthing': expected 0 or 1, got 2"),
        (
            lambda c: c["categories"].append({"id": 8, "name": "dog", "isthing": 0}),
            "category 'dog' appears twice, as a thing and as stuff",
        ),
        (lambda c: c["annotations"][0]["segments_info"][0].update(category_id=99), "category 99 is not in"),
    ],
)
def test_a_wrong_truth_is_refused(truth, tmp_path, edit, message):
    with pytest.raises(UserError, match=rf"truth\.json': .*{message}"):
        panoptic_quality_of_files(_edited(truth, edit), predict(tmp_path))


def test_two_categories_of_one_name_are_one_class(truth, tmp_path):
    expected = panoptic_quality_of_files(truth, predict(tmp_path))
    _edited(truth, lambda c: c["categories"].append({"id": 8, "name": "dog", "isthing": 1}))
    _edited(truth, lambda c: c["annotations"][0]["segments_info"][1].update(category_id=8))
    assert panoptic_quality_of_files(truth, predict(tmp_path)) == expected


def test_chance_draws_differ_from_image_to_image(tmp_path):
    """40 images of one thing, of the first of two classes. One draw for all would give 0 or 100."""
    numbers = range(40)
    annotation = {"file_name": "a.png", "segments_info": [segment(1, 1)]}
    files = write(
        tmp_path,
        "truth",
        np.ones((2, 2), int),
        [],
        images=[{"id": number, "file_name": f"{number}.jpg"} for number in numbers],
        annotations=[{"image_id": number, **annotation} for number in numbers],
        categories=[{"id": number, "name": str(number), "isthing": 1} for number in (1, 2)],
    )
    found = [panoptic_quality_of_files(files, files, chance=1, threads=threads)["PQ_chance"] for threads in (1, 3)]
    # about 20 right, 20 missed and 20 wrong: 2/3 for the first class, 0 for the second
    assert found[0] == pytest.approx(33, abs=10)
    assert found[0] == found[1]


def test_another_size_is_refused(truth, tmp_path):
    found = write(tmp_path, "found", FOUND[:, :3], [segment(70000, 7), segment(5, 3), segment(9, 1)])
    with pytest.raises(UserError, match=r"image 1: .*the same size, got \(2, 4\) and \(2, 3\)"):
        panoptic_quality_of_files(truth, found)


def test_a_missing_json_is_named_before_its_folder(truth, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"panoptic JSON '.*nothing\.json' does not exist"):
        panoptic_quality_of_files(truth, PanopticFiles(file=tmp_path / "nothing.json"))


def test_a_missing_folder_names_the_options(truth, tmp_path):
    with pytest.raises(FileNotFoundError, match="--predictions-folder"):
        panoptic_quality_of_files(truth, PanopticFiles(file=truth.file, folder=tmp_path / "nothing"))
