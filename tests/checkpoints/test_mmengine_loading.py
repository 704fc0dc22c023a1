"""However mmengine opens a checkpoint, no code in it is run."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.runner import CheckpointLoader, load_checkpoint
from safetensors.torch import save_file

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
    """Restore mmengine's loaders afterwards."""
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
def test_with_trust_code_in_a_checkpoint_runs(attack):
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
def test_a_file_of_only_weights_is_a_checkpoint_for_hooks(tmp_path):
    """mmengine's EMAHook reads ``state_dict``."""
    weights = {"weight": torch.full((1, 1), 3.0)}
    torch.save(weights, tmp_path / "a.pth")
    save_file(weights, tmp_path / "a.safetensors")
    for name in ("a.pth", "a.safetensors"):
        assert CheckpointLoader.load_checkpoint(str(tmp_path / name)) == {"state_dict": weights}
    torch.save({"model": weights}, tmp_path / "b.pth")  # as Swin's authors publish theirs; mmdet looks for the key
    assert CheckpointLoader.load_checkpoint(str(tmp_path / "b.pth")) == {"model": weights}


@pytest.mark.usefixtures("schemes")
def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"none\.pth': no such file"):
        CheckpointLoader.load_checkpoint(str(tmp_path / "none.pth"))


@pytest.mark.usefixtures("schemes")
@pytest.mark.parametrize("prefix", REFUSED)
def test_other_kinds_of_addresses_are_refused(prefix):
    with pytest.raises(UserError, match="download the file and give its path"):
        CheckpointLoader.load_checkpoint(f"{prefix}a.pth")


@pytest.mark.usefixtures("schemes")
def test_unknown_weights_of_torchvision_are_refused():
    with pytest.raises(UserError, match="torchvision has no weights 'resnet5'"):
        CheckpointLoader.load_checkpoint("torchvision://resnet5")
