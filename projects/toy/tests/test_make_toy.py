"""The command that makes the toy world."""

import importlib.util

import cv2
import pytest
import torch
from mmengine.config import Config

from mmdataseg.structures import LabelSpace
from mmdataseg.text.embeddings import load_embeddings
from mmdataseg.text.hashing import warn_of_stand_in
from projects.toy.world.vocabulary import BOX_ONLY_CLASSES, TOY_MIXED, TOY_SOURCES

SMALL = ["--size", "64", "--train-images", "1", "2", "1", "--val-images", "1"]


@pytest.fixture(scope="module")
def make_toy(repo_root):
    """The tool as a module."""
    spec = importlib.util.spec_from_file_location("make_toy", repo_root / "projects/toy/make_toy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_makes_world_embeddings_readme_and_preview(make_toy, tmp_path, capsys):
    make_toy.main([str(tmp_path), *SMALL, "--preview"])
    assert "8 images drawn" in capsys.readouterr().out
    assert len(list(tmp_path.rglob("*.jpg"))) == 8
    assert cv2.imread(str(tmp_path / "preview.png")) is not None
    readme = (tmp_path / "README.md").read_text()
    assert "stand-in" in readme
    assert all(name in readme for name in BOX_ONLY_CLASSES)
    assert {p.stem for p in (tmp_path / "embeddings").iterdir()} == {*TOY_SOURCES, TOY_MIXED.name}


def test_a_second_run_does_nothing(make_toy, tmp_path, capsys):
    make_toy.main([str(tmp_path), *SMALL, "--preview"])
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    capsys.readouterr()
    make_toy.main([str(tmp_path), *SMALL, "--preview"])
    assert "nothing to do" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_embeddings_fit_the_source_configs_and_share_directions(make_toy, tmp_path, repo_root):
    make_toy.main([str(tmp_path), *SMALL])
    loaded = {}
    for file in sorted((repo_root / "projects/toy/configs/_base_/sources").glob("toy_*.py")):
        source = Config.fromfile(file)[file.stem]
        if source.get("embeddings") is None:  # sources for a learned classifier have none
            continue
        path = source.embeddings.replace("data/toy", str(tmp_path), 1)
        loaded[file.stem] = load_embeddings(path, label_space=LabelSpace(**source.label_space))
        assert loaded[file.stem].is_stand_in
    assert len(loaded) == 5
    semantic, panoptic = loaded["toy_semantic"], loaded["toy_panoptic"]
    alike = semantic.matrix[semantic.classes.index("red round disc")] @ panoptic.matrix.T
    assert panoptic.classes[int(torch.argmax(alike))] == "red disc"


def test_embeddings_of_other_classes_are_made_again_and_the_stand_in_is_one_line(make_toy, tmp_path, capfd):
    warn_of_stand_in.cache_clear()
    make_toy.main([str(tmp_path), *SMALL])
    path = tmp_path / "embeddings/toy_open.safetensors"
    path.write_bytes((path.parent / "toy_boxes.safetensors").read_bytes())
    capfd.readouterr()
    make_toy.main([str(tmp_path), *SMALL])
    printed = capfd.readouterr()
    assert "0 images drawn, 1 files of embeddings (hashing encoder, a stand-in) written" in printed.out
    assert (printed.out + printed.err).count("hashing encoder") == 1
    assert load_embeddings(path).vocabulary == "toy_open"


@pytest.mark.parametrize("damage", ["missing", "broken"])
def test_missing_or_broken_embeddings_are_made_again(make_toy, tmp_path, capsys, damage):
    make_toy.main([str(tmp_path), *SMALL])
    path = tmp_path / "embeddings/toy_open.safetensors"
    whole = load_embeddings(path)
    path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes()[:100])
    capsys.readouterr()
    make_toy.main([str(tmp_path), *SMALL])
    assert "0 images drawn, 1 files" in capsys.readouterr().out
    assert torch.equal(load_embeddings(path).matrix, whole.matrix)


def test_another_world_in_the_folder_is_an_error_with_a_remedy(make_toy, tmp_path):
    make_toy.main([str(tmp_path), *SMALL])
    with pytest.raises(SystemExit, match="seed is 0 there, but 9 was requested; delete the folder or choose another"):
        make_toy.main([str(tmp_path), *SMALL, "--seed", "9"])


def test_defaults_are_those_that_the_configs_expect(make_toy):
    args = make_toy.parse_args([])
    assert str(args.out) == "data/toy"
    assert args.size == 128
    assert args.train_images[0] < min(args.train_images[1:]), "the semantic source is the small one"
