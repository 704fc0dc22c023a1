"""The measurement of old and new words together: its numbers are those of ``test``, and its table."""

import pytest
import torch

from mmdataseg.apis.runs import run_testing
from projects.toy import mixed_words
from tests.toy import make_trained_world


def test_the_table_has_the_harmonic_mean_of_both_scores() -> None:
    found = {"a.pth": {1.0: (20.0, 0.0), 3.0: (10.0, 30.0)}}
    *_, first, second = mixed_words.table(found).splitlines()
    assert first == "| a.pth | 1 | 20.0 | 0.0 | 0.0 |"
    assert second == "| a.pth | 3 | 10.0 | 30.0 | 15.0 |"


def test_each_weight_gives_the_scores_of_a_test_with_that_weight(tmp_path, monkeypatch, repo_root) -> None:
    make_trained_world(tmp_path, repo_root)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    config, weights = "dataseg_toy_3ds_mixed-words.py", (1.0, 1e80)
    found = mixed_words.scores(config, "weights.pth", weights)
    for weight in weights:
        options = {"model.classifier.new_words_weight": weight}
        options |= {"test_dataloader.num_workers": 0, "test_dataloader.persistent_workers": False}
        expected = run_testing(config, "weights.pth", work_dir=str(tmp_path / f"{weight:g}"), options=options)
        pair = (expected[mixed_words.OWN], expected[mixed_words.NEW])
        assert found[weight] == pytest.approx(pair, abs=1e-9, nan_ok=True)
