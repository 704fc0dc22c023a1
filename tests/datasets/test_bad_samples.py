"""Samples of `MultiSourceDataset` that cannot be used: which are replaced in training, and which are an error."""

import pytest

from mmdataseg.datasets import multi_source
from mmdataseg.datasets.seeding import SeededIndex
from mmdataseg.errors import UserError
from tests.datasets.numbered import build, source, write_images


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr(multi_source, "print_log", lambda message, **_: lines.append(message))
    return lines


def test_a_sample_without_result_is_replaced_by_another_of_its_source(log):
    pipeline = [{"type": "mmdataseg.FailOn", "numbers": [2]}]
    dataset = build(source("a", size=3), source("b", size=9, pipeline=pipeline))
    replaced = [dataset[SeededIndex(5, seed)] for seed in range(20)]
    assert {s["source"] for s in replaced} == {"b"}
    assert 2 not in {s["number"] for s in replaced}
    assert len({s["number"] for s in replaced}) > 3
    assert [s["number"] for s in replaced] == [dataset[SeededIndex(5, seed)]["number"] for seed in range(20)]
    assert all(s["sample_idx"] == s["number"] + 3 for s in replaced)
    assert dataset.num_replaced["a"] == 0
    assert dataset.num_replaced["b"] >= 40
    assert "source 'b': 'img/2.jpg': the pipeline returned no sample" in log[0]
    assert len(log) == 10  # then every hundredth


@pytest.mark.parametrize("idx", [SeededIndex(1, 9), 1])
def test_too_many_bad_samples_in_a_row_are_an_error(log, idx):
    dataset = build(source(pipeline=[{"type": "mmdataseg.FailOn"}]), max_refetch=3)
    with pytest.raises(ValueError, match=r"source 'a': 'img/\d.jpg': .*no sample\. 4 samples .* in a row"):
        dataset[idx]
    assert len(log) == dataset.num_replaced["a"] == 4


def test_in_testing_a_sample_without_result_is_an_error_at_once(log):
    dataset = build(source(split="test", pipeline=[{"type": "mmdataseg.FailOn", "numbers": [2]}]), split="test")
    assert dataset[1]["number"] == 1
    with pytest.raises(ValueError, match=r"source 'a': 'img/2.jpg': the pipeline returned no sample"):
        dataset[2]
    assert not log


@pytest.mark.usefixtures("mmdet_scope")
@pytest.mark.parametrize("content", [b"no image", b""])
@pytest.mark.parametrize("backend", ["cv2", "pillow"])
@pytest.mark.parametrize("loader", ["LoadImageFromFile", "mmdataseg.LoadImage"])
def test_an_undecodable_image_is_replaced_in_training_and_named_in_testing(tmp_path, log, content, backend, loader):
    prefix = write_images(tmp_path / "images", broken=2, content=content)
    pipeline = [{"type": loader, "imdecode_backend": backend}]
    train = build(source(prefix=prefix, pipeline=pipeline))
    sample = train[SeededIndex(2, 4)]
    assert sample["number"] != 2
    assert sample["img"].shape == (8, 10, 3)
    assert f"{prefix}/2.jpg" in log[0]
    test = build(source(split="test", prefix=prefix, pipeline=pipeline), split="test")
    with pytest.raises((ValueError, OSError), match=r"source 'a'.*images/2\.jpg"):
        test[2]


@pytest.mark.usefixtures("mmdet_scope")
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_missing_image_is_an_error_at_once(tmp_path, split, log):
    prefix = write_images(tmp_path / "images")
    (tmp_path / "images" / "2.jpg").unlink()
    dataset = build(source(split=split, prefix=prefix, pipeline=[{"type": "LoadImageFromFile"}]), split=split)
    with pytest.raises(FileNotFoundError, match=r"source 'a'.*images/2\.jpg"):
        dataset[2]
    assert not log


@pytest.mark.parametrize(
    ("raised", "expected", "match"),
    [
        (ValueError("box has no width"), UserError, r"^source 'a': 'img/2.jpg': box has no width$"),
        (UserError("said", source="a", file="x.json"), UserError, r"^source 'a': 'x.json': said$"),
        (UserError("said", source="a"), UserError, r"^source 'a': 'img/2.jpg': said$"),
        (UserError("said", file="x.json"), UserError, r"^source 'a': 'x.json': said$"),
        (KeyError("bbox"), UserError, r"^source 'a': 'img/2.jpg': KeyError: 'bbox'$"),
        (AssertionError("shapes"), UserError, r"'img/2.jpg': AssertionError: shapes"),
        (TypeError("a list"), UserError, r"source 'a': 'img/2.jpg': TypeError: a list"),
        (RuntimeError("boom"), RuntimeError, r"source 'a': 'img/2.jpg': RuntimeError: boom"),
    ],
)
def test_a_mistake_in_the_annotation_is_not_hidden_by_a_replacement(raised, expected, match, log):
    dataset = build(source(pipeline=[{"type": "mmdataseg.FailOn", "numbers": [2], "error": raised}]))
    with pytest.raises(expected, match=match) as caught:
        dataset[SeededIndex(2, 0)]
    assert type(caught.value) is expected
    assert caught.value is raised or caught.value.__cause__ is raised
    assert not log
