"""``predict``: what is looked for, with which settings, and in which images."""

import json
import re
import shlex

import numpy as np
import pytest
import torch
from PIL import Image

from mmdataseg.apis import cli
from mmdataseg.apis.predict import command
from mmdataseg.models import DaTaSeg
from tests.apis.predict.predicting import predict, refused


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
    assert (
        sum(map(int, re.findall(r" (\d+)(?:,|$)", said[said.index("found (panoptic):") :].splitlines()[0]))) == number
    )
    assert f"written: {here / 'pictures'}, {here / 'panoptic.json'}" in said
    assert re.search(r"3 images in [\d.]+ s, [\d.]+ images per second", said)


def test_a_source_of_the_config(here):
    predict("--source", "toy_boxes", "--out", str(here), "--min-score", "0")
    content = json.loads((here / "instances.json").read_text())
    assert len(content["images"]) == 3
    assert content["annotations"]
    assert {a["category_id"] for a in content["annotations"]} <= {c["id"] for c in content["categories"]}


def test_what_is_not_looked_for_is_said(here, capsys):
    predict("--tasks", "instance", "--things", "red disc", "--stuff", "sand", "sky", "--out", str(here / "own"))
    said = capsys.readouterr().out
    assert "3 classes of 'own_words'" in said
    assert "the instance task finds things only; it leaves out: sand, sky" in said
    predict("--tasks", "semantic", "--things", "red disc", "--stuff", "sand", "--out", str(here / "semantic"))
    said = capsys.readouterr().out
    assert "every pixel gets one of these classes" in said
    assert "leaves out" not in said
    predict("--tasks", "instance", "--out", str(here / "all"))
    assert "leaves out" not in capsys.readouterr().out, "nobody asked for the source's stuff"


def test_threads_on_busy_cores_are_named(here, capsys, monkeypatch):
    monkeypatch.setattr(command, "crowded_threads", lambda device: f"more threads than idle cores: {device}")
    predict("--out", str(here))
    assert "more threads than idle cores: cpu\n" in capsys.readouterr().out


def test_settings_of_the_config_can_be_changed(here, capsys):
    predict(
        "--tasks", "panoptic", "--out", str(here), "--cfg-options", "model.postprocessors.panoptic.score_threshold=1.1"
    )
    annotations = json.loads((here / "panoptic.json").read_text())["annotations"]
    assert [a["segments_info"] for a in annotations] == [[], [], []]
    assert (
        "found (panoptic): nothing; if that is wrong, lower the threshold (--cfg-options model.postprocessors.panoptic."
        "score_threshold=X), or train for longer" in capsys.readouterr().out
    )


def test_new_words_can_be_given_more_weight(here):
    """'red disc' is a class of the training, 'wavy sand' is not; a huge weight leaves nothing to the known class."""
    found = {}
    for name, more in {"none": [], "1": ["1"], "1e80": ["1e80"]}.items():
        option = ["--new-words-weight", *more] if more else []
        predict("--things", "red disc", "--stuff", "wavy sand", "--save", "coco", "--out", str(here / name), *option)
        annotations = json.loads((here / name / "panoptic.json").read_text())["annotations"]
        found[name] = [(s["category_id"], s["area"]) for a in annotations for s in a["segments_info"]]
    assert found["1"] == found["none"]
    assert {category for category, _ in found["1e80"]} == {2} != {category for category, _ in found["none"]}


def test_the_network_can_run_in_bfloat16(here, monkeypatch, capsys):
    """The masks are nearly those of float32; a run in float32 is not continued in bfloat16."""
    dtypes, propose = [], DaTaSeg.propose
    monkeypatch.setattr(
        DaTaSeg, "propose", lambda self, *a: (dtypes.append(self.inference_dtype), propose(self, *a))[1]
    )
    semantic = ["--tasks", "semantic", "--things", "red disc", "--stuff", "sand", "--save", "coco"]
    predict(*semantic, "--out", str(here / "full"))
    predict(*semantic, "--out", str(here / "half"), "--bfloat16")
    assert set(dtypes) == {torch.float32, torch.bfloat16}
    maps = [
        [np.asarray(Image.open(p)) for p in sorted((here / name / "semantic").iterdir())] for name in ("full", "half")
    ]
    assert np.mean([np.mean(full == half) for full, half in zip(*maps, strict=True)]) > 0.95
    message = refused(capsys, *semantic, "--out", str(here / "full"), "--bfloat16")
    assert "holds predictions with other settings" in message


def test_a_config_may_come_before_the_checkpoint(here):
    for config in ("dataseg_toy_3ds.py", "dataseg_toy_3ds"):
        cli.main(
            ["predict", config, "weights.pth", "data/toy/toy_open/val", "--device", "cpu", "--out", str(here / config)]
        )
        assert (here / config / "semantic.json").is_file()


def test_a_word_with_a_comma_is_one_class(here, capsys):
    predict("--things", "red ring, yellow disc", "--out", str(here))
    said = capsys.readouterr()
    assert "'red ring, yellow disc' is one word with 2 synonyms; for several words, put each in" in said.err
    assert "1 class of 'own_words'" in said.out
    content = json.loads((here / "panoptic.json").read_text())
    assert [category["name"] for category in content["categories"]] == ["red ring, yellow disc"]


def test_the_help_begins_with_three_examples(capsys):
    with pytest.raises(SystemExit):
        cli.main(["predict", "--help"])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    examples = [line for line in lines if line.startswith("python -m mmdataseg predict model.pth")]
    assert len(examples) == 3
    for example in examples:
        cli.build_predict_parser().parse_args(shlex.split(example)[4:])
