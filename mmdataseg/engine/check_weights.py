"""Compares the weights of a checkpoint with a model: logged before training, required to match before testing."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmdataseg.errors import UserError
from mmdataseg.registry import HOOKS

_VOCABULARIES = "classifier.embeddings_"
_EXTRA_STATE = "_extra_state"
_SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class WeightsAccount:
    """The keys of a checkpoint and of a model, compared.

    Args:
        taken: Keys in both, with the same shape.
        missing: Keys in the model only, without embeddings of vocabularies, which also come from files.
        other_shape: Keys in both, with different shapes.
        unknown: Keys in the checkpoint only, without embeddings of other vocabularies.
    """

    taken: tuple[str, ...]
    missing: tuple[str, ...]
    other_shape: tuple[str, ...]
    unknown: tuple[str, ...]

    def __str__(self) -> str:
        total = len(self.taken) + len(self.missing) + len(self.other_shape)
        parts = [f"{len(self.taken)} of the model's {total} weights are in the checkpoint"]
        for what, names in (
            ("missing", self.missing),
            ("in another shape", self.other_shape),
            ("only in the checkpoint", self.unknown),
        ):
            if names:
                parts.append(f"{what}: {summary(names)}")
        return "; ".join(parts)

    def require_some(self, file: str | None) -> None:
        """Refuse a checkpoint without any weight that fits; the message names its file.

        Raises:
            UserError: No weight is taken.
        """
        if not self.taken:
            raise UserError(
                f"no weight of this checkpoint fits the model: it has {summary(self.unknown or self.other_shape)}, "
                f"the model has {summary(self.missing or self.other_shape)}{self._prefix()}",
                file=file,
                remedy="use a checkpoint of this model, or rename its keys",
            )

    def require_all(self, file: str | None) -> None:
        """Refuse a checkpoint of another model; the message names its file.

        Raises:
            UserError: A weight is missing, has another shape, or is not in the model.
        """
        self.require_some(file)
        if self.missing or self.other_shape or self.unknown:
            raise UserError(
                str(self),
                file=file,
                remedy="use the checkpoint of a training with this config, or the config of that training",
            )

    def _prefix(self) -> str:
        """Return a clause for the message if the keys would fit without a common prefix, otherwise ''."""
        first = {name.partition(".")[0] for name in self.unknown}
        if len(first) != 1:
            return ""
        prefix = f"{first.pop()}."
        fits = {name.removeprefix(prefix) for name in self.unknown} & set(self.missing)
        return f"; its keys begin with {prefix!r} and would fit without it" if fits else ""


def account_of_weights(content: Any, own: Mapping[str, Any], *, file: str | None = None) -> WeightsAccount:
    """Compare a checkpoint with a model.

    Args:
        content: Content of the checkpoint: the weights, or a mapping with the weights under ``state_dict``. A leading
            ``module.`` of their names is ignored.
        own: State dict of the model.
        file: Path of the checkpoint, for the message.

    Raises:
        UserError: The checkpoint has no weights.
    """
    state = content.get("state_dict", content) if isinstance(content, Mapping) else content
    if not isinstance(state, Mapping):
        raise UserError(
            f"expected a checkpoint, got a {type(state).__name__}", file=file, remedy="use a file that a training wrote"
        )
    theirs = {name.removeprefix("module."): getattr(value, "shape", None) for name, value in state.items()}
    theirs = {name: shape for name, shape in theirs.items() if not name.endswith(_EXTRA_STATE)}
    wanted = {name: value.shape for name, value in own.items() if not name.endswith(_EXTRA_STATE)}
    return WeightsAccount(
        taken=tuple(name for name in wanted if theirs.get(name) == wanted[name]),
        missing=tuple(name for name in wanted if name not in theirs and not name.startswith(_VOCABULARIES)),
        other_shape=tuple(name for name in wanted if name in theirs and theirs[name] != wanted[name]),
        unknown=tuple(name for name in theirs if name not in wanted and not name.startswith(_VOCABULARIES)),
    )


def summary(names: Iterable[str]) -> str:
    """Return dotted names grouped by their first two parts: ``backbone.layer1 (12), backbone.layer2 (15)``."""
    counts = Counter(".".join(name.split(".")[:2]) for name in names)
    shown = [f"{name} ({count})" if count > 1 else name for name, count in list(counts.items())[:_SHOWN]]
    more = [f"and {len(counts) - _SHOWN} other groups"] if len(counts) > _SHOWN else []
    return ", ".join([*shown, *more]) or "nothing"


@HOOKS.register_module()
class CheckWeights(Hook):
    """Compare a checkpoint with the model before mmengine loads it: mmengine ignores weights that do not fit.

    To start a training from it (``load_from``), at least one weight must fit, and the log says which weights were taken
    and which were not. To test and to resume, all weights must fit.

    Args:
        testing: Whether the run is a test.
    """

    priority = "VERY_LOW"  # after hooks that change the checkpoint, such as mmengine's EMAHook

    def __init__(self, *, testing: bool) -> None:
        self.testing = testing

    def after_load_checkpoint(self, runner: Runner, checkpoint: Any) -> None:
        """Compare the checkpoint with the model, and log the result.

        Raises:
            UserError: The run resumes from a checkpoint that has only weights, or, without mmengine's ``EMAHook``, from
                one of a training with it; or `WeightsAccount.require_all` or, before a training,
                `WeightsAccount.require_some` refuses it.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        file = runner.cfg.get("load_from")
        resumes = bool(runner.cfg.get("resume")) and not self.testing
        if resumes and not {"meta", "optimizer"} <= set(checkpoint):
            raise UserError(
                "has only weights, without the state of optimizer and schedule that --resume needs",
                file=file,
                remedy="start a training from these weights with --cfg-options load_from=PATH",
            )
        # that hook has put the trained weights back into state_dict; without it, the averaged ones are still there
        if resumes and "ema_state_dict" in checkpoint and not any(isinstance(hook, EMAHook) for hook in runner.hooks):
            raise UserError(
                "its training averaged the weights (EMAHook), and this config does not",
                file=file,
                remedy="resume with the config of its training, or start a training from the averaged weights with "
                "--cfg-options load_from=PATH",
            )
        account = account_of_weights(checkpoint, model.state_dict(), file=file)
        if self.testing or runner.cfg.get("resume"):
            account.require_all(file)
        else:
            account.require_some(file)
            runner.logger.info(f"load_from '{file}': {account}")
