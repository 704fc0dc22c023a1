"""No way by which mmengine opens a checkpoint runs code from it."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.runner import CheckpointLoader, load_checkpoint

from mmdataseg.checkpoints.mmengine_loading import REFUSED, use_safe_reader
from mmdataseg.errors import MissingFileError, UserError


class Attack:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def schemes(monkeypatch):
    """mmengine's loaders are put back afterwards."""
    monkeypatch.setattr(CheckpointLoader, "_schemes", dict(CheckpointLoader._schemes))
    use_safe_reader()


@pytest.fixture
def attack(tmp_path):
    file = tmp_path / "attack.pth"
    torch.save({"state_dict": {"weight": torch.ones(1, 1)}, "meta": Attack(tmp_path / "ran")}, file)
    return file


@pytest.mark.usefixtures("schemes")
def test_code_in_a_checkpoint_is_refused_and_not_run(attack):
    with pytest.raises(UserError, match=r"its pickle calls .*mkdir"):
        load_checkpoint(torch.nn.Linear(1, 1), str(attack))
    assert not (attack.parent / "ran").exists()


@pytest.mark.usefixtures("schemes")
def test_trust_runs_it(attack):
    use_safe_reader(trust=True)
    load_checkpoint(torch.nn.Linear(1, 1), str(attack), strict=False)
    assert (attack.parent / "ran").exists()


@pytest.mark.usefixtures("schemes")
def test_tensors_and_plain_values_are_loaded(tmp_path):
    torch.save({"state_dict": {"weight": torch.full((1, 1), 3.0)}, "meta": {"iter": 7}}, tmp_path / "a.pth")
    layer = torch.nn.Linear(1, 1, bias=False)
    assert load_checkpoint(layer, str(tmp_path / "a.pth"))["meta"] == {"iter": 7}
    assert layer.weight.item() == 3.0


@pytest.mark.usefixtures("schemes")
def test_a_missing_file(tmp_path):
    with pytest.raises(MissingFileError, match=r"none\.pth': no such file"):
        CheckpointLoader.load_checkpoint(str(tmp_path / "none.pth"))


@pytest.mark.usefixtures("schemes")
@pytest.mark.parametrize("prefix", REFUSED)
def test_other_kinds_of_addresses_are_refused(prefix):
    with pytest.raises(UserError, match="download the file and give its path"):
        CheckpointLoader.load_checkpoint(f"{prefix}a.pth")


@pytest.mark.usefixtures("schemes")
def test_torchvision_names_its_weights():
    with pytest.raises(UserError, match="torchvision has no weights 'resnet5'"):
        CheckpointLoader.load_checkpoint("torchvision://resnet5")
