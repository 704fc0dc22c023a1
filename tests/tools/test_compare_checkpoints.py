"""Two checkpoints on the same images."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import PixelData
from PIL import Image

from mmdataseg.results.segments import Answer
from mmdataseg.sources import Source
from tools import compare_checkpoints as tool


def answer(label_map, classes=("dog", "cat")):
    space = dict(name="pets", classes=classes, is_thing=(True,) * len(classes))
    sample = DetDataSample(metainfo=dict(ori_shape=label_map.shape))
    sample.pred_sem_seg = PixelData(sem_seg=torch.as_tensor(label_map)[None])
    return Answer(source=Source.from_config(dict(name="pets", task="semantic", label_space=space)), prediction=sample)


def test_classes_are_compared_by_name():
    first = answer(np.array([[0, 0, 1, 1]]))
    assert tool.differing(first, first).tolist() == [[False] * 4]
    assert tool.differing(first, answer(np.array([[0, 1, 1, 0]]))).tolist() == [[False, True, False, True]]
    turned = answer(np.array([[1, 1, 0, 2]]), classes=("cat", "dog", "bird"))
    assert tool.differing(first, turned).tolist() == [[False, False, False, True]]
    assert tool.same_classes(first, first)
    assert not tool.same_classes(first, turned)


def test_where_only_one_names_a_class_they_differ():
    nothing = answer(np.array([[-1, 0, 1, 1]]))
    assert tool.differing(answer(np.array([[0, 0, 1, 1]])), nothing).tolist() == [[True, False, False, False]]


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ("a/before.pth", "b/after.pth", ("before.pth", "after.pth")),
        ("runs/a/iter_9.pth", "runs/b/iter_9.pth", ("a/iter_9.pth", "b/iter_9.pth")),
        ("iter_9.pth", "b/iter_9.pth", ("iter_9.pth", "b/iter_9.pth")),
        ("same.pth", "same.pth", ("same.pth", "same.pth")),
    ],
)
def test_names_of_checkpoints_differ(first, second, names):
    assert tool.short_names(first, second) == names


@pytest.fixture
def other(trained_world):
    """The toy model with other class embeddings."""
    content = torch.load(trained_world / "trained.pth", weights_only=True)
    generator = torch.Generator().manual_seed(1)
    for name, value in content["state_dict"].items():
        if "class_embed" in name:
            value.copy_(torch.randn(value.shape, generator=generator))
    torch.save(content, trained_world / "other.pth")
    return "other.pth"


def test_a_picture_for_each_image_and_images_that_cannot_be_read_are_told(
    trained_world, other, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(trained_world)
    images = tmp_path / "images"
    images.mkdir()
    for number, file in enumerate(sorted((trained_world / "data/toy/toy_open/val").iterdir())[:2]):
        (images / f"{number}.jpg").write_bytes(file.read_bytes())
    (images / "broken.jpg").write_bytes(b"\xff\xd8 no image")
    out = tmp_path / "out"
    common = [str(images), "--out", str(out), "--task", "semantic", "--device", "cpu"]
    assert tool.main(["trained.pth", other, *common]) == 1, "an image was left out"
    assert sorted(path.name for path in out.iterdir()) == ["0.png", "1.png"]
    assert Image.open(out / "0.png").size == (4 * 384 + 5 * 8, 26 + 384 + 8)
    printed = capsys.readouterr()
    assert f"2 pictures in {out}" in printed.out
    assert "1 image was left out" in printed.err
    (images / "broken.jpg").unlink()
    assert tool.main(["trained.pth", "trained.pth", *common, "--things", "red ring", "--stuff", "water"]) == 0
    assert "classes differ on 0.0 % of the pixels; on the worst image 0.0 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such.pth", "trained.pth", "data"], "no_such.pth"),
        (["trained.pth", "trained.pth", "no_such_folder"], "no_such_folder"),
        (["trained.pth", "trained.pth", "data/toy/toy_open", "--min-score", "3"], "--min-score: expected 0 .. 1"),
        (["trained.pth", "trained.pth", "data/toy/toy_open", "--source", "x"], "source 'x'"),
    ],
)
def test_mistakes_end_in_one_line(trained_world, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(trained_world)
    with pytest.raises(SystemExit) as exit_info:
        tool.main(arguments)
    assert exit_info.value.code == 1
    assert message in capsys.readouterr().err
