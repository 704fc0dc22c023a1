"""Run the model for the web page: one image at a time, within limits."""

import re
from collections.abc import Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmdataseg.apis.images.decoding import decode_image
from mmdataseg.apis.images.inputs import ImageInput
from mmdataseg.apis.segmenter import Segmenter
from mmdataseg.apis.web.answers import Answers
from mmdataseg.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the page accepts.

    Args:
        mib: Largest image file, in MiB.
        pixels: Most pixels of an uploaded image.
        shown_pixels: Larger images are shrunk to this many pixels; results have the shrunk size.
        words: Most words per request, things and stuff together.
        letters: Most letters per word.
        seconds: Longest time for an answer, including the wait for earlier requests.

    Raises:
        UserError: A limit is below 1.
    """

    mib: int = 20
    pixels: int = 50_000_000
    shown_pixels: int = 2_000_000
    words: int = 100
    letters: int = 100
    seconds: int = 120

    def __post_init__(self) -> None:
        wrong = [name for name, value in vars(self).items() if value < 1]
        if wrong:
            raise UserError(f"limit '{wrong[0]}': expected 1 or more, got {getattr(self, wrong[0])}")


class Questions:
    """A queue of requests to one segmenter, which handles one image at a time.

    ``pretrained`` is that of `Segmenter.vocabulary`.
    """

    def __init__(self, segmenter: Segmenter, *, limits: Limits, pretrained: str | None = None) -> None:
        self.segmenter = segmenter
        self.limits = limits
        self._pretrained = pretrained
        self._worker = futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="segmenter")

    def ask(
        self,
        file: str | None,
        *,
        things: str = "",
        stuff: str = "",
        tasks: Sequence[str] = (),
        min_score: float = 0.3,
    ) -> Answers:
        """Segment an image.

        Args:
            file: Path of the uploaded image file; None if there is none yet.
            things: Words for countable objects, as `split_words` reads them. Without things and stuff, the classes of
                the segmenter's source are used.
            stuff: Words for everything else.
            tasks: One or more tasks.
            min_score: Instances with a lower score, 0 .. 1, are left out.

        Raises:
            UserError: There is no image, it cannot be read, or a limit is exceeded; or as `Segmenter.__call__`.
        """
        if file is None:
            raise UserError("there is no image yet", remedy="drop one, or click to choose one")
        if not tasks:
            raise UserError("no task is chosen", remedy="choose one or more")
        words = split_words(things, self.limits), split_words(stuff, self.limits)
        both = [*words[0], *words[1]]
        if len(both) > self.limits.words:
            raise UserError(f"{len(both)} words, the limit is {self.limits.words}", remedy="leave some out")
        twice = next((word for word in both if both.count(word) > 1), None)
        if twice is not None:
            raise UserError(f"the word '{twice}' appears twice", remedy="give it once")
        job = self._worker.submit(self._answer, file, *words, tasks, min_score)
        try:
            return job.result(timeout=self.limits.seconds)
        except futures.TimeoutError:
            job.cancel()  # a job that has begun cannot be cancelled, and the next one waits for it
            raise UserError(
                f"no answer within {self.limits.seconds} seconds",
                remedy="try again later, with a smaller image or with fewer words",
            ) from None

    def close(self) -> None:
        """Stop accepting requests, and cancel those that wait."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _answer(
        self, file: str, things: Sequence[str], stuff: Sequence[str], tasks: Sequence[str], min_score: float
    ) -> Answers:
        image = read_upload(file, self.limits)
        pretrained = self._pretrained if things or stuff else None
        vocabulary = self.segmenter.vocabulary(things, stuff, pretrained=pretrained)
        asked = self.segmenter.questions(vocabularies=vocabulary, tasks=tasks)
        found = ImageInput(name=Path(file).name, path=None, load=lambda: image)
        ((_, result),) = self.segmenter.stream([found], asked, min_score=min_score, only_segments=True)
        return Answers.of(result)


def split_words(text: str, limits: Limits) -> list[str]:
    """Split a text field into words, at commas and line breaks. A slash joins synonyms, as in ``sofa/couch``.

    Raises:
        UserError: A word is too long.
    """
    words = [" ".join(word.split()) for word in re.split(r"[,\n]", text or "")]
    words = [word for word in words if word]
    long = next((word for word in words if len(word) > limits.letters), None)
    if long is not None:
        raise UserError(
            f"the word '{long[:20]}…' has {len(long)} letters, the limit is {limits.letters}",
            remedy="put commas between words",
        )
    return words


def read_upload(file: str, limits: Limits) -> np.ndarray:
    """Read an uploaded image file, (H, W, 3) uint8 BGR, and shrink the image if it is large.

    Raises:
        UserError: The file is too large, or has been removed.
        UnreadableImageError: As `mmdataseg.apis.images.decoding.decode_image`.
    """
    path = Path(file)
    if not path.is_file():
        raise UserError("has been deleted", file=path.name, remedy="drop it again")
    size = path.stat().st_size
    if size > limits.mib << 20:
        raise UserError(f"{size / 2**20:.1f} MiB, the limit is {limits.mib} MiB", file=path.name, remedy="shrink it")
    image = decode_image(path.read_bytes(), name=path.name, max_pixels=limits.pixels)
    height, width = image.shape[:2]
    scale = (limits.shown_pixels / (height * width)) ** 0.5
    if scale >= 1:
        return image
    return cv2.resize(image, (max(1, int(width * scale)), max(1, int(height * scale))), interpolation=cv2.INTER_AREA)
