"""What is behind the page in the browser: words, uploads, limits, answers."""

import json
import threading
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mmdataseg.apis import cli
from mmdataseg.apis.images.decoding import UnreadableImageError
from mmdataseg.apis.segmenter import Segmenter
from mmdataseg.apis.web import serving
from mmdataseg.apis.web.answers import COLUMNS, Answers
from mmdataseg.apis.web.asking import Limits, Questions, read_upload, split_words
from mmdataseg.errors import UserError
from mmdataseg.formats.masks import describe_mask

ALL_TASKS = ["panoptic", "semantic", "instance"]


@pytest.fixture(scope="module")
def segmenter(world):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(world)
        return Segmenter("trained.pth", device="cpu")


@pytest.fixture
def questions(segmenter):
    made = Questions(segmenter, limits=Limits())
    yield made
    made.close()


@pytest.fixture
def upload(world):
    return str(min((world / "data/toy/toy_open/val").iterdir()))


def by_hand(image_size=(4, 6), scores=(0.75, None)):
    """A thing of 2 x 2 pixels at the top left, stuff in the two rows below it, nothing elsewhere."""
    id_map = np.zeros(image_size, np.int32)
    id_map[:2, :2], id_map[2:] = 1, 2
    segments = [
        dict(id=1, name="dog", label=0, is_thing=True, score=scores[0], area=4, box=[0, 0, 2, 2]),
        dict(id=2, name="sky", label=1, is_thing=False, score=scores[1], area=12, box=[0, 2, 6, 4]),
    ]
    for segment in segments:
        segment["segmentation"] = describe_mask(id_map == segment["id"])["segmentation"]
    image = np.full((8, 12, 3), 100, np.uint8)  # shown twice as large as it is
    answer = {"task": "panoptic", "vocabulary": "own_words", "segments": segments}
    return Answers(
        record={"image": "a.png", "path": None, "height": 4, "width": 6, "answers": [answer]},
        image=image,
        panels={"panoptic": image + 1},
        pngs={"panoptic": b""},
        id_maps={"panoptic": id_map},
    )


# ---- words and limits


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dog, red  car ,sofa/couch", ["dog", "red car", "sofa/couch"]),
        ("dog\nred car\n\n", ["dog", "red car"]),
        (" , ,\n", []),
        ("", []),
        (None, []),
    ],
)
def test_commas_and_lines_separate_words(text, words):
    assert split_words(text, Limits()) == words


def test_words_that_are_too_long_or_too_many_are_refused(questions, upload):
    assert split_words("a" * 100, Limits()) == ["a" * 100]
    with pytest.raises(UserError, match=r"the word 'a{20}…' has 101 letters, the limit is 100; put commas between"):
        split_words("dog, " + "a" * 101, Limits())
    with pytest.raises(UserError, match="101 words, the limit is 100; leave some out"):
        questions.ask(upload, things=",".join(f"w{n}" for n in range(100)), stuff="sky", tasks=["panoptic"])


@pytest.mark.parametrize("name", ["mib", "pixels", "shown_pixels", "words", "letters", "seconds"])
def test_a_limit_below_one_is_refused(name):
    with pytest.raises(UserError, match=f"limit '{name}': expected 1 or more, got 0"):
        Limits(**{name: 0})


# ---- uploads


def test_an_image_is_read_and_a_large_one_is_shrunk(tmp_path):
    file = tmp_path / "a.png"
    Image.new("RGB", (40, 20), (255, 0, 0)).save(file)
    assert read_upload(str(file), Limits()).shape == (20, 40, 3)
    assert read_upload(str(file), Limits())[0, 0].tolist() == [0, 0, 255]
    assert read_upload(str(file), Limits(shown_pixels=200)).shape == (10, 20, 3)
    assert read_upload(str(file), Limits(shown_pixels=1)).shape == (1, 1, 3)


def test_what_is_no_usable_image_is_named_without_its_folder(tmp_path):
    noise = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (800, 800, 3), np.uint8)).save(noise)
    with pytest.raises(UserError, match=r"^'noise.png': 1\.8 MiB, the limit is 1 MiB; shrink it"):
        read_upload(str(noise), Limits(mib=1))
    with pytest.raises(UnreadableImageError, match=r"^'noise.png': 800 x 800 pixels .* the limit is 9"):
        read_upload(str(noise), Limits(pixels=9))
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(UnreadableImageError, match=r"^'text.png': cannot be read as an image"):
        read_upload(str(tmp_path / "text.png"), Limits())
    with pytest.raises(UserError, match=r"^'gone.png': has been deleted; drop it again"):
        read_upload(str(tmp_path / "gone.png"), Limits())


# ---- questions


def test_all_tasks_in_the_models_classes(questions, upload):
    answers = questions.ask(upload, tasks=ALL_TASKS)
    assert answers.tasks == tuple(ALL_TASKS)
    assert answers.record["image"] == Path(upload).name
    assert answers.record["path"] is None, "no folder of this machine"
    known = questions.segmenter.source.label_space.classes
    assert {segment["name"] for task in ALL_TASKS for segment in answers.segments(task)} <= set(known)


def test_own_words_replace_the_classes(questions, upload):
    answers = questions.ask(upload, things="red ring, star", stuff="water", tasks=["semantic"])
    names = {segment["name"] for segment in answers.segments("semantic")}
    assert names
    assert names <= {"red ring", "star", "water"}
    assert sum(segment["area"] for segment in answers.segments("semantic")) == 128 * 128


def test_the_lowest_score_leaves_instances_out(questions, upload):
    all_of_them = questions.ask(upload, tasks=["instance"], min_score=0).segments("instance")
    scores = sorted(segment["score"] for segment in all_of_them)
    limit = scores[len(scores) // 2]
    kept = questions.ask(upload, tasks=["instance"], min_score=limit).segments("instance")
    assert 0 < len(kept) == sum(score >= limit for score in scores) < len(scores)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(file=None, tasks=["panoptic"]), "there is no image yet; drop one"),
        (dict(tasks=[]), "no task is chosen; choose one or more"),
        (dict(tasks=["panoptic"], things="dog, dog"), "the word 'dog' appears twice; give it once"),
        (dict(tasks=["panoptic"], things="dog", stuff="sky, dog"), "the word 'dog' appears twice"),
        (dict(tasks=["instance"], stuff="sky"), "task 'instance' finds things"),
        (dict(tasks=["depth"]), "unknown task 'depth'"),
    ],
)
def test_mistakes_are_sentences(questions, upload, given, message):
    with pytest.raises(UserError, match=message):
        questions.ask(given.pop("file", upload), **given)


def test_an_answer_that_takes_too_long_ends_with_a_sentence_and_the_next_one_waits(upload):
    go = threading.Event()
    slow = SimpleNamespace(vocabulary=lambda *_, **__: go.wait(20))
    questions = Questions(slow, limits=Limits(seconds=1))
    try:
        for _ in range(2):  # the second one has not even begun
            with pytest.raises(UserError, match="no answer within 1 seconds; try again later"):
                questions.ask(upload, tasks=["panoptic"])
    finally:
        go.set()
        questions.close()


# ---- answers


def test_the_table_has_a_row_for_each_segment():
    assert COLUMNS == ("number", "class", "kind", "score", "area in pixels", "box x1, y1, x2, y2")
    assert by_hand().table("panoptic") == [
        [1, "dog", "thing", "0.75", 4, "0, 0, 2, 2"],
        [2, "sky", "stuff", "", 12, "0, 2, 6, 4"],
    ]


def test_a_pixel_of_the_enlarged_picture_belongs_to_a_segment():
    answers = by_hand()
    found = [answers.at("panoptic", x, y) for x, y in ((0, 0), (3, 3), (4, 3), (3, 4), (11, 7), (12, 7), (-1, 0))]
    assert found == [1, 1, 0, 2, 2, 0, 0]


def test_segments_and_answers_are_described():
    answers = by_hand()
    assert answers.describe("panoptic", 1) == "Segment 1: dog, score 0.75, 4 pixels, box 0, 0, 2, 2."
    assert answers.describe("panoptic", 2) == "Segment 2: sky, 12 pixels, box 0, 2, 6, 4."
    assert answers.summary("panoptic").startswith("panoptic: 2 segments of 2 classes in 6 x 4 pixels.")
    answers.record["answers"][0]["segments"] = []
    assert answers.summary("panoptic").startswith("panoptic: nothing was found.")


def test_one_segment_alone_and_the_rest_dimmed():
    answers = by_hand()
    assert answers.picture("panoptic") is answers.panels["panoptic"]
    alone = answers.picture("panoptic", 1)
    assert alone.shape == (8, 12, 3)
    assert (alone[-1, -1] == 45).all(), "0.45 * 100"
    assert (answers.image == 100).all()


def test_the_downloads_say_the_same_as_the_model(questions, upload):
    answers = questions.ask(upload, tasks=["panoptic"])
    record = json.loads(answers.to_json())
    assert record == answers.record
    assert (record["height"], record["width"]) == (128, 128)
    assert Image.open(BytesIO(answers.pngs["panoptic"])).size == (128, 128)
    assert answers.panels["panoptic"].shape == (384, 384, 3), "small images are enlarged on the page"


# ---- the command


def test_without_gradio_the_command_to_install_it_is_named(monkeypatch, world):
    monkeypatch.setattr(serving, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r'the page needs gradio, which is not installed; pip install "gradio>='):
        serving.serve(world / "trained.pth")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["no_such.pth"], "no_such.pth"),
        (["trained.pth", "--port", "99999999"], "cannot listen on 127.0.0.1, port 99999999"),
        (["trained.pth", "--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid"),
        (["trained.pth", "--max-words", "0"], "limit 'words': expected 1 or more, got 0"),
        (["trained.pth", "--pretrained", "no_such.pt"], "'no_such.pt' does not exist"),
    ],
)
def test_mistakes_end_the_command_in_one_line(world, monkeypatch, capsys, argv, message):
    monkeypatch.chdir(world)
    monkeypatch.setattr(serving, "find_spec", lambda _: object())
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["web", *argv])
    assert exit_info.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
