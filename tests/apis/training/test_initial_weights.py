"""The weights that a training starts from are looked for before anything is built."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmdataseg.apis import runs
from mmdataseg.apis.config.files import find_config
from mmdataseg.apis.training.initial_weights import fetch_initial_weights
from mmdataseg.errors import MissingFileError, UserError
from tests.config_world import load

CHOICE = (
    r"give a file: --cfg-options model\.backbone\.init_cfg\.checkpoint=PATH; or model\.backbone\.init_cfg=None, "
    "to train from scratch"
)


def config(checkpoint: str) -> Config:
    return Config(dict(model=dict(backbone=dict(init_cfg=dict(type="Pretrained", checkpoint=checkpoint)))))


def test_weights_that_cannot_be_downloaded_can_be_given_as_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match=f"cannot be reached .*; {CHOICE}"):
        fetch_initial_weights(config("http://127.0.0.1:1/resnet50.pth"))


def test_a_missing_file_of_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=rf"none\.pth': no such file; expected weights to start from; {CHOICE}"):
        fetch_initial_weights(config(str(tmp_path / "none.pth")))


def test_a_wrong_name_of_torchvision_is_refused() -> None:
    with pytest.raises(UserError, match=f"torchvision has no weights 'resnet5'; {CHOICE}"):
        fetch_initial_weights(config("torchvision://resnet5"))


def test_weights_of_a_path_or_in_the_cache_are_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    for name in ("resnet50-11ad3fa6.pth", "resnet50-0676ba61.pth", "resnet50-19c8e357.pth"):  # of torch's versions
        torch.save({}, tmp_path / "hub/checkpoints" / name)
    torch.save({}, tmp_path / "own.pth")
    fetch_initial_weights(config("torchvision://resnet50"))
    fetch_initial_weights(config(str(tmp_path / "own.pth")))


def test_a_model_from_scratch_needs_none() -> None:
    fetch_initial_weights(Config(dict(model=dict(backbone=dict(init_cfg=None)))))
    fetch_initial_weights(load(find_config("dataseg_mini_3ds.py")))


def test_a_training_asks_before_it_reads_the_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And the two settings of the message do what it says."""
    monkeypatch.chdir(tmp_path)
    for name in ("ADEChallengeData2016", "coco", "objects365"):
        (tmp_path / "data" / name).mkdir(parents=True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("mmdataseg.apis.training.initial_weights.download", _unreachable)
    with pytest.raises(UserError, match=f"https://.*resnet50.*: no network; {CHOICE}"):
        runs.run_training("dataseg_r50_3ds.py")
    monkeypatch.setattr(runs, "build_runner", _built)
    torch.save({}, tmp_path / "own.pth")
    for option, value in (("model.backbone.init_cfg.checkpoint", "own.pth"), ("model.backbone.init_cfg", None)):
        with pytest.raises(Built):
            runs.run_training("dataseg_r50_3ds.py", options={option: value})


class Built(Exception):
    """The Runner would be built now."""


def _built(_cfg: Config) -> None:
    raise Built


def _unreachable(address: str) -> Path:
    raise UserError(f"{address}: no network")
