"""Checkpoints that are whole or not there, of which the old ones go only after the new one has come."""

import zipfile
from collections.abc import Iterable
from inspect import signature
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmdataseg.errors import UserError
from mmdataseg.registry import HOOKS

_SAVED = "saved_checkpoints"
_PATTERNS = ("iter_*.pth", "epoch_*.pth")


def is_whole(path: Path) -> bool:
    """Whether a checkpoint was written to its end: torch writes zip files, whose directory comes last.

    Args:
        path: The file.
    """
    return path.is_file() and zipfile.is_zipfile(path)


def newest_whole(work_dir: Path) -> Path | None:
    """The last checkpoint of a run that is whole; None: there is none.

    Args:
        work_dir: Of the run.
    """
    found = [path for pattern in _PATTERNS for path in work_dir.glob(pattern) if is_whole(path)]
    return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)


def checkpoint_to_resume(work_dir: Path) -> tuple[Path | None, str]:
    """What a run goes on from: what ``last_checkpoint`` names, or the newest whole checkpoint where that fails.

    Args:
        work_dir: Of the run.

    Returns:
        Path, or None for a run that has not saved anything; and what the user should know, '' if nothing.

    Raises:
        UserError: The run has checkpoints, and none is whole.
    """
    note = work_dir / "last_checkpoint"
    named = note.read_text(encoding="utf-8").strip() if note.is_file() else ""
    if named and is_whole(Path(named)):
        return Path(named), ""
    newest = newest_whole(work_dir)
    said = f"'{note}' names '{named}', which is not there or cut short" if named else f"'{note}' is missing or empty"
    if newest is not None:
        return newest, f"{said}; going on from the newest whole checkpoint, '{newest}'"
    if named or any(path for pattern in _PATTERNS for path in work_dir.glob(pattern)):
        raise UserError(
            f"{said}, and no checkpoint here is whole",
            file=work_dir,
            remedy="give one with --resume PATH, or start anew in another --work-dir",
        )
    return None, ""


@HOOKS.register_module()
class WholeCheckpoints(CheckpointHook):
    """mmengine's ``CheckpointHook``; old checkpoints are removed after the new one is saved, not before.

    So with ``max_keep_ckpts=1`` a save that fails, on a full disk for instance, leaves the last good checkpoint.

    Args:
        max_keep_ckpts: How many to keep; -1: all.
        **kwargs: mmengine's.

    Raises:
        TypeError: An argument that mmengine's hook does not name.
    """

    def __init__(self, *, max_keep_ckpts: int = -1, **kwargs: Any) -> None:
        unknown = set(kwargs) - set(signature(CheckpointHook).parameters)
        if unknown:  # mmengine's hook would pass them on to the function that saves, which ignores them
            raise TypeError(f"WholeCheckpoints got an unexpected keyword argument {min(unknown)!r}")
        super().__init__(max_keep_ckpts=-1, **kwargs)
        self.num_kept = max_keep_ckpts

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Save where it is due, then remove what is too many."""
        super().after_train_iter(runner, *args, **kwargs)
        self._remove_old(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save where it is due, then remove what is too many."""
        super().after_train_epoch(runner)
        self._remove_old(runner)

    def _remove_old(self, runner: Runner) -> None:
        last, info = self.last_ckpt, runner.message_hub.runtime_info
        saved: list[str] = list(info.get(_SAVED, ()))
        if last is None or last in saved:
            return
        saved.append(last)
        if self.num_kept > 0:
            self._remove(saved[: -self.num_kept])
            saved = saved[-self.num_kept :]
        runner.message_hub.update_info(_SAVED, saved)

    def _remove(self, paths: Iterable[str]) -> None:
        for path in paths if is_main_process() else ():
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)
