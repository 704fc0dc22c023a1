"""Refuses to resume with another learning-rate schedule or with other groups of parameters."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdataseg.errors import UserError
from mmdataseg.progress import counted
from mmdataseg.registry import HOOKS

_COUNTS = ("begin", "end", "T_max", "total_steps", "step_size", "milestones", "periods")
_NEW = "or start a new training from its weights with --cfg-options load_from=PATH"


@HOOKS.register_module()
class SameOptimization(Hook):
    """Refuse to resume if the config optimizes in another way than the checkpoint's training.

    - The schedulers must count to the same iterations. mmengine takes not only the state of a scheduler from the
      checkpoint, but also its settings. So a training that is made longer would go on with the learning rate at which
      the shorter one ended.
    - The optimizer must have the same number of groups of parameters. torch refuses another number, without a remedy.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: Mapping[str, Any]) -> None:
        """Compare the schedulers and the groups.

        Raises:
            UserError: They differ.
        """
        if not runner.cfg.get("resume"):
            return
        self._compare_schedules(runner, checkpoint.get("param_schedulers"))
        self._compare_groups(runner, checkpoint.get("optimizer"))

    def _compare_schedules(self, runner: Runner, saved: Any) -> None:
        built = runner.param_schedulers
        if not isinstance(saved, list) or not isinstance(built, list):
            return
        difference = next(_differences(saved, [scheduler.state_dict() for scheduler in built]), None)
        if difference is not None:
            before, now = difference
            raise UserError(
                f"its learning-rate schedule has {before}, but that of this command has {now}",
                file=runner.cfg.get("load_from"),
                remedy=f"resume with the config, --iterations and --cfg-options that its training had, {_NEW}",
            )

    def _compare_groups(self, runner: Runner, saved: Any) -> None:
        optimizer = getattr(runner.optim_wrapper, "optimizer", None)
        if optimizer is None or not isinstance(saved, Mapping) or "param_groups" not in saved:
            return
        before, now = len(saved["param_groups"]), len(optimizer.param_groups)
        if before != now:
            raise UserError(
                f"its optimizer has {counted(before, 'group')} of parameters, but that of this command has {now}",
                file=runner.cfg.get("load_from"),
                remedy="resume with the config that its training had; if an older version of mmdataseg trained it, "
                f"add --cfg-options optim_wrapper.constructor=DefaultOptimWrapperConstructor; {_NEW}",
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
