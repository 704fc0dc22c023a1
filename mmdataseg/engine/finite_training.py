"""Stops a training whose losses or weights are not finite, before useless checkpoints replace the good ones."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from mmdataseg.errors import UserError
from mmdataseg.progress import first_names
from mmdataseg.registry import HOOKS

_SKIPPED_IN_A_ROW = 20
_SHOWN = 4
_SMALLEST_SCALE = 2.0**-24  # the smallest float16: at this scale, a step overflows only if gradients exceed 2^40


@HOOKS.register_module()
class FiniteTraining(Hook):
    """Stop without saving if a loss or a weight is not finite: on all ranks, in the same iteration.

    A gradient can be infinite although the loss is finite. Then the weights after its step are wrong, and the loss
    shows it only one iteration later, when they may have been saved.

    Mixed precision with a loss scale skips steps that overflow. If a loss is not finite, that is logged, and stops the
    training only if there are more than 20 such steps in a row. If only gradients are not finite, each step halves the
    scale: the training stops when that is too small for any step to succeed.
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
        """Check the losses of a batch, ``outputs``, and the weights after its step.

        Raises:
            UserError: A loss or a weight is not finite, on this rank or on another one; or all steps are skipped.
        """
        _require_scale(runner)
        losses = {name: value for name, value in (outputs or {}).items() if isinstance(value, Tensor)}
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        wrong = _not_finite([*losses.values(), *weights.values()])
        wrong_losses, wrong_weights = wrong.tensor_split([len(losses)])
        # one decision for all ranks: a rank that stops alone leaves the others waiting for it
        somewhere = torch.stack([wrong_losses.any(), wrong_weights.any()]).int()
        all_reduce(somewhere, op="max")
        loss_is_wrong, weight_is_wrong = somewhere.tolist()
        if not loss_is_wrong and not weight_is_wrong:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        kind, ours, bad = ("loss", losses, wrong_losses) if loss_is_wrong else ("weight", weights, wrong_weights)
        names = [name for name, is_bad in zip(ours, bad.tolist(), strict=True) if is_bad]
        message = _message(runner.iter + 1, kind, names, data_batch)
        skipped = hasattr(runner.optim_wrapper, "loss_scaler") and not weight_is_wrong
        if skipped and self._in_a_row <= _SKIPPED_IN_A_ROW:
            runner.logger.log(logging.WARNING, f"{message}; mixed precision skips this step")
            return
        raise UserError(message, remedy=_remedy(Path(runner.work_dir), "check these images, " if names else ""))


def _require_scale(runner: Runner) -> None:
    """Refuse a loss scale that has collapsed. Gradients are the same on all ranks, so the scale is, too."""
    scaler = getattr(runner.optim_wrapper, "loss_scaler", None)
    scale = 1.0 if scaler is None else scaler.get_scale()
    if scale < _SMALLEST_SCALE:
        raise UserError(
            f"iteration {runner.iter + 1}: mixed precision skips all steps, because gradients are not finite: the "
            f"loss scale fell to {scale:.1e}",
            remedy="train without --amp, or in bfloat16 (configs/hardware); the weights are those before these steps",
        )


def _not_finite(values: Sequence[Tensor]) -> Tensor:
    """(N,) bool, which of N values are not finite. A tensor counts as one value."""
    if not values:
        return torch.zeros(0, dtype=torch.bool)
    # the sum of a tensor with inf or nan is not finite; unlike isfinite, it makes no copy of the tensor
    return ~torch.stack([value.detach().sum(dtype=torch.float32) for value in values]).isfinite()


def _message(iteration: int, kind: str, names: Sequence[str], data_batch: Any) -> str:
    if not names:
        return f"iteration {iteration}: a {kind} of another rank is not finite"
    samples = data_batch.get("data_samples", ()) if isinstance(data_batch, Mapping) else ()
    infos = [sample.metainfo for sample in samples if hasattr(sample, "metainfo")]
    sources = sorted({repr(info["source"]) for info in infos if "source" in info})
    images = [str(info["img_path"]) for info in infos if "img_path" in info]
    of = f" of source {', '.join(sources)}" if sources else ""
    where = f"; images {first_names(images, _SHOWN)}" if images else ""
    shown = first_names(names, _SHOWN)
    if kind == "loss":
        return f"iteration {iteration}{of}: not finite: {shown}{where}"
    return f"iteration {iteration}{of}: weights are not finite, because a gradient was not: {shown}{where}"


def _remedy(work_dir: Path, what: str) -> str:
    last = work_dir / "last_checkpoint"
    saved = last.read_text(encoding="utf-8").strip() if last.is_file() else ""
    last_good = f"--resume continues from {saved}" if saved else "no checkpoint was written yet"
    return f"nothing was saved since; {last_good}; {what}lower the learning rate, or clip gradients"
