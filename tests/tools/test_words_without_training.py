"""The table of synonyms, from rows that are drawn."""

import json

import numpy as np
import pytest
import torch

from tools import words_without_training as tool


@pytest.fixture
def folder(tmp_path):
    """Rows of which a word's is its synonym's, nearly."""
    known = {
        name: number for number, name in enumerate({s for pairs in tool.SYNONYMS.values() for s in pairs.values()})
    }
    rows = torch.nn.functional.normalize(torch.randn(len(known), 64, generator=torch.Generator().manual_seed(0)), dim=1)
    vocabularies = {tool.KNOWN: list(known)}
    np.save(tmp_path / f"{tool.KNOWN}.npy", rows.numpy())
    for vocabulary, pairs in tool.SYNONYMS.items():
        vocabularies[vocabulary] = list(pairs)
        near = rows[[known[synonym] for synonym in pairs.values()]]
        near = near + 0.01 * torch.randn(near.shape, generator=torch.Generator().manual_seed(1))
        np.save(tmp_path / f"{vocabulary}.npy", near.numpy())
    named = {key: [{"id": i, "name": name} for i, name in enumerate(names)] for key, names in vocabularies.items()}
    (tmp_path / "vocabularies.json").write_text(json.dumps(named))
    return tmp_path


def test_a_word_whose_row_is_its_synonyms_wins(folder):
    known = tool.read_rows(folder, tool.KNOWN)
    for vocabulary, pairs in tool.SYNONYMS.items():
        found = tool.hits(known, tool.read_rows(folder, vocabulary), pairs, "random")
        assert found["0"] > 0.95
        assert list(found) == [*(f"{ridge:g}" for ridge in tool.RIDGES), "nearest"]


def test_the_table_has_a_row_for_each_vocabulary_and_kind_of_layer(folder, capsys):
    tool.main([str(folder)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 2 * (1 + len(tool.SYNONYMS))
    assert all("| 100 |" in line for line in lines[2:4]), "known words are exact without a ridge"
    assert {line.count("|") for line in lines} == {len(tool.RIDGES) + 5}


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"no vocabularies\.json in it"):
        tool.main([str(tmp_path)])


def test_words_and_synonyms_are_in_the_vocabularies(mini_world):
    folder = mini_world / "text"
    known, _ = tool.read_rows(folder, tool.KNOWN)
    for vocabulary, pairs in tool.SYNONYMS.items():
        names, _ = tool.read_rows(folder, vocabulary)
        assert set(pairs) <= set(names)
        assert set(pairs.values()) <= set(known)
