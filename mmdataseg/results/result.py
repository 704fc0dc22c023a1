"""All results of a trained model for one image."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mmdet.structures import DetDataSample
from PIL import Image

from mmdataseg.errors import UserError
from mmdataseg.results import exchange, pictures
from mmdataseg.results.segments import Answer, Segment
from mmdataseg.structures import Task

if TYPE_CHECKING:
    import pandas
    import supervision


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """The results for one image: one answer per requested task and vocabulary.

    Methods that need one answer take ``task`` and ``vocabulary`` as `answer` does, and raise its error. Both may be
    left out if only one answer fits. `rows` and `to_df` take them, too, to leave out the other answers.

    Args:
        name: Name of the image: its path relative to the given folder, the number of an array, or a video's name with
            the frame number, such as ``clip/000012``.
        path: File or address of the image; None for an image in memory.
        image: (H, W, 3) uint8 RGB, rotated as its EXIF tag says.
        answers: (task, name of the vocabulary) -> answer.
    """

    name: str
    path: str | None
    image: np.ndarray
    answers: Mapping[tuple[Task, str], Answer]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the image, in pixels."""
        return self.image.shape[0], self.image.shape[1]

    @property
    def tasks(self) -> tuple[str, ...]:
        """The requested tasks."""
        return tuple(dict.fromkeys(task.value for task, _ in self.answers))

    @property
    def vocabularies(self) -> tuple[str, ...]:
        """The names of the requested vocabularies."""
        return tuple(dict.fromkeys(name for _, name in self.answers))

    def answer(self, task: str | Task | None = None, vocabulary: str | None = None) -> Answer:
        """Return one of the answers.

        Args:
            task: Task of the answer; None: any.
            vocabulary: Name of its vocabulary; None: any.

        Raises:
            UserError: No answer fits, or several do.
        """
        fitting = self._fitting(task, vocabulary)
        if len(fitting) != 1:
            known = ", ".join(f"{found.value} in {name!r}" for found, name in self.answers)
            raise UserError(
                f"{'several answers fit' if fitting else 'no answer fits'} task={task!r}, vocabulary={vocabulary!r}; "
                f"this result has {known}",
                remedy="give the task and the vocabulary of one answer",
            )
        return fitting[0]

    def _fitting(self, task: str | Task | None, vocabulary: str | None) -> list[Answer]:
        return [
            answer
            for (found, name), answer in self.answers.items()
            if task in (None, found, found.value) and vocabulary in (None, name)
        ]

    def __getitem__(self, key: str | tuple[str, str]) -> Answer:
        """``result["panoptic"]``, or ``result["panoptic", "my words"]``."""
        return self.answer(*key) if isinstance(key, tuple) else self.answer(key)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments of the only answer.

        Raises:
            UserError: There are several answers: ``result["panoptic"].segments``.
        """
        return self.answer().segments

    @property
    def sample(self) -> DetDataSample:
        """mmdet's data sample with the fields of all requested tasks, on the CPU, as mmdet's metrics read it.

        Raises:
            UserError: There are several vocabularies, whose samples are separate: ``result["panoptic", NAME].sample``.
        """
        if len(self.vocabularies) > 1:
            raise UserError(
                f"there are several vocabularies, {list(self.vocabularies)}",
                remedy="take the sample of one answer, result[TASK, VOCABULARY].sample",
            )
        return next(iter(self.answers.values())).sample

    # ---- pictures

    def plot(self, task: str | None = None, vocabulary: str | None = None) -> np.ndarray:
        """Draw the segments and their names over the image: (H, W, 3) uint8 RGB, at the size of the image."""
        return pictures.overlay(self.image, self.answer(task, vocabulary))

    def sheet(self) -> np.ndarray:
        """Draw the image and all answers side by side: (height, width, 3) uint8 RGB, legible for small images too."""
        return pictures.sheet(self.image, self.answers.values(), title=self.name)

    def show(self, task: str | None = None, vocabulary: str | None = None) -> None:
        """Open `plot` in the system's image viewer."""
        Image.fromarray(self.plot(task, vocabulary)).show(title=self.name)

    def save(self, path: str | PathLike[str], task: str | None = None, vocabulary: str | None = None) -> Path:
        """Write the picture of `plot` to a file, whose suffix (such as .png or .jpg) decides the format.

        Missing folders are created. ``task`` and ``vocabulary`` are as for `plot`.

        Raises:
            UserError: The suffix is not that of an image format.
        """
        return pictures.write(Path(path), self.plot(task, vocabulary))

    def crop(self, task: str | None = None, vocabulary: str | None = None) -> Iterator[tuple[Segment, np.ndarray]]:
        """Cut out each segment.

        Yields:
            The segment, and the part of the image in its box: (h, w, 4) uint8 RGBA, transparent outside the mask.
        """
        return pictures.cut_outs(self.image, self.answer(task, vocabulary))

    # ---- formats of other programs

    def to_json(self) -> dict[str, Any]:
        """Return everything except the image as JSON values, with masks as COCO RLE."""
        head = {"image": self.name, "path": self.path, "height": self.size[0], "width": self.size[1]}
        return {**head, "answers": [exchange.to_json(answer) for answer in self.answers.values()]}

    def rows(self, task: str | None = None, vocabulary: str | None = None) -> list[dict[str, Any]]:
        """Return the segments as rows of a table, without masks. `to_df` has the same content.

        Args:
            task: Task of the answers; None: of all.
            vocabulary: Name of their vocabulary; None: of all.

        Raises:
            UserError: No answer fits.
        """
        fitting = self._fitting(task, vocabulary) or [self.answer(task, vocabulary)]
        return [row for answer in fitting for row in exchange.rows(self.name, answer)]

    def to_df(self, task: str | None = None, vocabulary: str | None = None) -> "pandas.DataFrame":
        """Return `rows` as a pandas DataFrame.

        Raises:
            UserError: No answer fits, or pandas is not installed.
        """
        return exchange.to_df(self.rows(task, vocabulary))

    def to_coco(self, task: str | None = None, vocabulary: str | None = None, *, image_id: int = 1) -> dict[str, Any]:
        """Return the COCO JSON of this image: ``images``, ``annotations`` and ``categories``.

        A category id is the label + 1. Panoptic annotations have ``segments_info`` with the ids of
        ``result["panoptic"].id_map``. Instance and semantic annotations have RLE masks; instances also have scores.
        """
        return exchange.to_coco(self.name, self.answer(task, vocabulary), image_id=image_id)

    def to_detections(self, task: str | None = None, vocabulary: str | None = None) -> "supervision.Detections":
        """Return ``supervision.Detections``: boxes, masks, scores, labels, and names in ``data["class_name"]``.

        Raises:
            UserError: supervision is not installed.
        """
        return exchange.to_detections(self.answer(task, vocabulary))

    def to_transformers(self, vocabulary: str | None = None) -> dict[str, Any]:
        """Return what Hugging Face's ``post_process_panoptic_segmentation`` returns for an image.

        Returns:
            ``segmentation``, an (H, W) int32 tensor with the segment id of each pixel: 0 for no segment, and -1
            everywhere if the image has no segment at all. ``segments_info``, a list of dicts with ``id``, ``label_id``,
            ``was_fused`` (true for stuff) and ``score``.

        Raises:
            UserError: The panoptic task was not requested.
        """
        return exchange.to_transformers(self.answer(Task.PANOPTIC, vocabulary))

    def __str__(self) -> str:
        lines = []
        for (task, name), answer in self.answers.items():
            counts = Counter(segment.name for segment in answer.segments)
            found = ", ".join(f"{number} {word}" for word, number in counts.items()) or "nothing"
            lines.append(f"{self.name}: {task.value} in '{name}': {found}")
        return "\n".join(lines)
