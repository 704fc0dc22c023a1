"""A training made shorter or longer, with its learning-rate schedule."""

import pytest
from mmengine.config import Config

from mmdataseg.apis.schedule import scale_schedule
from mmdataseg.errors import UserError


@pytest.fixture
def toy(repo_root):
    return str(repo_root / "projects/toy/configs/dataseg_toy_3ds.py")


def test_schedule_is_scaled(toy):
    cfg = Config.fromfile(toy)
    whole = cfg.train_cfg.max_iters
    scale_schedule(cfg, whole // 4)
    assert cfg.train_cfg.max_iters == whole // 4
    warm_up, cosine = cfg.param_scheduler
    assert (warm_up.begin, warm_up.end) == (0, 25)
    assert (cosine.begin, cosine.end, cosine.T_max) == (25, whole // 4, whole // 4 - 25)


def test_schedule_of_one_iteration_can_be_built(toy):
    cfg = Config.fromfile(toy)
    scale_schedule(cfg, 1)
    assert all(s.end > s.begin and s.get("T_max", 1) > 0 for s in cfg.param_scheduler)


def test_steps_of_a_schedule_are_scaled(repo_root):
    cfg = Config.fromfile(repo_root / "configs/dataseg_r50_3ds.py")
    scale_schedule(cfg, 36875)
    assert cfg.param_scheduler.milestones == [32778, 35509]


def test_zero_iterations_are_refused(toy):
    with pytest.raises(UserError, match="expected at least 1 iteration, got 0"):
        scale_schedule(Config.fromfile(toy), 0)


def test_a_longer_training_keeps_the_interval_of_validations(repo_root):
    cfg = Config.fromfile(repo_root / "configs/dataseg_r50_3ds.py")
    interval = cfg.train_cfg.val_interval
    scale_schedule(cfg, 2 * cfg.train_cfg.max_iters)
    assert cfg.train_cfg.val_interval == interval
    scale_schedule(cfg, interval // 2)
    assert cfg.train_cfg.val_interval == interval // 2


def test_a_config_that_counts_epochs_is_refused():
    with pytest.raises(UserError, match="does not count its training in iterations"):
        scale_schedule(Config({"train_cfg": {"max_epochs": 12}}), 100)


def test_a_single_scheduler_and_none_are_scaled():
    cfg = Config({"train_cfg": {"max_iters": 10}, "param_scheduler": {"type": "ConstantLR", "begin": 4, "end": 10}})
    scale_schedule(cfg, 20)
    assert (cfg.param_scheduler.begin, cfg.param_scheduler.end) == (8, 20)
    cfg = Config({"train_cfg": {"max_iters": 10}})
    scale_schedule(cfg, 20)
    assert cfg.train_cfg.max_iters == 20
