"""``python -m mmdataseg predict``: from words and photographs to files."""

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmdataseg.apis import cli
from mmdataseg.apis.prediction_files import PredictionFiles
from mmdataseg.apis.segmenter import Segmenter
from mmdataseg.evaluation.panoptic_files import PanopticFiles, panoptic_quality_of_files
from mmdataseg.models import DaTaSeg


def predict(*words):
    cli.main(["predict", "trained.pth", "data/toy/toy_open/val", "--device", "cpu", *words])


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


def test_predictions_are_scored_whatever_the_numbers_of_the_true_images(here):
    """The truth is what was predicted, with other numbers for the images."""
    predict("--things", "red disc", "--stuff", "sand", "--save", "coco", "--out", str(here))
    content = json.loads((here / "panoptic.json").read_text())
    for image, annotation in zip(content["images"], content["annotations"], strict=True):
        image["id"] = annotation["image_id"] = image["id"] + 100
    (here / "truth.json").write_text(json.dumps(content))
    truth = PanopticFiles(file=here / "truth.json", folder=here / "panoptic")
    assert panoptic_quality_of_files(truth, PanopticFiles(file=here / "panoptic.json"))["PQ"] == 100


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


def test_a_score_out_of_range_is_a_wrong_command_line(here, capsys):
    said = refused(capsys, "--min-score", "2", "--out", str(here), exit_code=2)
    assert "--min-score: expected 0 .. 1, got 2" in said


def test_words_that_panoptic_ids_cannot_tell_apart(here, capsys):
    words = [f"w{i}" for i in range(1001)]
    said = refused(capsys, "--things", *words, "--out", str(here))
    assert "error: label space 'own_words': panoptic ids tell 1000 classes apart" in said
    assert not list(here.iterdir()), "so that the next try may use the folder"


def test_files_that_cannot_be_written(here, monkeypatch, capsys):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(PredictionFiles, "_add", full)
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
    monkeypatch.setattr("mmdataseg.apis.predict._WAITING_PIXELS", 128 * 128 - 1)
    predict("--out", str(here / "out"), "--save", "json")
    names = [name for what, name in seen if what == "segmented"]
    assert seen == [(what, name) for name in names for what in ("segmented", "written")]


def files(folder):
    """Path -> content of all files."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def start(images, out, *words):
    command = [sys.executable, "-m", "mmdataseg", "predict", "trained.pth", "--device", "cpu", str(images)]
    options = ["--tasks", "panoptic", "instance", "--min-score", "0", "--out", str(out), *words]
    return subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )


# of another process: the package that these tests are of, wherever it is started
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}


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


def test_our_own_mistakes_are_not_told_as_the_users(here, monkeypatch):
    monkeypatch.setattr(Segmenter, "stream", lambda *_, **__: [][1])
    with pytest.raises(IndexError):
        predict("--out", str(here))


def test_a_folder_that_is_not_empty_is_left_alone(here, capsys):
    (here / "notes.txt").touch()
    said = refused(capsys, "--out", str(here))
    assert re.search(r"error: .* exists and is not empty; give another --out", said)
    assert [path.name for path in here.iterdir()] == ["notes.txt"]


def test_what_is_no_checkpoint(here, world, capsys):
    (world / "broken.pth").write_bytes(b"no weights")
    with pytest.raises(SystemExit):
        cli.main(["predict", "dataseg_toy_3ds.py", "broken.pth", "data/toy/toy_open/val", "--out", str(here)])
    assert "error: 'broken.pth': is not a checkpoint, or was cut short" in capsys.readouterr().err


def test_a_config_may_come_before_the_checkpoint(here):
    for config in ("dataseg_toy_3ds.py", "dataseg_toy_3ds"):
        cli.main(
            ["predict", config, "weights.pth", "data/toy/toy_open/val", "--device", "cpu", "--out", str(here / config)]
        )
        assert (here / config / "semantic.json").is_file()


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


def make_video(path, number=5):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for shade in range(number):
        writer.write(np.full((48, 64, 3), 40 * shade, np.uint8))
    writer.release()


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


def test_the_help_begins_with_three_examples(capsys):
    with pytest.raises(SystemExit):
        cli.main(["predict", "--help"])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    examples = [line for line in lines if line.startswith("python -m mmdataseg predict model.pth")]
    assert len(examples) == 3
    for example in examples:
        cli.build_predict_parser().parse_args(shlex.split(example)[4:])


def test_a_word_with_a_comma_is_one_class(here, capsys):
    predict("--things", "red ring, yellow disc", "--out", str(here))
    said = capsys.readouterr()
    assert "'red ring, yellow disc' is one word with 2 synonyms; for several words, put each in" in said.err
    assert "1 class of 'own_words'" in said.out
    content = json.loads((here / "panoptic.json").read_text())
    assert [category["name"] for category in content["categories"]] == ["red ring, yellow disc"]


def test_a_screen_is_needed_to_show(here, capsys, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert "--show needs a screen, and there is none" in refused(capsys, "--show", "--out", str(here))


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
