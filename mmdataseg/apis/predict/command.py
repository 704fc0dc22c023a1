"""The command ``predict``: segment images and write the results."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any

import cv2

from mmdataseg.apis.cpu_threads import crowded_threads
from mmdataseg.apis.images.decoding import MAX_PIXELS
from mmdataseg.apis.images.inputs import ImageInput, ImageInputs
from mmdataseg.apis.images.paths import common_root, count_images
from mmdataseg.apis.predict.files import PredictionFiles, open_folder
from mmdataseg.apis.segmenter import OWN_WORDS, Segmenter
from mmdataseg.apis.stopping import sigterm_as_exit
from mmdataseg.errors import UserError
from mmdataseg.progress import counted, progress_bar
from mmdataseg.results.result import Result
from mmdataseg.structures import Task
from mmdataseg.text.vocabulary import Vocabulary

_WAITING = 8  # most results that wait to be written
_WAITING_PIXELS = 2**25  # most pixels of these; a larger result is written before the next image is read


def predict(  # noqa: PLR0913 -- the options of the command
    checkpoint: str | PathLike[str],
    images: Sequence[str],
    *,
    config: str | PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
    source: str | None = None,
    device: str | None = None,
    trust_checkpoint: bool = False,
    things: Sequence[str] = (),
    stuff: Sequence[str] = (),
    embeddings: str | None = None,
    pretrained: str | None = None,
    tasks: Sequence[str] | None = None,
    min_score: float = 0.3,
    batch_size: int = 1,
    max_pixels: int = MAX_PIXELS,
    save: Sequence[str] = ("pictures", "coco"),
    show: bool = False,
    out: str = "predictions",
) -> list[str]:
    """Segment images and write the results. The arguments are those of the command, ``python -m mmdataseg predict -h``.

    With ``embeddings``, a file of embedded words, ``stuff`` are the words of the file that are stuff. The folder
    ``out`` must be new, empty, or that of an earlier call with the same arguments. If that call was interrupted, it
    continues where it stopped.

    Returns:
        One message per image that was left out.

    Raises:
        UserError: As `Segmenter` and `open_folder`; or a file cannot be written.
    """
    given = [int(text) if text.isdecimal() and not Path(text).exists() else text for text in images]
    total = count_images(images, without=Path(out))
    segmenter = Segmenter(
        checkpoint, config=config, options=options, source=source, device=device, trust=trust_checkpoint
    )
    asked = segmenter.questions(
        vocabularies=_vocabulary(segmenter, things, stuff, embeddings, pretrained),
        tasks=tasks or (None if things or stuff or embeddings else [segmenter.source.task.value]),
    )
    ((vocabulary, answered),) = asked
    root = common_root(images)
    question = dict(
        checkpoint=segmenter.checkpoint.sha256(),
        config=config and str(config),
        options=dict(options or {}),
        source=segmenter.source.name,
        classes=vocabulary.label_space.classes,
        is_thing=vocabulary.label_space.is_thing,
        tasks=[one.task.value for one in answered],
        min_score=min_score,
        save=sorted(save),
        root=root and str(root),
    )
    open_folder(Path(out), question)
    _announce(total, segmenter, vocabulary, [one.task for one in answered])
    run = _Run(PredictionFiles(folder=Path(out), save=save, space=vocabulary.label_space), show=show)
    with sigterm_as_exit():
        inputs = run.new(ImageInputs(max_pixels=max_pixels, root=root, without=Path(out))(given), total)
        run.write(
            segmenter.stream(
                inputs,
                asked,
                batch_size=batch_size,
                min_score=min_score,
                unreadable=run.leave_out,
                only_segments=True,
            )
        )
    return run.left_out


class _Run:
    """One run: skips images that are done, writes results in a thread, and prints a summary at the end."""

    def __init__(self, files: PredictionFiles, *, show: bool) -> None:
        self._files, self._show = files, show
        self.left_out: list[str] = []  # one message per image
        self._done = files.open()
        self._earlier = len(self._done)
        self._number = 0

    def new(self, inputs: Iterable[ImageInput], total: int | None) -> Iterator[ImageInput]:
        """Yield the images that have no answer yet, with a progress bar."""
        if self._earlier:
            print(f"already done: {counted(self._earlier, 'image')}; continuing")
        seen: dict[str, str | None] = {}
        with progress_bar(unit="images", total=total, initial=self._earlier) as bar:
            for found in inputs:
                if found.name in seen:
                    if seen[found.name] != found.path:
                        self.left_out.append(f"'{found.path}': has the name of '{seen[found.name]}', '{found.name}'")
                    continue
                seen[found.name] = found.path
                if found.name not in self._done:  # the bar starts with the others, so that its rate is right
                    left_out = len(self.left_out)
                    yield found
                    if len(self.left_out) == left_out:
                        bar.update()

    def leave_out(self, error: UserError) -> None:
        """Record an image that cannot be used."""
        self.left_out.append(str(error))

    def write(self, pairs: Iterable[tuple[ImageInput, Result]]) -> None:
        """Write results until there are no more, or the user stops."""
        start = time.monotonic()
        waiting: deque[tuple[int, Future[None]]] = deque()
        try:
            with ThreadPoolExecutor(max_workers=1) as writer:
                for found, result in pairs:
                    waiting.append((result.size[0] * result.size[1], writer.submit(self._files.add, found, result)))
                    self._number += 1
                    while len(waiting) > _WAITING or sum(pixels for pixels, _ in waiting) > _WAITING_PIXELS:
                        waiting.popleft()[1].result()
                    if self._show and _shown(result):
                        break
                    del found, result  # not kept while the next image is read
                for _, future in waiting:
                    future.result()
        finally:
            seconds = time.monotonic() - start
            written = self._files.close()
            rate = self._number / max(seconds, 1e-9)
            print(f"{counted(self._number, 'image')} in {seconds:.1f} s, {rate:.2f} images per second")
            if written:
                print(self._files.summary())
                print("written: " + ", ".join(map(str, written)))


def _shown(result: Result) -> bool:
    """Show a result on the screen. Return whether the user pressed q or Escape."""
    try:
        cv2.imshow("mmdataseg", result.sheet()[..., ::-1])
        return cv2.waitKey(1) in (27, ord("q"))
    except cv2.error as error:
        raise UserError(
            "this OpenCV cannot open a window", remedy="leave --show out, or install opencv-python without headless"
        ) from error


def _vocabulary(
    segmenter: Segmenter, things: Sequence[str], stuff: Sequence[str], embeddings: str | None, pretrained: str | None
) -> Vocabulary:
    if embeddings is None:
        return segmenter.vocabulary(things, stuff, name=OWN_WORDS, pretrained=pretrained)
    if things or pretrained is not None:
        raise UserError(
            "embeddings and things or pretrained are both given", remedy="leave one out: the file has its own words"
        )
    return Vocabulary.load(embeddings, stuff=stuff or None)


def _announce(total: int | None, segmenter: Segmenter, vocabulary: Vocabulary, tasks: Sequence[Task]) -> None:
    """Print what the run will do, and what may surprise a user about its tasks."""
    space = vocabulary.label_space
    number = "" if total is None else f" of {counted(total, 'image')}"
    print(
        f"{', '.join(task.value for task in tasks)} segmentation{number} on {segmenter.device}, "
        f"{counted(len(space), 'class', 'classes')} of '{space.name}'; "
        f"images prepared like those of source '{segmenter.source.name}'"
    )
    if Task.INSTANCE in tasks and space.stuff_classes and space != segmenter.source.label_space:
        print(f"the instance task finds things only; it leaves out: {', '.join(space.stuff_classes)}")
    if Task.SEMANTIC in tasks:
        print("semantic: every pixel gets one of these classes, whatever it shows; panoptic may leave pixels out")
    if crowded := crowded_threads(str(segmenter.device)):
        print(crowded)
