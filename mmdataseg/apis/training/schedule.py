"""Make a training shorter or longer, together with its learning-rate schedule."""

from collections.abc import MutableMapping
from itertools import accumulate, pairwise
from typing import Any

from mmengine.config import Config

from mmdataseg.errors import UserError

_LENGTHS = ("T_max", "total_steps", "step_size")


def scale_schedule(cfg: Config, iterations: int) -> None:
    """Scale a training, with its learning-rate schedule, to a number of iterations.

    Validations and the log of losses keep their intervals. If the training is shorter than an interval, they happen at
    its end.

    Args:
        cfg: A config with ``train_cfg.max_iters`` and mmengine's schedulers with ``by_epoch=False``. Changed in place.
        iterations: The number of iterations, at least 1.

    Raises:
        UserError: ``iterations`` is below 1, or the training or a scheduler counts epochs.
    """
    if iterations < 1:
        raise UserError(f"expected at least 1 iteration, got {iterations}")
    training = cfg.get("train_cfg") or {}
    if "max_iters" not in training:
        raise UserError(
            "this config does not count its training in iterations",
            remedy="leave --iterations out, and set train_cfg by --cfg-options",
        )
    factor = iterations / training.max_iters
    for key in {"val_begin", "val_interval"} & set(training):
        if training[key] <= training.max_iters:  # a larger val_begin turns validations off
            training[key] = min(training[key], iterations)
    training.max_iters = iterations
    logger = (cfg.get("default_hooks") or {}).get("logger") or {}
    if logger.get("interval", 0) > iterations:
        logger["interval"] = iterations
    schedulers = cfg.get("param_scheduler") or []
    for scheduler in schedulers if isinstance(schedulers, list | tuple) else [schedulers]:
        if scheduler.get("by_epoch", True):
            raise UserError(
                f"scheduler {scheduler.get('type')!r} does not have by_epoch=False, so it counts epochs",
                remedy="let it count iterations, or leave --iterations out",
            )
        _scale(scheduler, factor)


def _scale(scheduler: MutableMapping[str, Any], factor: float) -> None:
    """Scale what a scheduler counts. All but ``begin`` and ``end`` is counted from its ``begin``."""
    begin = scheduler.get("begin", 0)
    new_begin = round(begin * factor)

    def scaled(length: int) -> int:
        # the end is rounded, not the length, so that schedulers which followed each other still do; mmengine refuses 0
        return max(round((begin + length) * factor) - new_begin, 1)

    if "begin" in scheduler:
        scheduler["begin"] = new_begin
    if "end" in scheduler:
        scheduler["end"] = new_begin + scaled(scheduler["end"] - begin)
    for key in _LENGTHS:
        if scheduler.get(key) is not None:
            scheduler[key] = scaled(scheduler[key])
    if "milestones" in scheduler:
        scheduler["milestones"] = [scaled(milestone) for milestone in scheduler["milestones"]]
    elif "gamma" in scheduler and "step_size" not in scheduler:  # ExponentialLR decays in each iteration
        scheduler["gamma"] **= 1 / factor
    if "periods" in scheduler:
        ends = [scaled(end) for end in accumulate(scheduler["periods"])]
        scheduler["periods"] = [end - previous for previous, end in pairwise([0, *ends])]
