"""Classes of different vocabularies in text space: pairs, tables, the picture."""

import numpy as np
import pytest
import torch
from PIL import Image

from mmdataseg.text.embeddings import TextEmbeddings, save_embeddings
from mmdataseg.text.hashing import HashingEncoder
from mmdataseg.text.recipe import EncoderInfo
from tools import class_map as tool


def angles(name, **degrees):
    """A vocabulary of unit vectors in a plane: class -> angle."""
    turned = np.deg2rad(np.array(list(degrees.values()), float))
    return tool.Words(name=name, classes=tuple(degrees), rows=np.stack([np.cos(turned), np.sin(turned)], axis=1))


def named(words, pairs):
    return {
        (words[p.first[0]].classes[p.first[1]], words[p.second[0]].classes[p.second[1]]): (
            None if p.nearer is None else words[p.nearer[0]].classes[p.nearer[1]]
        )
        for p in pairs
    }


def test_pairs_by_hand():
    """sofa and couch are nearest both ways. motorcycle has no counterpart: bicycle is nearest, and has another."""
    words = [angles("a", sofa=0, bicycle=90), angles("b", couch=5, bicycle=90, motorcycle=70)]
    pairs = tool.nearest_pairs(words)
    assert named(words, pairs) == {
        ("sofa", "couch"): None,
        ("bicycle", "bicycle"): None,
        ("bicycle", "motorcycle"): "bicycle",
    }
    assert [round(pair.cosine, 4) for pair in pairs] == [1.0, 0.9962, 0.9397], "cosines of 0, 5 and 20 degrees"


def test_each_pair_appears_once_and_every_class_has_one_per_other_vocabulary():
    generator = np.random.default_rng(0)
    words = []
    for name, number in (("a", 5), ("b", 7), ("c", 4)):
        rows = generator.normal(size=(number, 8))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        words.append(tool.Words(name=name, classes=tuple(f"{name}{i}" for i in range(number)), rows=rows))
    pairs = tool.nearest_pairs(words)
    ends = [(pair.first, pair.second) for pair in pairs]
    assert len(set(ends)) == len(ends)
    for vocabulary, word in enumerate(words):
        for index in range(len(word.classes)):
            others = {other[0] for pair in ends for end, other in (pair, pair[::-1]) if end == (vocabulary, index)}
            assert others == {0, 1, 2} - {vocabulary}
    assert [pair.cosine for pair in pairs] == sorted((pair.cosine for pair in pairs), reverse=True)


def test_the_tables_tell_two_names_from_one_and_put_different_kinds_first():
    first, second = angles("a", sofa=0, Bar=90, zebra=200), angles("b", couch=5, bar=91, zebra=200)
    words = [
        tool.Words(name="a", classes=first.classes, rows=first.rows, is_thing=(True, False, True)),
        tool.Words(name="b", classes=second.classes, rows=second.rows, is_thing=(True, True, True)),
    ]
    lines = tool.tables(words, tool.nearest_pairs(words), limit=5).splitlines()
    assert "| 0.996 | sofa (a) | couch (b) | both ways | thing |" in lines
    start = lines.index("One name, 2 pairs:")
    assert lines[start + 4] == "| Bar | a; b | stuff, thing |"
    assert lines[start + 5] == "| zebra | a; b | thing |"
    short = tool.tables(words, tool.nearest_pairs(words), limit=1)
    assert short.startswith("Two names, the nearest 1 of 1 pairs:")


def test_principal_components_of_points_on_a_line():
    positions, variance = tool.project(np.array([[0.0, 0, 0], [3, 4, 0], [6, 8, 0]]))
    np.testing.assert_allclose(np.abs(positions[:, 0]), [5, 0, 5], atol=1e-9)
    np.testing.assert_allclose(positions[:, 1], 0, atol=1e-9)
    np.testing.assert_allclose(variance, [1, 0], atol=1e-9)


@pytest.fixture
def files(tmp_path):
    """Two files of text embeddings, ``garage`` and ``street``."""
    encoder, paths = HashingEncoder(dim=64), []
    for name, classes in (("garage", ("red car", "bicycle")), ("street", ("car", "bicycle", "sky"))):
        text = TextEmbeddings(matrix=encoder(classes), classes=classes, encoder=encoder.info, vocabulary=name)
        flags = tuple(word != "sky" for word in classes)
        paths.append(str(save_embeddings(tmp_path / f"{name}.safetensors", text, is_thing=flags)))
    return paths


def test_files_become_tables_and_a_picture(files, tmp_path, capsys):
    out = tmp_path / "new/map.png"
    tool.main([*files, "--out", str(out), "--pairs", "3"])
    printed = capsys.readouterr().out
    assert "| red car (garage) | car (street) | both ways | thing |" in printed
    assert "| bicycle | garage; street | thing |" in printed
    assert Image.open(out).size == (1540, 1100)


def test_the_vocabularies_of_a_checkpoint(trained_world, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(trained_world)
    tool.main(["trained.pth", "--out", str(tmp_path / "map.png")])
    printed = capsys.readouterr().out
    assert "toy_semantic, toy_semantic_as_panoptic" in printed, "one vocabulary of two sources"
    assert "| yellow triangle (toy_panoptic) | yellow pointed triangle (toy_boxes) | both ways | thing |" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one"], "expected two vocabularies or more, got 1; give more files"),
        (["one", "two", "--pairs", "0"], "--pairs: expected 1 or more"),
        (["one", "two", "--out", "map.txt"], "--out: expected .png"),
        (["one", "no_such.safetensors"], "no_such.safetensors"),
    ],
)
def test_mistakes_end_in_one_line(files, capsys, arguments, message):
    given = [{"one": files[0], "two": files[1]}.get(word, word) for word in arguments]
    with pytest.raises(SystemExit) as exit_info:
        tool.main(given)
    assert exit_info.value.code == 1
    assert message in capsys.readouterr().err


def test_files_of_two_encoders_are_refused(files, tmp_path, capsys):
    other = TextEmbeddings(
        matrix=torch.nn.functional.normalize(torch.ones(1, 64)),
        classes=("dog",),
        encoder=EncoderInfo(library="open_clip", model="ViT-B-16", weights="openai"),
    )
    path = save_embeddings(tmp_path / "other.safetensors", other)
    with pytest.raises(SystemExit):
        tool.main([files[0], str(path)])
    assert "different encoders" in capsys.readouterr().err
