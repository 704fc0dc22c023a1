"""What the command ``predict`` does."""

import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from mmdataseg.apis.inferencer import Inferencer, Question
from mmdataseg.apis.prediction_files import PredictionFiles, find_images, make_empty
from mmdataseg.apis.runs import read_config
from mmdataseg.progress import progress_bar
from mmdataseg.structures import Task


def predict(
    config: str | PathLike[str],
    checkpoint: str | PathLike[str],
    images: Sequence[str],
    *,
    options: Mapping[str, Any] | None = None,
    source: str | None = None,
    device: str | None = None,
    min_score: float = 0.3,
    out: str = "predictions",
    **question: Any,
) -> list[str]:
    """Segment images and write what was found. Stopped, the files of the images so far are complete.

    Args:
        config: Path of a config, or its file name among this package's own.
        checkpoint: Path or address of the weights.
        images: Paths of images, or of folders of images.
        options: Dotted name of a setting of the config -> value.
        source: As for `Inferencer`.
        device: As for `Inferencer`.
        min_score: Instances with a lower score, 0 .. 1, are left out.
        out: Folder of the files; must be new or empty, or hold an earlier prediction.
        question: What to look for: as for `Inferencer.question`.

    Returns:
        A message for each image that could not be read.

    Raises:
        UserError: As `read_config`, `find_images`, `Inferencer`, its `question` and `make_empty`.
        OSError: A file cannot be written.
    """
    found = find_images(images)
    inferencer = Inferencer(read_config(config, options), checkpoint, source=source, device=device)
    asked = inferencer.question(**question)
    make_empty(Path(out))
    files = PredictionFiles(folder=Path(out), source=asked.source, min_score=min_score)
    _announce(len(found), inferencer, asked)
    unreadable = []
    with _sigterm_as_exit():
        try:
            for name, path in progress_bar(found.items(), unit="images"):
                try:
                    sample = inferencer(path, asked)
                except OSError as error:
                    unreadable.append(str(error))
                    continue
                files.add(name, path, sample)
        finally:
            print(files.summary())
            written = files.close()
            if written is not None:
                print(f"{written}, and pictures in {files.folder / 'pictures'}")
    return unreadable


def _announce(number: int, inferencer: Inferencer, question: Question) -> None:
    """Print what is going to be done, and what a user may not expect of the task."""
    task, space = question.source.task, question.source.label_space
    wanted = space.thing_classes if task is Task.INSTANCE else space.classes
    print(
        f"{task.value} segmentation of {number} images on {inferencer.device}, {len(wanted)} classes of "
        f"'{space.name}'; images prepared like those of source '{inferencer.source.name}'"
    )
    if len(wanted) < len(space) and space != inferencer.source.label_space:
        print(f"the instance task finds things only; left out: {', '.join(space.stuff_classes)}")
    if task is Task.SEMANTIC:
        print("every pixel gets one of these classes, whatever it shows; the panoptic task may leave pixels out")


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """SIGTERM, with which schedulers stop a job, ends the process as Ctrl-C does: what is open is written."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
