"""``predict``: runs that stop, go on, or must not go on."""

import csv
import json
import os
import signal
import time
from collections import Counter

import pytest

from mmdataseg.apis import cli
from mmdataseg.apis.predict.files import PredictionFiles
from mmdataseg.apis.segmenter import Segmenter
from tests.apis.predict.predicting import files, predict, refused, start


def test_files_that_cannot_be_written(here, monkeypatch, capsys):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("mmdataseg.apis.predict.files.write_png", full)
    said = refused(capsys, "--out", str(here))
    assert f"error: '{here}': cannot be written (No space left on device); " in said


def test_an_interruption_leaves_the_images_so_far_and_the_next_run_goes_on(here, monkeypatch, capsys):
    stream = Segmenter.stream

    def interrupted(self, *args, **options):
        yield next(stream(self, *args, **options))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Segmenter, "stream", interrupted)
        with pytest.raises(KeyboardInterrupt):
            predict("--out", str(here / "out"))
    assert len(json.loads((here / "out/semantic.json").read_text())["images"]) == 1
    predict("--out", str(here / "out"))
    assert "already done: 1 image; continuing" in capsys.readouterr().out
    predict("--out", str(here / "whole"))
    assert files(here / "out") == files(here / "whole")


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)], ids=["SIGTERM", "SIGKILL"])
def test_a_run_that_is_stopped_loses_nothing_and_repeats_nothing(here, world, stop, code):
    (here / "many").mkdir()
    first = min((world / "data/toy/toy_open/val").iterdir())
    for number in range(24):
        os.link(first, here / f"many/{number:02}.jpg")
    process = start(here / "many", here / "out", "--save", "coco", "csv")
    while process.poll() is None and not list((here / "out/panoptic").glob("03.png")):
        time.sleep(0.02)
    process.send_signal(stop)
    out, err = process.communicate()
    assert process.returncode == code, err
    if stop == signal.SIGTERM:
        assert "panoptic, instance segmentation of 24 images on cpu" in out
        assert "OneDL" not in out + err, "other packages' words of what nobody asked for"
        assert "faster_coco_eval" not in err
        content = json.loads((here / "out/instances.json").read_text())
        assert 0 < len(content["images"]) < 24
        assert {a["image_id"] for a in content["annotations"]} == {image["id"] for image in content["images"]}
    predict_many = ["predict", "trained.pth", str(here / "many"), "--device", "cpu", "--tasks", "panoptic", "instance"]
    saved = ["--save", "coco", "csv", "--min-score", "0"]
    cli.main([*predict_many, *saved, "--out", str(here / "out")])
    names = [f"{number:02}.jpg" for number in range(24)]
    for file in ("panoptic.json", "instances.json"):
        assert [image["file_name"] for image in json.loads((here / "out" / file).read_text())["images"]] == names
    ids = [a["id"] for a in json.loads((here / "out/instances.json").read_text())["annotations"]]
    assert ids == list(range(1, len(ids) + 1))
    rows = list(csv.DictReader((here / "out/segments.csv").open()))
    assert list(dict.fromkeys(row["image"] for row in rows)) == names
    counts = Counter((row["image"], row["task"], row["id"]) for row in rows)
    assert max(counts.values()) == 1
    assert len(list((here / "out/panoptic").iterdir())) == 24


def test_another_question_does_not_go_on(here, capsys):
    predict("--out", str(here / "out"), "--tasks", "semantic")
    said = refused(capsys, "--out", str(here / "out"), "--tasks", "panoptic")
    assert "holds predictions with other settings: tasks was ['semantic'], now ['panoptic']; give another --out" in said


def test_a_large_result_is_written_before_the_next_image_is_read(here, monkeypatch):
    """Otherwise, the results of a folder of large images fill the memory."""
    seen, stream, add = [], Segmenter.stream, PredictionFiles.add

    def segment(self, *args, **options):
        for found, result in stream(self, *args, **options):
            seen.append(("segmented", found.name))
            yield found, result

    def write(self, found, result):
        time.sleep(0.1)
        add(self, found, result)
        seen.append(("written", found.name))

    monkeypatch.setattr(Segmenter, "stream", segment)
    monkeypatch.setattr(PredictionFiles, "add", write)
    monkeypatch.setattr("mmdataseg.apis.predict.command._WAITING_PIXELS", 128 * 128 - 1)
    predict("--out", str(here / "out"), "--save", "json")
    names = [name for what, name in seen if what == "segmented"]
    assert seen == [(what, name) for name in names for what in ("segmented", "written")]
