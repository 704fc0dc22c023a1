"""``python -m mmdataseg predict``: from words and photographs to files."""

import json
import os
import re
import subprocess
import sys
import time

import pytest

from mmdataseg.apis import cli
from mmdataseg.apis.inferencer import Inferencer
from mmdataseg.apis.prediction_files import PredictionFiles


def predict(*words):
    cli.main(["predict", "dataseg_toy_3ds.py", "weights.pth", "data/toy/toy_open/val", "--device", "cpu", *words])


def refused(capsys, *words, exit_code=1):
    """What a prediction that ends in an error prints on stderr."""
    with pytest.raises(SystemExit) as exit_info:
        predict(*words)
    assert exit_info.value.code == exit_code
    return capsys.readouterr().err


@pytest.fixture
def here(world, monkeypatch, tmp_path):
    monkeypatch.chdir(world)
    return tmp_path


def test_own_words(here, capsys):
    predict("--things", "red disc", "--stuff", "sand", "--out", str(here))
    content = json.loads((here / "panoptic.json").read_text())
    assert [c["name"] for c in content["categories"]] == ["red disc", "sand"]
    assert [c["isthing"] for c in content["categories"]] == [1, 0]
    assert len(content["images"]) == len(content["annotations"]) == 3
    assert len(list((here / "pictures").iterdir())) == len(list((here / "panoptic").iterdir())) == 3
    said = capsys.readouterr().out
    assert "panoptic segmentation of 3 images on cpu, 2 classes of 'own_words'" in said
    number = sum(len(a["segments_info"]) for a in content["annotations"])
    assert number > 0
    assert sum(map(int, re.findall(r" (\d+)(?:,|$)", said[said.index("found:") :].splitlines()[0]))) == number
    assert f"{here / 'panoptic.json'}, and pictures in {here / 'pictures'}" in said


def test_a_source_of_the_config(here):
    predict("--source", "toy_boxes", "--out", str(here), "--min-score", "0")
    content = json.loads((here / "instances.json").read_text())
    assert len(content["images"]) == 3
    assert content["annotations"]
    assert {a["category_id"] for a in content["annotations"]} <= {c["id"] for c in content["categories"]}


def test_what_is_not_looked_for_is_said(here, capsys):
    predict("--task", "instance", "--things", "red disc", "--stuff", "sand", "sky", "--out", str(here / "own"))
    said = capsys.readouterr().out
    assert "1 classes of 'own_words'" in said
    assert "the instance task finds things only; left out: sand, sky" in said
    predict("--task", "semantic", "--things", "red disc", "--stuff", "sand", "--out", str(here / "semantic"))
    said = capsys.readouterr().out
    assert "every pixel gets one of these classes" in said
    assert "left out" not in said
    predict("--task", "instance", "--out", str(here / "all"))
    assert "left out" not in capsys.readouterr().out, "nobody asked for the source's stuff"


def test_settings_of_the_config_can_be_changed(here, capsys):
    predict(
        "--task", "panoptic", "--out", str(here), "--cfg-options", "model.postprocessors.panoptic.score_threshold=1.1"
    )
    annotations = json.loads((here / "panoptic.json").read_text())["annotations"]
    assert [a["segments_info"] for a in annotations] == [[], [], []]
    assert "found: nothing; where that cannot be, lower the post-processor's score_threshold" in capsys.readouterr().out


def test_an_image_that_cannot_be_read_costs_no_other(here, world, capsys):
    broken = here / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no image")
    good = next((world / "data/toy/toy_open/val").iterdir())
    with pytest.raises(SystemExit):
        cli.main(["predict", "dataseg_toy_3ds.py", "weights.pth", str(broken), str(good), "--out", str(here / "out")])
    assert re.search(r"(?s)1 images were left out:.*broken\.jpg': cannot read this image", capsys.readouterr().err)
    assert len(json.loads((here / "out/semantic.json").read_text())["images"]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cfg-options", "modelx.queries=shared"], "no 'modelx'; did you mean 'model'"),
        (["--task", "instance", "--stuff", "sand"], r"error: task 'instance' finds things, .* are stuff: \['sand'\]"),
        (["--device", "nonsense"], "error: device 'nonsense': "),
        (["--device", "cuda:99"], "error: device 'cuda:99': "),
        (["--cfg-options", "model.type=Foo"], "error: config: model.type: no model is registered as 'Foo'"),
        (["--source", "x"], "error: source 'x': expected one of the model's that have a test"),
        (["--things", "a", "--embeddings", "f.safetensors"], "error: things and embeddings are both given"),
        (["--embeddings", "f.safetensors"], r"error: text embeddings f\.safetensors: no such file; build them with"),
    ],
)
def test_mistakes(here, capsys, words, message):
    assert re.search(message, refused(capsys, *words, "--out", str(here)))


def test_a_score_out_of_range_is_a_wrong_command_line(here, capsys):
    said = refused(capsys, "--min-score", "2", "--out", str(here), exit_code=2)
    assert "--min-score: expected 0 .. 1, got 2" in said


def test_words_that_panoptic_ids_cannot_tell_apart(here, capsys):
    words = [f"w{i}" for i in range(1001)]
    said = refused(capsys, "--things", *words, "--out", str(here))
    assert "error: label space 'own_words': panoptic ids tell 1000 classes apart" in said
    assert not list(here.iterdir()), "so that the next try may use the folder"


def test_files_that_cannot_be_written(here, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(PredictionFiles, "add", full)
    with pytest.raises(OSError, match="No space left on device"):
        predict("--out", str(here))


def test_an_interruption_leaves_the_images_so_far(here, monkeypatch):
    answer, asked = Inferencer.__call__, []

    def interrupted(self, image, question):
        asked.append(image)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return answer(self, image, question)

    monkeypatch.setattr(Inferencer, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        predict("--out", str(here))
    assert len(json.loads((here / "semantic.json").read_text())["images"]) == 1


def test_a_scheduler_that_stops_the_job_loses_nothing(here, world):
    command = [sys.executable, "-m", "mmdataseg", "predict", "dataseg_toy_3ds.py", "weights.pth", "--device", "cpu"]
    images = sorted((world / "data/toy/toy_open/val").iterdir())
    for number in range(200):
        os.link(images[0], here / f"{number}.jpg")
    process = subprocess.Popen(
        [*command, str(here), "--task", "instance", "--min-score", "0", "--out", "stopped"],
        **dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True),
    )
    while process.poll() is None and not list((world / "stopped/pictures").glob("1*.png")):
        time.sleep(0.05)
    process.terminate()
    out, err = process.communicate()
    assert process.returncode == 143, err
    assert "instance segmentation of 200 images on cpu" in out
    assert "OneDL" not in out + err, "other packages' words of what nobody asked for"
    assert "faster_coco_eval" not in err
    content = json.loads((world / "stopped/instances.json").read_text())
    assert 0 < len(content["images"]) < 200
    assert {a["image_id"] for a in content["annotations"]} == {image["id"] for image in content["images"]}


def test_our_own_mistakes_are_not_told_as_the_users(here, monkeypatch):
    monkeypatch.setattr(Inferencer, "__call__", lambda *_: [][1])
    with pytest.raises(IndexError):
        predict("--out", str(here))


def test_a_folder_that_is_not_empty_is_left_alone(here, capsys):
    (here / "notes.txt").touch()
    said = refused(capsys, "--out", str(here))
    assert re.search(r"error: .* is there already and not empty; give another --out", said)
    assert [path.name for path in here.iterdir()] == ["notes.txt"]


def test_what_is_no_checkpoint(here, world, capsys):
    (world / "broken.pth").write_bytes(b"no weights")
    with pytest.raises(SystemExit):
        cli.main(["predict", "dataseg_toy_3ds.py", "broken.pth", "data/toy/toy_open/val", "--out", str(here)])
    assert "error: broken.pth: no checkpoint, or cut short" in capsys.readouterr().err
