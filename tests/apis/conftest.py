"""A toy world with a model that was never trained."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmdataseg.apis.plain_config import PlainConfig
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.registry import MODELS
from tests.toy import make_toy


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> Path:
    """A toy world and, in it, random weights of the toy model, sure of what they see: ``weights.pth``, and
    ``trained.pth`` with the config, as a training saves it."""
    folder = tmp_path_factory.mktemp("world")
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
    return folder
