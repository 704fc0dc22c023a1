"""``predict``: the files that it writes."""

import csv
import json
import os
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mmdataseg.apis import cli
from mmdataseg.evaluation.panoptic_files import PanopticFiles, panoptic_quality_of_files
from tests.apis.predict.predicting import make_video, predict


def test_only_what_is_asked_is_written(here):
    predict("--out", str(here), "--save", "csv")
    assert {path.name for path in here.iterdir()} == {"segments.csv", "question.json", "journal.jsonl"}


def test_masks_of_segments(here):
    predict("--out", str(here), "--save", "masks", "csv")
    rows = list(csv.DictReader((here / "segments.csv").open()))
    for row in rows:
        name = row["name"].replace(" ", "-")
        mask = np.asarray(Image.open(here / f"masks/{Path(row['image']).stem}/semantic_{int(row['id']):03}_{name}.png"))
        assert (mask == 255).sum() == int(row["area"])
        assert set(np.unique(mask)) <= {0, 255}
    assert len(list((here / "masks").rglob("*.png"))) == len(rows) > 0


def test_json_and_csv_hold_the_same_segments(here):
    predict("--out", str(here), "--save", "json", "csv", "--tasks", "panoptic", "semantic")
    content = json.loads((here / "results.json").read_text())
    rows = list(csv.DictReader((here / "segments.csv").open()))
    listed = [
        (image["image"], answer["task"], segment["name"], str(segment["area"]))
        for image in content
        for answer in image["answers"]
        for segment in answer["segments"]
    ]
    assert [(row["image"], row["task"], row["name"], row["area"]) for row in rows] == listed
    assert len({row["image"] for row in rows}) == 3


def test_predictions_are_scored_whatever_the_numbers_of_the_true_images(here):
    """The truth is what was predicted, with other numbers for the images."""
    predict("--things", "red disc", "--stuff", "sand", "--save", "coco", "--out", str(here))
    content = json.loads((here / "panoptic.json").read_text())
    for image, annotation in zip(content["images"], content["annotations"], strict=True):
        image["id"] = annotation["image_id"] = image["id"] + 100
    (here / "truth.json").write_text(json.dumps(content))
    truth = PanopticFiles(file=here / "truth.json", folder=here / "panoptic")
    assert panoptic_quality_of_files(truth, PanopticFiles(file=here / "panoptic.json"))["PQ"] == 100


def test_a_video_becomes_a_video(here):
    make_video(here / "clip.mp4")
    command = ["predict", "trained.pth", str(here / "clip.mp4"), "--device", "cpu", "--out", str(here / "out")]
    for _ in range(2):  # the second run makes it again
        cli.main([*command, "--save", "video", "coco", "--batch-size", "2"])
        capture = cv2.VideoCapture(str(here / "out/video/clip.mp4"))
        assert capture.get(cv2.CAP_PROP_FPS) == 10
        assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 5
        names = [image["file_name"] for image in json.loads((here / "out/semantic.json").read_text())["images"]]
        assert names == [f"clip/{number:06}" for number in range(1, 6)]


def test_images_of_one_name_in_two_places_are_told_apart(here, world):
    for folder in ("a", "b"):
        (here / folder).mkdir()
        os.link(min((world / "data/toy/toy_open/val").iterdir()), here / folder / "x.jpg")
    cli.main(
        ["predict", "trained.pth", str(here / "a/x.jpg"), str(here / "b"), "--device", "cpu", "--out", str(here / "o")]
    )
    names = [image["file_name"] for image in json.loads((here / "o/semantic.json").read_text())["images"]]
    assert names == ["a/x.jpg", "b/x.jpg"]


def test_pictures_that_were_written_are_no_images(here, world, monkeypatch):
    """The folder of the predictions may be in that of the images."""
    monkeypatch.chdir(here)
    for path in (world / "data/toy/toy_open/val").iterdir():
        os.link(path, here / path.name)
    for _ in range(2):
        cli.main(["predict", str(world / "trained.pth"), ".", "--device", "cpu"])
        names = [image["file_name"] for image in json.loads((here / "predictions/semantic.json").read_text())["images"]]
        assert names == ["00000001.jpg", "00000002.jpg", "00000003.jpg"]
        assert len(list((here / "predictions/pictures").rglob("*.png"))) == 3
