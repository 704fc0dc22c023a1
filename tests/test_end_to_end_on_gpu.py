"""Train, test and draw on a GPU, or on the stand-in of `tests.fake_cuda`."""

from pathlib import Path

import mmengine.runner.runner
import pytest

from mmdataseg.apis.training.runner import build_runner
from tests.test_end_to_end import config
from tests.toy import make_toy


def test_a_run_from_training_to_pictures(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_toy([str(tmp_path / "data/toy"), "--train-images", "2", "2", "2", "--val-images", "1"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mmengine.runner.runner, "get_device", lambda: device)
    options = {
        "optim_wrapper.type": "mmdataseg.Bfloat16OptimWrapper",
        "train_cfg.max_iters": 3,
        "custom_hooks": [{"type": "mmdataseg.FiniteTraining"}],
    }
    runner = build_runner(config(tmp_path / "on_gpu", **options))
    model = runner.train()
    assert all(parameter.is_cuda for parameter in model.parameters())
    scores = runner.test()
    assert {name.partition("/")[0] for name in scores} == set(model.sources)
    pictures = {path.name.rpartition("_")[0] for path in (tmp_path / "on_gpu").rglob("pictures/*.png")}
    assert {"toy_semantic_semantic", "toy_panoptic_panoptic", "toy_boxes_instance"} <= pictures
