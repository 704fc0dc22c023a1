"""Vocabularies and their files."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from mmdataseg.errors import MissingFileError, UserError
from mmdataseg.structures import LabelSpace
from mmdataseg.text.embeddings import load_embeddings, read_metadata, read_thing_flags, save_embeddings
from mmdataseg.text.encoding import embed_classes
from mmdataseg.text.hashing import HashingEncoder
from mmdataseg.text.vocabulary import Vocabulary


@pytest.fixture
def text():
    return embed_classes(HashingEncoder(dim=16), ["red car", "road", "sky"], vocabulary="street")


def test_things_are_those_that_are_not_stuff(text):
    words = Vocabulary.of(text, name="mine", stuff=[" road", "sky"])
    assert words.label_space == LabelSpace("mine", ("red car", "road", "sky"), (True, False, False))
    assert (words.name, len(words)) == ("mine", 3)
    assert torch.equal(words.vectors_KD, text.matrix)


def test_a_file_keeps_words_flags_and_vectors(text, tmp_path):
    words = Vocabulary.of(text, name="street", stuff=["road"])
    again = Vocabulary.load(words.save(tmp_path / "new/street.safetensors"))
    assert again.label_space == words.label_space
    torch.testing.assert_close(again.vectors_KD, words.vectors_KD, atol=1e-3, rtol=0)
    assert again.text.encoder == text.encoder
    assert again.text.prompts == text.prompts


def test_the_file_is_one_of_text_embeddings(text, tmp_path):
    path = Vocabulary.of(text, name="street").save(tmp_path / "street.safetensors")
    assert load_embeddings(path).classes == text.classes


def test_a_file_of_text_embeddings_has_things_unless_told(text, tmp_path):
    path = save_embeddings(tmp_path / "x.safetensors", text)
    assert read_thing_flags(path) is None
    assert Vocabulary.load(path).label_space.is_thing == (True, True, True)
    assert Vocabulary.load(path, stuff=["sky"]).label_space.is_thing == (True, True, False)


def test_stuff_that_is_given_comes_before_the_file(text, tmp_path):
    path = Vocabulary.of(text, name="street", stuff=["road"]).save(tmp_path / "street.safetensors")
    assert Vocabulary.load(path, stuff=["sky"]).label_space.is_thing == (True, True, False)
    assert Vocabulary.load(path, stuff=[]).label_space.is_thing == (True, True, True)


def test_mistakes(text, tmp_path):
    with pytest.raises(UserError, match="has no class 'sea'"):
        Vocabulary.of(text, name="x", stuff=["sea"])
    with pytest.raises(MissingFileError, match="no such file"):
        Vocabulary.load(tmp_path / "absent.safetensors")
    path = Vocabulary.of(text, name="x").save(tmp_path / "x.safetensors")
    for flags in ("[true]", "[1, 0, 1]", '{"a": 1}', "x"):
        save_file(load_file(path), tmp_path / "wrong.safetensors", {**read_metadata(path), "is_thing": flags})
        with pytest.raises(UserError, match="metadata 'is_thing'"):
            read_thing_flags(tmp_path / "wrong.safetensors")
