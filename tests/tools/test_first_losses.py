"""Losses in double precision: what is compared, and one training."""

import json

import numpy as np
import pytest

from tests import layouts
from tests.toy import make_toy
from tools.first_losses import differences, main

CONFIG = layouts.ROOT / "projects/toy/configs/dataseg_toy_3ds.py"


def test_differences_by_hand():
    assert differences([2.0, 4.0], [2.0, 3.0]) == [0.0, 0.25]


def test_other_numbers_of_iterations_are_refused():
    with pytest.raises(ValueError, match="losses of 1 iterations, got 2; give the same --iterations"):
        differences([1.0, 2.0], [1.0])


@pytest.mark.slow
def test_the_same_code_gives_the_same_losses_in_double_precision(tmp_path, monkeypatch, capsys):
    """Then a loss of the first run is changed in its file, by less and by more than what is called the same."""
    make_toy([str(tmp_path / "data/toy"), "--train-images", "8", "8", "8", "--val-images", "1"])
    monkeypatch.chdir(tmp_path)
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    assert main([str(CONFIG), str(before), "--iterations", "3"]) == 0
    losses = json.loads(before.read_text())
    assert len(losses) == 3
    assert all(loss != float(np.float32(loss)) for loss in losses)
    same, other = (0, "the same"), (1, "another result")
    for factor, (code, verdict) in ((1.0, same), (1 + 1e-7, same), (1 + 1e-3, other), (float("nan"), other)):
        before.write_text(json.dumps([losses[0], losses[1] * factor, losses[2]]))
        assert main([str(CONFIG), str(after), "--iterations", "3", "--against", str(before)]) == code
        assert f"({verdict})" in capsys.readouterr().out
    assert json.loads(after.read_text()) == losses
