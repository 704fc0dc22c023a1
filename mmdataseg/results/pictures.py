"""Answers as pictures. All arrays are RGB uint8."""

from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from mmdataseg.errors import UserError
from mmdataseg.formats.whole_files import write_whole
from mmdataseg.results.segments import Answer, Segment
from mmdataseg.visualization.drawing import draw_segments, panel_size, resize, side_by_side
from mmdataseg.visualization.segments import predicted_segments


def overlay(image: np.ndarray, answer: Answer) -> np.ndarray:
    """The image with its segments.

    Args:
        image: (H, W, 3).
        answer: About that image.

    Returns:
        (H, W, 3).
    """
    found = predicted_segments(answer.sample, answer.source, min_score=answer.min_score)
    return draw_segments(image, found, size=(image.shape[0], image.shape[1]))


def sheet(image: np.ndarray, answers: Iterable[Answer], *, title: str) -> np.ndarray:
    """The image and its answers side by side.

    Args:
        image: (H, W, 3).
        answers: About that image.
        title: Over the image.

    Returns:
        (height, width, 3): small images are enlarged, large ones shrunk.
    """
    size = panel_size(*image.shape[:2])
    panels = [(title, resize(image, size))]
    for answer in answers:
        found = predicted_segments(answer.sample, answer.source, min_score=answer.min_score)
        panels.append((f"{answer.task.value} segments", draw_segments(image, found, size=size)))
    return side_by_side(panels)


def cut_outs(image: np.ndarray, answer: Answer) -> Iterator[tuple[Segment, np.ndarray]]:
    """Each segment with its box of the image, transparent outside its mask.

    Args:
        image: (H, W, 3).
        answer: About that image.

    Yields:
        The segment, and (h, w, 4) RGBA.
    """
    for segment in answer.segments:
        x1, y1, x2, y2 = segment.box
        alpha = np.where(segment.map_HW[y1:y2, x1:x2] == segment.value, np.uint8(255), np.uint8(0))
        yield segment, np.dstack([image[y1:y2, x1:x2], alpha])


def write(path: Path, picture: np.ndarray) -> Path:
    """Write a picture, whole or not at all.

    Args:
        path: Where to write; its suffix is the format.
        picture: (H, W, 3), or (H, W, 4) with transparency.

    Raises:
        UserError: No image format has that suffix.
    """
    formats = Image.registered_extensions()
    if path.suffix.lower() not in formats:
        raise UserError(
            f"cannot write a picture as {path.suffix!r}", file=path, remedy="give a path that ends in .png or .jpg"
        )
    encoded = BytesIO()
    Image.fromarray(picture).save(encoded, format=formats[path.suffix.lower()])
    write_whole(path, encoded.getvalue())
    return path
