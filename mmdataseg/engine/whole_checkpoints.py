"""Keeps only complete checkpoints and the best one, and removes old ones only after a new one is saved."""

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from os import PathLike
from pathlib import Path, PurePath
from typing import Any

import torch
from mmengine.dist import all_reduce, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmdataseg.errors import MissingFileError, UserError, suggestion
from mmdataseg.registry import HOOKS

_SAVED = "saved_checkpoints"
CHECKPOINT_STEM = re.compile(r"(?P<best>best_.+_)?(iter|epoch)_\d+(?P<published>-[0-9a-f]{8})?")
"""File name, without suffix, of what a training saves: a checkpoint, the best one, a published copy."""


def is_whole(path: Path) -> bool:
    """Whether a checkpoint is complete. torch writes zip files, whose directory is at the end."""
    try:
        return path.is_file() and zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # of some damaged files, is_zipfile raises that
        return False


def newest_whole(work_dir: Path) -> Path | None:
    """Return the newest complete checkpoint of a run, or None."""
    found = filter(is_whole, _checkpoints_to_resume(work_dir))
    return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)


def _checkpoints_to_resume(work_dir: Path) -> Iterator[Path]:
    for path in work_dir.glob("*.pth"):
        name = CHECKPOINT_STEM.fullmatch(path.stem)
        if name and not name["best"] and not name["published"]:
            yield path


def require_whole(file: str | PathLike[str]) -> None:
    """Refuse a checkpoint that does not exist, is empty or was cut short, and name a complete one beside it.

    Other faults are left to `read_checkpoint`, and so are addresses.

    Args:
        file: Path or address of the checkpoint; '' means none.

    Raises:
        MissingFileError: There is no such file.
        UserError: The file is empty, or is the beginning of a file that torch wrote.
    """
    path = Path(file).expanduser()
    if "://" in str(file) or path.is_dir():
        return
    if not path.exists():
        raise MissingFileError("no such file; expected a checkpoint", file=path, remedy="check the path")
    with path.open("rb") as content:
        start = content.read(2)
    if start not in (b"", b"PK") or is_whole(path):
        return
    newest = newest_whole(path.parent)
    raise UserError(
        "this checkpoint is empty or was cut short",
        file=path,
        remedy="copy or download it again"
        if newest is None
        else f"use the newest complete checkpoint in its folder, '{newest}'",
    )


def checkpoint_to_resume(work_dir: Path) -> tuple[Path | None, str]:
    """Find the checkpoint to resume from: the one in ``last_checkpoint``, otherwise the newest complete one.

    Args:
        work_dir: Work_dir of the run.

    Returns:
        Path, or None if the run has not saved a checkpoint; and a message for the user, '' if there is nothing to say.

    Raises:
        UserError: The run has checkpoints, but none is complete.
    """
    note = work_dir / "last_checkpoint"
    named = note.read_text(encoding="utf-8").strip() if note.is_file() else ""
    if named and is_whole(Path(named)):
        return Path(named), ""
    newest = newest_whole(work_dir)
    said = f"'{note}' names '{named}', which is missing or incomplete" if named else f"'{note}' is missing or empty"
    if newest is not None:
        return newest, f"{said}; resuming from the newest complete checkpoint, '{newest}'"
    if named or any(_checkpoints_to_resume(work_dir)):
        raise UserError(
            f"{said}, and no checkpoint in this folder is complete",
            file=work_dir,
            remedy="give a checkpoint with --resume PATH, or start again in another --work-dir",
        )
    return None, ""


@HOOKS.register_module()
class WholeCheckpoints(CheckpointHook):
    """mmengine's ``CheckpointHook``, but old checkpoints are removed after the new one is saved, not before.

    So with ``max_keep_ckpts=1``, a save that fails, e.g. on a full disk, keeps the last good checkpoint and the best
    one. A resumed run also counts and removes the checkpoints of the run before, but only in its own folder. A save
    that fails ends all ranks: the first one saves for all, and the others would wait for it until the timeout of the
    process group.

    Args:
        max_keep_ckpts: Number of checkpoints to keep; -1: all.
        save_best: Score, or list of scores, whose best checkpoint is also kept, as ``best_SCORE_iter_N.pth``:
            ``SOURCE/NAME``, such as ``coco_panoptic/PQ``, or ``auto`` for the first score. None: none.
        rule: ``greater`` or ``less``: which value of ``save_best`` is better, or a list with one rule per score.
            mmengine would infer it from the name, and does not know that a greater PQ is better.
        **kwargs: Arguments of mmengine's hook.

    Raises:
        UserError: mmengine's hook does not have an argument of this name.
    """

    def __init__(
        self,
        *,
        max_keep_ckpts: int = -1,
        save_best: str | Sequence[str] | None = None,
        rule: str | Sequence[str] = "greater",
        **kwargs: Any,
    ) -> None:
        known = set(signature(CheckpointHook).parameters)
        for name in kwargs:  # mmengine's hook would pass an unknown one to the function that saves, which ignores it
            if name not in known:
                hint = suggestion(name, known) or "remove it"
                raise UserError(f"WholeCheckpoints (default_hooks.checkpoint) has no setting {name!r}", remedy=hint)
        scores, rules = (list(value) if isinstance(value, tuple) else value for value in (save_best, rule))
        super().__init__(max_keep_ckpts=-1, save_best=scores, rule=rules, **kwargs)
        self.num_kept = max_keep_ckpts
        self._saved: list[str] = []

    def before_train(self, runner: Runner) -> None:
        """Prepare the folder, and take over the names of the checkpoints that the resumed run saved.

        Raises:
            UserError: ``save_best`` names a source that is not tested, or nothing is validated.
        """
        self._check_best(runner)
        super().before_train(runner)
        info = runner.message_hub.runtime_info if runner.iter > 0 else {}
        # the list in a checkpoint ends before that checkpoint, whose own path mmengine keeps as last_ckpt
        paths = [*info.get(_SAVED, ()), info.get("last_ckpt")]
        self._saved = list(dict.fromkeys(PurePath(path).name for path in paths if path))
        runner.message_hub.update_info(_SAVED, list(self._saved))
        self._check_interval(runner)

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Save a checkpoint if one is due, then remove the oldest ones over the limit.

        Raises:
            UserError: It cannot be saved, on this rank or on the first one.
        """
        with self._failing_together():
            super().after_train_iter(runner, *args, **kwargs)
        self._remove_old(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save a checkpoint if one is due, then remove the oldest ones over the limit. Errors are as above."""
        with self._failing_together():
            super().after_train_epoch(runner)
        self._remove_old(runner)

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, float]) -> None:
        """Save the best checkpoint if there is a new one.

        Raises:
            UserError: The validation reports no score of the name in ``save_best``; also as above.
        """
        unknown = [score for score in self.save_best or () if metrics and score not in (*metrics, "auto")]
        if unknown:
            raise UserError(
                f"save_best: the validation reports no {unknown[0]!r}", remedy=f"take one of {', '.join(metrics)}"
            )
        if not self.save_best:
            return
        earlier = self._best_paths()
        self._set_best_paths([None] * len(earlier))  # otherwise, mmengine removes them before it saves new ones
        with self._failing_together(may_save=True):
            super().after_val_epoch(runner, metrics)
        pairs = list(zip(earlier, self._best_paths(), strict=True))
        self._set_best_paths([new or old for old, new in pairs])
        for old, new in pairs:
            if old is None or new is None or not is_main_process() or PurePath(old).parent != PurePath(self.out_dir):
                continue
            if PurePath(old).name != PurePath(new).name and self.file_backend.isfile(old):
                self.file_backend.remove(old)

    def _best_paths(self) -> list[str | None]:
        """Return the best checkpoint of each score of ``save_best``, in its order; None: not saved yet."""
        if len(self.key_indicators) == 1:
            return [self.best_ckpt_path]
        return [self.best_ckpt_path_dict.get(score) for score in self.key_indicators]

    def _set_best_paths(self, paths: Sequence[str | None]) -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = paths[0]
        else:
            self.best_ckpt_path_dict = dict(zip(self.key_indicators, paths, strict=True))

    def _check_best(self, runner: Runner) -> None:
        """Check ``save_best`` before hours of training. The names after the source are known only after a test."""
        if not self.save_best:
            return
        if runner.val_loop is None:
            raise UserError("save_best needs a validation, and the config has none", remedy="set val_dataloader, too")
        # another evaluator has no sources
        tested = [source.name for source in getattr(runner.val_loop.evaluator, "sources", ())]
        unknown = [score for score in self.save_best if tested and score.partition("/")[0] not in (*tested, "auto")]
        if unknown:
            raise UserError(
                f"save_best={unknown[0]!r}: expected SOURCE/SCORE, where SOURCE is one of {tested}",
                remedy=f"for example save_best='{tested[0]}/{unknown[0].rpartition('/')[2]}'",
            )

    @contextmanager
    def _failing_together(self, *, may_save: bool = False) -> Iterator[None]:
        """Stop all ranks if the block fails on one. Without ``may_save``, they ask each other only after a save."""
        before, failed = self.last_ckpt, None
        try:
            yield
        except Exception as error:
            failed = error
        if may_save or self.last_ckpt != before:  # all ranks set it before the first one saves
            somewhere = torch.tensor([failed is not None], dtype=torch.int)
            all_reduce(somewhere, op="max")
            if failed is None and somewhere.item():
                raise UserError(
                    "the first rank could not save a checkpoint, so this one stops, too",
                    remedy="look for the cause in what the first rank printed",
                )
        if isinstance(failed, OSError | RuntimeError):  # torch's writer raises a RuntimeError
            raise UserError(
                f"cannot save a checkpoint ({type(failed).__name__}: {failed})",
                file=self.out_dir,
                remedy="free space on the disk, or correct the folder; then run the same command with --resume",
            ) from failed
        if failed is not None:
            raise failed

    def _check_interval(self, runner: Runner) -> None:
        settings = runner.cfg.get("optim_wrapper")
        accumulated = settings.get("accumulative_counts", 1) if isinstance(settings, Mapping) else 1
        if not self.by_epoch and self.interval > 0 and self.interval % accumulated:
            next_one = -(-self.interval // accumulated) * accumulated
            runner.logger.warning(
                f"a checkpoint is saved every {self.interval} iterations, and a step accumulates the gradients of "
                f"{accumulated}: a resumed training loses those of a step that is not complete; set "
                f"default_hooks.checkpoint.interval={next_one}"
            )

    def _remove_old(self, runner: Runner) -> None:
        name = None if self.last_ckpt is None else PurePath(self.last_ckpt).name
        if name is None or name in self._saved[-1:]:
            return
        self._saved = [*(other for other in self._saved if other != name), name]
        while 0 < self.num_kept < len(self._saved):
            path = self.file_backend.join_path(self.out_dir, self._saved.pop(0))
            if is_main_process() and self.file_backend.isfile(path):
                self.file_backend.remove(path)
        runner.message_hub.update_info(_SAVED, list(self._saved))
