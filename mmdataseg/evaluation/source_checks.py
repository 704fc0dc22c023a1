"""Checks, before a training, that a metric can score its source."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmdataseg.errors import UserError
from mmdataseg.registry import type_name
from mmdataseg.sources import Source

_LOAD_NO_ANNOTATION = {"LoadImage", "LoadImageFromFile", "Resize", "Pad", "PackInputs"}


def check_task(source: Source, *tasks: str, metric: Any) -> None:
    """Check that the task of a source is one that a metric scores, before a training rather than after it.

    Raises:
        UserError: The source has another task.
    """
    if source.task.value not in tasks:
        raise UserError(
            f"{type(metric).__name__} scores the task {' or '.join(map(repr, tasks))}, but the source's task is "
            f"{source.task.value!r}",
            source=source.name,
            remedy="use a metric of this task, or correct the task",
        )


def steps_of_test(source: Source) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the name without prefix, and the config, of each step of a source's test pipeline."""
    for step in (source.test or {}).get("pipeline", ()):
        kind = type_name(step)
        if kind is not None:
            yield kind, step


def check_loaded(source: Source, loader: str) -> None:
    """Check that the test pipeline loads the ground truth, before a training rather than at its first validation.

    The message names the transform that loads it.

    Raises:
        UserError: All steps are transforms that load no annotation.
    """
    kinds = {kind for kind, _ in steps_of_test(source)}
    if kinds and kinds <= _LOAD_NO_ANNOTATION:
        raise UserError(
            "the test pipeline loads no annotations, so there would be nothing to score",
            source=source.name,
            remedy=f"add dict(type='mmdataseg.{loader}', scoring=True) after Resize",
        )
