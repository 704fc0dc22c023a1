"""Losses in double precision: what is compared, and one training."""

import json

import numpy as np
import pytest
import torch

from tests import layouts
from tests.toy import make_toy
from tools.first_losses import differences, main, points_for_all

CONFIG = layouts.ROOT / "projects/toy/configs/dataseg_toy_3ds.py"


def test_differences_by_hand():
    assert differences([2.0, 4.0], [2.0, 3.0]) == [0.0, 0.25]


def test_other_numbers_of_iterations_are_refused():
    with pytest.raises(ValueError, match="losses of 1 iterations, got 2; give the same --iterations"):
        differences([1.0, 2.0], [1.0])


def test_points_for_all_masks_are_the_same_and_use_no_random_numbers():
    state = torch.get_rng_state()
    points = points_for_all(3, 50, 2, device="cpu")
    assert points.shape == (3, 50, 2)
    assert (points == points[0]).all()
    assert len(points[0].unique()) == 100
    assert torch.equal(points_for_all(7, 50, 2)[:3], points)
    assert torch.equal(torch.get_rng_state(), state)


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
