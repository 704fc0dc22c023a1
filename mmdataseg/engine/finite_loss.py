"""Stops a training whose loss or weights are not finite, before useless checkpoints replace the good ones."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmdataseg.errors import UserError
from mmdataseg.registry import HOOKS

_SKIPPED_IN_A_ROW = 20
_SHOWN = 4


@HOOKS.register_module()
class FiniteLoss(Hook):
    """Stop without saving if a loss is not finite, on all ranks in the same iteration, or a weight that is to be saved.

    A gradient can be infinite although the loss is finite. Then the weights of this iteration are wrong, and the loss
    shows it one iteration later, after they were saved.

    Mixed precision with a loss scale skips steps that overflow. These are logged, and stop the training only if there
    are more than 20 in a row.
    """

    priority = "VERY_HIGH"  # before the checkpoint hook saves the weights of this step

    def __init__(self) -> None:
        self._in_a_row = 0

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,  # noqa: ARG002
        data_batch: Any = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Check the losses of a batch.

        Args:
            runner: The runner.
            batch_idx: Not used.
            data_batch: The batch. The message names its source and images.
            outputs: Name -> loss.

        Raises:
            UserError: A loss is not finite.
        """
        values = {name: value for name, value in (outputs or {}).items() if isinstance(value, torch.Tensor | float)}
        if not values:
            return
        wrong = torch.stack([~torch.as_tensor(value).detach().isfinite().all() for value in values.values()])
        somewhere = wrong.any().int()
        all_reduce(somewhere, op="max")
        if not somewhere:
            self._in_a_row = 0
            return
        names = [name for name, bad in zip(values, wrong.tolist(), strict=True) if bad]
        message = _describe(runner.iter + 1, names, data_batch)
        self._in_a_row += 1
        if hasattr(runner.optim_wrapper, "loss_scaler") and self._in_a_row <= _SKIPPED_IN_A_ROW:
            runner.logger.log(logging.WARNING, f"{message}; mixed precision skips this step")
            return
        raise UserError(message, remedy=_remedy(Path(runner.work_dir), "check these images, "))

    def before_save_checkpoint(self, runner: Runner, checkpoint: Mapping[str, Any]) -> None:
        """Check the weights that are to be saved.

        Args:
            runner: The runner.
            checkpoint: Content of the checkpoint.

        Raises:
            UserError: A weight is not finite.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        weights = {name: checkpoint["state_dict"].get(name) for name, _ in model.named_parameters()}
        names = [name for name, weight in weights.items() if weight is not None and not weight.isfinite().all()]
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            raise UserError(
                f"iteration {runner.iter + 1}: weights are not finite, after a gradient that was not: "
                f"{', '.join(names[:_SHOWN])}{more}",
                remedy=_remedy(Path(runner.work_dir)),
            )


def _describe(iteration: int, names: list[str], data_batch: Any) -> str:
    if not names:
        return f"iteration {iteration}: a loss of another rank is not finite"
    samples = data_batch.get("data_samples", ()) if isinstance(data_batch, Mapping) else ()
    infos = [sample.metainfo for sample in samples if hasattr(sample, "metainfo")]
    sources = sorted({repr(info["source"]) for info in infos if "source" in info})
    images = [str(info["img_path"]) for info in infos if "img_path" in info]
    of = f" of source {', '.join(sources)}" if sources else ""
    more = f" and {len(images) - _SHOWN} more" if len(images) > _SHOWN else ""
    where = f"; images {', '.join(images[:_SHOWN])}{more}" if images else ""
    return f"iteration {iteration}{of}: not finite: {', '.join(names[:_SHOWN])}{where}"


def _remedy(work_dir: Path, what: str = "") -> str:
    last = work_dir / "last_checkpoint"
    saved = last.read_text(encoding="utf-8").strip() if last.is_file() else ""
    last_good = f"--resume continues from {saved}" if saved else "no checkpoint was written yet"
    return f"nothing was saved since; {last_good}; {what}lower the learning rate, or clip gradients"
