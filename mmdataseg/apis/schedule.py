"""Make a training shorter or longer, together with its learning-rate schedule."""

from mmengine.config import Config

from mmdataseg.errors import UserError

_ENDS = ("begin", "end", "T_max")


def scale_schedule(cfg: Config, iterations: int) -> None:
    """Scale a training, with its learning-rate schedule, to a number of iterations.

    Validations keep their interval, or take place at the end if the training is shorter than that.

    Args:
        cfg: A config with ``train_cfg.max_iters`` and schedulers that count iterations. Changed in place.
        iterations: The number of iterations, at least 1.

    Raises:
        UserError: ``iterations`` is below 1, or the config trains by epochs.
    """
    if iterations < 1:
        raise UserError(f"expected at least 1 iteration, got {iterations}")
    training = cfg.get("train_cfg") or {}
    if "max_iters" not in training:
        raise UserError(
            "this config does not count its training in iterations", remedy="change train_cfg by --cfg-options"
        )
    factor = iterations / training.max_iters
    training.max_iters = iterations
    if training.get("val_interval", 0) > iterations:
        training.val_interval = iterations
    schedulers = cfg.get("param_scheduler") or []
    for scheduler in schedulers if isinstance(schedulers, list | tuple) else [schedulers]:
        for key in set(_ENDS) & set(scheduler):
            scheduler[key] = round(scheduler[key] * factor)
        if "end" in scheduler:  # with very few iterations a warm-up would be empty, which mmengine refuses
            scheduler["end"] = max(scheduler["end"], scheduler.get("begin", 0) + 1)
        if "T_max" in scheduler:
            scheduler["T_max"] = max(scheduler["T_max"], 1)
        if "milestones" in scheduler:
            scheduler["milestones"] = [round(milestone * factor) for milestone in scheduler["milestones"]]
