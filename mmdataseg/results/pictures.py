"""Draw answers as pictures. All pictures are RGB uint8."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mmdataseg.errors import UserError
from mmdataseg.formats.png import encode_image
from mmdataseg.formats.whole_files import write_whole
from mmdataseg.results import segments
from mmdataseg.results.segments import Answer
from mmdataseg.visualization.drawing import (
    Segment,
    class_color,
    draw_segments,
    panel_size,
    resize,
    resize_mask,
    side_by_side,
)
from mmdataseg.visualization.segments import draw_predicted

_DIMMED = 0.45


def overlay(image: np.ndarray, answer: Answer) -> np.ndarray:
    """Draw the segments of an answer over the image (H, W, 3), at its size."""
    return _drawn(image, answer, (image.shape[0], image.shape[1]))


def sheet(image: np.ndarray, answers: Iterable[Answer], *, title: str) -> np.ndarray:
    """Draw the image (H, W, 3) with its title, and its answers, side by side at the size of `shown`."""
    answered = [(f"{answer.task.value} segments", panel(image, answer)) for answer in answers]
    return side_by_side([(title, shown(image)), *answered])


def shown(image: np.ndarray) -> np.ndarray:
    """Resize an image (H, W, 3) to the size of a panel: small images are enlarged, large ones are shrunk."""
    return resize(image, panel_size(*image.shape[:2]))


def panel(image: np.ndarray, answer: Answer) -> np.ndarray:
    """Draw the segments of an answer over the image (H, W, 3), at the size of `shown`."""
    return _drawn(image, answer, panel_size(*image.shape[:2]))


def _drawn(image: np.ndarray, answer: Answer, size: tuple[int, int]) -> np.ndarray:
    return draw_predicted(image, answer.prediction, answer.source, size=size, min_score=answer.min_score)


def spotlight(image: np.ndarray, mask: np.ndarray, *, name: str, label: int) -> np.ndarray:
    """Draw one segment and dim the rest of the image.

    Args:
        image: (height, width, 3).
        mask: (H, W) bool, at the size of the image or of the original that it was resized from.
        name: Name to write on the segment.
        label: Label of its class, which decides the color.

    Returns:
        (height, width, 3).
    """
    size = (image.shape[0], image.shape[1])
    inside = resize_mask(mask, size)[..., None] > 0
    dimmed = np.where(inside, image, (image * _DIMMED).astype(np.uint8))
    return draw_segments(dimmed, [Segment(name=name, color=class_color(label), mask=inside[..., 0])], size=size)


def cut_outs(image: np.ndarray, answer: Answer) -> Iterator[tuple[segments.Segment, np.ndarray]]:
    """Yield each segment and its box of the image (H, W, 3), as (h, w, 4) RGBA, transparent outside the mask."""
    for segment in answer.segments:
        x1, y1, x2, y2 = segment.box
        alpha = np.where(segment.window, np.uint8(255), np.uint8(0))
        yield segment, np.dstack([image[y1:y2, x1:x2], alpha])


def write(path: Path, picture: np.ndarray) -> Path:
    """Write a picture to a file. An interrupted write leaves no partial file.

    Args:
        path: Path of the file; the suffix decides the format.
        picture: (H, W, 3), or (H, W, 4) with transparency.

    Raises:
        UserError: The suffix is not that of an image format.
    """
    formats = Image.registered_extensions()
    if path.suffix.lower() not in formats:
        raise UserError(
            f"cannot write a picture as {path.suffix!r}", file=path, remedy="give a path that ends in .png or .jpg"
        )
    write_whole(path, encode_image(picture, formats[path.suffix.lower()]))
    return path
