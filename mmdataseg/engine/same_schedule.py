"""Refuses to resume with another learning-rate schedule, which mmengine would ignore, or other groups of parameters."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdataseg.errors import UserError
from mmdataseg.progress import counted
from mmdataseg.registry import HOOKS

_COUNTS = ("begin", "end", "T_max", "total_steps", "step_size", "milestones", "periods")


@HOOKS.register_module()
class SameSchedule(Hook):
    """Refuse to resume if the config's schedulers do not count to the same iterations as those of the checkpoint.

    mmengine takes not only the state of a scheduler from the checkpoint, but also its settings. So a training that is
    made longer would go on with the learning rate at which the shorter one ended. An optimizer with another number of
    groups, as of a training before `GroupedOptimWrapperConstructor`, is refused, too: torch's error names no setting.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: Mapping[str, Any]) -> None:
        """Compare the groups of parameters and the schedulers.

        Raises:
            UserError: They differ.
        """
        if not runner.cfg.get("resume"):
            return
        self._check_groups(runner, checkpoint.get("optimizer"))
        saved, built = checkpoint.get("param_schedulers"), runner.param_schedulers
        if not isinstance(saved, list) or not isinstance(built, list):
            return
        difference = next(_differences(saved, [scheduler.state_dict() for scheduler in built]), None)
        if difference is not None:
            before, now = difference
            raise UserError(
                f"its learning-rate schedule has {before}, but that of this command has {now}",
                file=runner.cfg.get("load_from"),
                remedy="resume with the config, --iterations and --cfg-options that its training had, or start a new "
                "training from its weights with --cfg-options load_from=PATH",
            )

    def _check_groups(self, runner: Runner, saved: Any) -> None:
        optimizer = getattr(runner.optim_wrapper, "optimizer", None)  # an `OptimWrapperDict` has several
        if optimizer is None or not isinstance(saved, Mapping) or "param_groups" not in saved:
            return
        before, now = len(saved["param_groups"]), len(optimizer.param_groups)
        if before != now:
            raise UserError(
                f"its optimizer has {counted(before, 'group')} of parameters, but that of this command has {now}",
                file=runner.cfg.get("load_from"),
                remedy="resume with the config and --cfg-options that its training had, or, if an older version of "
                "mmdataseg started it, with --cfg-options optim_wrapper.constructor=DefaultOptimWrapperConstructor",
            )


def _differences(saved: Sequence[Mapping[str, Any]], built: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield what is in the checkpoint, and what is in the config instead."""
    if len(saved) != len(built):
        yield counted(len(saved), "scheduler"), str(len(built))
    for old, new in zip(saved, built, strict=False):
        for key in _COUNTS:
            if old.get(key) != new.get(key):
                yield f"{key}={_shown(old.get(key))}", f"{key}={_shown(new.get(key))}"


def _shown(value: Any) -> Any:
    return sorted(value) if isinstance(value, Mapping) else value  # mmengine counts how often a milestone is given
