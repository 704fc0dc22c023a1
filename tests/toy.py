"""The toy world as data for tests. Tests that need it are skipped where projects/toy was deleted."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmdataseg.apis.config.plain import PlainConfig
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.registry import MODELS

make_toy = pytest.importorskip("projects.toy.make_toy", reason="projects/toy is not there").main


def make_trained_world(folder: Path, repo_root: Path) -> None:
    """A toy world and, in it, random weights of the toy model, sure of what they see.

    Args:
        folder: Gets ``data/toy``, ``weights.pth``, and ``trained.pth`` with the config, as a training saves it.
        repo_root: Root of the source tree.
    """
    make_toy([str(folder / "data/toy"), "--train-images", "1", "1", "1", "--val-images", "3"])
    register_all_modules()
    init_default_scope("mmdet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        torch.manual_seed(0)
        model = MODELS.build(Config.fromfile(repo_root / "projects/toy/configs/dataseg_toy_3ds.py").model)
    model.classifier.log_scale.data.fill_(5.0)
    torch.save({"state_dict": model.state_dict()}, folder / "weights.pth")
    cfg = PlainConfig.of(Config.fromfile(repo_root / "projects/toy/configs/dataseg_toy_3ds.py"))
    torch.save({"state_dict": model.state_dict(), "meta": {"cfg": cfg.pretty_text}}, folder / "trained.pth")
