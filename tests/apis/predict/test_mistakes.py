"""``predict``: mistakes of the user, and images that cannot be used."""

import csv
import json
import re
import subprocess
import sys

import pytest

from mmdataseg.apis import cli
from mmdataseg.apis.segmenter import Segmenter
from tests.apis.predict.predicting import ENVIRONMENT, make_video, predict, refused


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cfg-options", "modelx.queries=shared"], "no 'modelx'; did you mean 'model'"),
        (["--tasks", "instance", "--stuff", "sand"], r"error: task 'instance' finds things, .* are stuff: \['sand'\]"),
        (["--device", "nonsense"], "error: device 'nonsense': "),
        (["--device", "cuda:99"], "error: device 'cuda:99': "),
        (
            ["--cfg-options", "model.type=Foo"],
            "error: 'trained.pth': its config: model.type: 'Foo' is not a registered component",
        ),
        (["--source", "x"], "error: source 'x': expected one of the model's sources with a test pipeline"),
        (["--embeddings", "f.safetensors"], r"error: 'f\.safetensors' does not exist; check the path"),
        (["--things", "a", "--embeddings", "trained.pth"], "error: --things and --embeddings are both given; leave"),
        (["--things", "a", " "], "error: a word of --things or --stuff is empty; leave it out"),
        (["--things", "a", "b", "a"], "error: word 'a' appears twice in --things; give it once"),
        (["--things", "a", "--stuff", "a "], "error: word 'a' appears twice in --things and --stuff; give it once"),
        (["--new-words-weight", "0"], r"error: .*new_words_weight: expected a number above 0, got 0\.0; give 1 for no"),
        (["--save", "video"], "error: --save video needs a video or a camera among the images"),
    ],
)
def test_mistakes(here, capsys, words, message):
    assert re.search(message, refused(capsys, *words, "--out", str(here)))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["model.pth"], 1, "expected a checkpoint and at least one image, got only 'model.pth'; give CHECKPOINT IMAGE"),
        (["absent.pth", "photos"], 1, "checkpoint 'absent.pth' does not exist; check the path"),
        (["trained.pth", "absent"], 1, "image or folder 'absent' does not exist; check the path"),
        (["data", "trained.pth"], 1, "'data' is a folder; expected a checkpoint; the checkpoint comes first"),
        (["dataseg_toy_3d", "trained.pth", "data"], 1, "did you mean: projects/toy/configs/dataseg_toy_3ds.py"),
        (["trained.pth", "data", "--thing", "dog"], 2, "unknown option '--thing'; did you mean '--things'?"),
        (["trained.pth", "data", "--save", "picture"], 2, "invalid choice: 'picture'"),
        (["trained.pth", "data", "--batch-size", "0"], 2, "--batch-size and --max-pixels: expected 1 or more"),
    ],
)
def test_mistakes_are_found_before_torch_is_imported(words, code, message):
    program = (
        "import sys; from mmdataseg.apis.cli import main\n"
        "try: main(['predict', *sys.argv[1:]])\n"
        "finally: print('torch imported' if 'torch' in sys.modules else 'no torch')"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == code
    assert message in done.stderr
    assert "no torch" in done.stdout


def test_a_score_out_of_range_is_a_wrong_command_line(here, capsys):
    said = refused(capsys, "--min-score", "2", "--out", str(here), exit_code=2)
    assert "--min-score: expected 0 .. 1, got 2" in said


def test_words_that_panoptic_ids_cannot_tell_apart(here, capsys):
    words = [f"w{i}" for i in range(1001)]
    said = refused(capsys, "--things", *words, "--out", str(here))
    assert "error: label space 'own_words': panoptic ids tell 1000 classes apart" in said
    assert not list(here.iterdir()), "so that the next try may use the folder"


def test_what_is_no_checkpoint(here, world, capsys):
    (world / "broken.pth").write_bytes(b"no weights")
    with pytest.raises(SystemExit):
        cli.main(["predict", "dataseg_toy_3ds.py", "broken.pth", "data/toy/toy_open/val", "--out", str(here)])
    assert "error: 'broken.pth': is not a checkpoint, or was cut short" in capsys.readouterr().err


def test_a_folder_that_is_not_empty_is_left_alone(here, capsys):
    (here / "notes.txt").touch()
    said = refused(capsys, "--out", str(here))
    assert re.search(r"error: .* exists and is not empty; give another --out", said)
    assert [path.name for path in here.iterdir()] == ["notes.txt"]


def test_a_screen_is_needed_to_show(here, capsys, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert "--show needs a screen, and there is none" in refused(capsys, "--show", "--out", str(here))


def test_our_own_mistakes_are_not_told_as_the_users(here, monkeypatch):
    monkeypatch.setattr(Segmenter, "stream", lambda *_, **__: [][1])
    with pytest.raises(IndexError):
        predict("--out", str(here))


def test_an_image_that_cannot_be_read_costs_no_other(here, world, capsys):
    broken = here / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no image")
    good = next((world / "data/toy/toy_open/val").iterdir())
    with pytest.raises(SystemExit):
        cli.main(["predict", "dataseg_toy_3ds.py", "weights.pth", str(broken), str(good), "--out", str(here / "out")])
    said = capsys.readouterr().err
    assert re.search(r"(?s)1 image was left out:.*broken\.jpg': cannot be read as an image", said)
    assert re.findall(r"\d+/\d+", said)[-1] == "1/2", "the progress bar counts only images that are done"
    assert len(json.loads((here / "out/semantic.json").read_text())["images"]) == 1


def test_a_broken_video_does_not_end_the_run(here, world, capsys):
    (here / "broken.mp4").write_bytes(b"no video")
    make_video(here / "clip.mp4", number=2)
    good = min((world / "data/toy/toy_open/val").iterdir())
    given = [str(here / "broken.mp4"), str(here / "clip.mp4"), str(good)]
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["predict", "trained.pth", *given, "--device", "cpu", "--out", str(here / "out"), "--save", "csv"])
    assert exit_info.value.code == 1
    assert re.search(r"(?s)1 image was left out:.*broken\.mp4': cannot be opened as a video", capsys.readouterr().err)
    rows = list(csv.DictReader((here / "out/segments.csv").open()))
    assert len({row["image"] for row in rows}) == 3
