"""The results for one image, reduced to what the web page needs."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmdataseg.formats.masks import decode_mask
from mmdataseg.formats.png import encode_image
from mmdataseg.progress import counted
from mmdataseg.results import pictures
from mmdataseg.results.result import Result

COLUMNS = ("number", "class", "kind", "score", "area in pixels", "box x1, y1, x2, y2")


@dataclass(frozen=True, eq=False, kw_only=True)
class Answers:
    """The results of one or more tasks for one image.

    Args:
        record: `Result.to_json`: everything except the image.
        image: (h, w, 3) uint8 RGB, the image at its display size.
        panels: Task -> (h, w, 3) uint8 RGB, the same image with its segments.
        pngs: Task -> PNG file of the image with its segments, at the original size.
        id_maps: Task -> (H, W) int32, the segment number of each pixel, 0 for no segment.
    """

    record: dict[str, Any]
    image: np.ndarray
    panels: dict[str, np.ndarray]
    pngs: dict[str, bytes]
    id_maps: dict[str, np.ndarray]

    @classmethod
    def of(cls, result: Result) -> "Answers":
        """Take what the page shows from a result with one vocabulary."""
        return cls(
            record=result.to_json(),
            image=pictures.shown(result.image),
            panels={task: pictures.panel(result.image, result.answer(task)) for task in result.tasks},
            pngs={task: encode_image(result.plot(task)) for task in result.tasks},
            id_maps={task: result.answer(task).id_map for task in result.tasks},
        )

    @property
    def tasks(self) -> tuple[str, ...]:
        """The requested tasks."""
        return tuple(self.panels)

    def segments(self, task: str) -> list[dict[str, Any]]:
        """Return the segments of one task, as in `Result.to_json`. The segment at index n has number n + 1."""
        return next(answer["segments"] for answer in self.record["answers"] if answer["task"] == task)

    def table(self, task: str) -> list[list[Any]]:
        """Return one row per segment of a task, with the columns `COLUMNS`."""
        return [
            [
                *(segment["id"], segment["name"], "thing" if segment["is_thing"] else "stuff"),
                *(_score(segment), segment["area"], ", ".join(map(str, segment["box"]))),
            ]
            for segment in self.segments(task)
        ]

    def summary(self, task: str) -> str:
        """Return a sentence that says what a task found."""
        found = self.segments(task)
        height, width = self.record["height"], self.record["width"]
        if not found:
            return f"{task}: nothing was found. Try other words or, for instances, a lower score."
        names = len({segment["name"] for segment in found})
        numbers = f"{counted(len(found), 'segment')} of {counted(names, 'class', 'classes')}"
        return f"{task}: {numbers} in {width} x {height} pixels. Click a segment, or its row."

    def at(self, task: str, x: int, y: int) -> int:
        """Return the number, from 1, of the segment at a pixel of the picture; 0 if there is none or it is outside."""
        id_map, (height, width) = self.id_maps[task], self.image.shape[:2]
        if not (0 <= x < width and 0 <= y < height):
            return 0
        return int(id_map[y * id_map.shape[0] // height, x * id_map.shape[1] // width])

    def describe(self, task: str, number: int) -> str:
        """Return a sentence that describes a segment."""
        found = self.segments(task)[number - 1]
        score = "" if found["score"] is None else f", score {found['score']:.2f}"
        box = ", ".join(map(str, found["box"]))
        return f"Segment {number}: {found['name']}{score}, {counted(found['area'], 'pixel')}, box {box}."

    def picture(self, task: str, number: int = 0) -> np.ndarray:
        """Return the image, (h, w, 3) uint8 RGB, with one segment of a task, or with all for number 0."""
        if not number:
            return self.panels[task]
        found = self.segments(task)[number - 1]
        mask = decode_mask(found["segmentation"], self.record["height"], self.record["width"]).astype(bool)
        return pictures.spotlight(
            self.image, mask, name=f"{found['name']} {_score(found)}".strip(), label=found["label"]
        )

    def to_json(self) -> str:
        """Return everything except the image as JSON text."""
        return json.dumps(self.record, indent=1)


def _score(segment: dict[str, Any]) -> str:
    return "" if segment["score"] is None else f"{segment['score']:.2f}"
