"""A training made shorter or longer, with its learning-rate schedule."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS

from mmdataseg.apis.training.schedule import scale_schedule
from mmdataseg.errors import UserError


@pytest.fixture
def toy(repo_root):
    return str(repo_root / "projects/toy/configs/dataseg_toy_3ds.py")


KINDS = {
    "LinearLR": dict(start_factor=0.1, end=80),
    "ConstantLR": dict(factor=0.1, end=80),
    "ExponentialLR": dict(gamma=0.98),
    "StepLR": dict(step_size=60, gamma=0.1),
    "MultiStepLR": dict(milestones=[100, 180], gamma=0.1),
    "CosineAnnealingLR": dict(begin=20, end=200, T_max=180, eta_min=0.0),
    "PolyLR": dict(end=200, eta_min=0.0),
    "OneCycleLR": dict(eta_max=1.0, total_steps=200),
    "CosineRestartLR": dict(periods=[67, 67, 66], restart_weights=[1, 0.5, 0.2], eta_min=0.0),
}


def learning_rates(scheduler, iterations):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    built = PARAM_SCHEDULERS.build(dict(scheduler, optimizer=optimizer))
    rates = []
    for _ in range(iterations):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        built.step()
    return np.array(rates)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("iterations", [100, 600])
def test_at_each_fraction_of_the_training_the_learning_rate_is_the_same(kind, iterations):
    cfg = Config({"train_cfg": {"max_iters": 200}, "param_scheduler": {"type": kind, "by_epoch": False, **KINDS[kind]}})
    rates = learning_rates(cfg.param_scheduler, 200)
    scale_schedule(cfg, iterations)
    scaled = learning_rates(cfg.param_scheduler, iterations)
    fractions = np.linspace(0, 1, 100, endpoint=False)
    expected, found = (values[(fractions * len(values)).astype(int)] for values in (rates, scaled))
    assert np.abs(expected - found).mean() < 0.015  # it can differ by one iteration where the rate jumps


def test_a_length_that_is_not_set_is_left_to_mmengine():
    scheduler = {"type": "CosineAnnealingLR", "T_max": None, "begin": 0, "end": 10, "by_epoch": False}
    cfg = Config({"train_cfg": {"max_iters": 10}, "param_scheduler": scheduler})
    scale_schedule(cfg, 20)
    assert cfg.param_scheduler == {**scheduler, "end": 20}


@pytest.mark.parametrize("counting", [{}, {"by_epoch": True}, {"by_epoch": True, "convert_to_iter_based": True}])
def test_a_scheduler_that_counts_epochs_is_refused(counting):
    cfg = Config({"train_cfg": {"max_iters": 10}, "param_scheduler": [{"type": "LinearLR", "end": 4, **counting}]})
    with pytest.raises(UserError, match="scheduler 'LinearLR' does not have by_epoch=False, so it counts epochs"):
        scale_schedule(cfg, 20)


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
    warm_up, cosine = cfg.param_scheduler
    assert (warm_up.begin, warm_up.end) == (0, 1)
    assert (cosine.begin, cosine.end, cosine.T_max) == (0, 1, 1)
    assert learning_rates(cosine, 1) == [1.0]


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


def test_a_training_that_is_shorter_than_the_wait_for_validations_is_validated_at_its_end():
    cfg = Config({"train_cfg": {"max_iters": 1000, "val_begin": 500, "val_interval": 100}})
    scale_schedule(cfg, 200)
    assert cfg.train_cfg == {"max_iters": 200, "val_begin": 200, "val_interval": 100}


def test_validations_that_are_turned_off_stay_off():
    cfg = Config({"train_cfg": {"max_iters": 1000, "val_begin": 1_000_000}})
    scale_schedule(cfg, 200)
    assert cfg.train_cfg == {"max_iters": 200, "val_begin": 1_000_000}


def test_a_config_that_counts_epochs_is_refused():
    with pytest.raises(UserError, match="does not count its training in iterations"):
        scale_schedule(Config({"train_cfg": {"max_epochs": 12}}), 100)


def test_a_single_scheduler_and_none_are_scaled():
    cfg = Config(
        {
            "train_cfg": {"max_iters": 10},
            "param_scheduler": {"type": "ConstantLR", "begin": 4, "end": 10, "by_epoch": False},
        }
    )
    scale_schedule(cfg, 20)
    assert (cfg.param_scheduler.begin, cfg.param_scheduler.end) == (8, 20)
    cfg = Config({"train_cfg": {"max_iters": 10}})
    scale_schedule(cfg, 20)
    assert cfg.train_cfg.max_iters == 20


@pytest.mark.parametrize(("iterations", "expected"), [(7, 7), (30, 20)])
def test_the_last_iteration_of_a_short_training_is_logged(iterations, expected):
    cfg = Config({"train_cfg": {"max_iters": 1000}, "default_hooks": {"logger": {"interval": 20}, "timer": None}})
    scale_schedule(cfg, iterations)
    assert cfg.default_hooks.logger.interval == expected
