"""Where the names of segments are written, so that each can be read and is on its own segment."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT_SIZE = 13
"""In pixels, for a picture that is as large as a panel."""
INK, PAPER = (25, 25, 30), (255, 255, 255)
Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False, kw_only=True)
class Label:
    """A name and where it belongs. Either a mask or a corner is given.

    Args:
        text: The name.
        color: RGB of its frame.
        mask: (height, width) uint8, 0 or 1, of the size of the picture; not empty.
        corner: x, y of a box's upper left corner; the name is above it.
    """

    text: str
    color: tuple[int, int, int]
    mask: np.ndarray | None = None
    corner: tuple[float, float] | None = None


def write_labels(picture: np.ndarray, labels: Sequence[Label], *, note: str = "", font_size: int) -> np.ndarray:
    """Write names on a picture, without covering one with another where there is room.

    A name is inside its mask if it fits there. Otherwise it is near the mask's innermost point, or above the box.

    Args:
        picture: (height, width, 3) uint8.
        labels: What to write.
        note: Written in the lower left corner.
        font_size: In pixels.

    Returns:
        (height, width, 3) uint8.
    """
    sheet = Image.fromarray(picture)
    draw, font = ImageDraw.Draw(sheet, "RGBA"), ImageFont.load_default(size=font_size)
    free = np.ones(picture.shape[:2], np.uint8)  # 0 where a name is already
    chips: list[Box] = []

    def write(text: str, chip: Box, color: tuple[int, int, int]) -> None:
        left, top, right, bottom = chip
        chips.append(chip)
        free[max(0, int(top)) : int(bottom) + 2, max(0, int(left)) : int(right) + 2] = 0
        draw.rounded_rectangle(chip, radius=4, fill=(*INK, 200), outline=color)
        draw.text(((left + right) / 2, (top + bottom) / 2), text, PAPER, font=font, anchor="mm")

    if note:
        text = shorten(note, font, sheet.width - 16)
        top = sheet.height - font_size - 10
        write(text, (4, top, 12 + draw.textlength(text, font=font), top + font_size + 5), PAPER)
    # small segments first: large ones have more places to choose from
    for label in sorted(labels, key=lambda label: 0 if label.mask is None else int(label.mask.sum())):
        text = shorten(label.text, font, sheet.width - 8)
        width, height = draw.textlength(text, font=font) + 8, font_size + 5
        chip = None if label.mask is None else _inside(label.mask & free, width, height)
        if chip is None:
            x, y = innermost_point(label.mask) if label.mask is not None else label.corner
            wanted = (x - width / 2, y - height / 2) if label.mask is not None else (x, y - height)
            chip = _beside((*wanted, width, height), chips, sheet.size)
        write(text, chip, label.color)
    return np.asarray(sheet)


def innermost_point(mask: np.ndarray) -> tuple[float, float]:
    """The point (x, y) of a mask that is farthest from its edge: on it even for a ring.

    Args:
        mask: (height, width) uint8, 0 or 1; not empty.
    """
    padded = np.pad(mask, 1)
    y, x = np.unravel_index(cv2.distanceTransform(padded, cv2.DIST_L2, 3).argmax(), padded.shape)
    return float(x - 1), float(y - 1)


def shorten(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """Cut a text to a width in pixels, with an ellipsis."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _inside(mask: np.ndarray, width: float, height: float) -> Box | None:
    """The place of a rectangle inside a mask that is nearest to the mask's innermost point; None: it does not fit."""
    columns, rows = int(np.ceil(width)) + 2, int(np.ceil(height)) + 2
    # 1 where a rectangle that is centred there is inside the mask
    centres = cv2.erode(mask, np.ones((rows, columns), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    y, x = np.nonzero(centres)
    if not len(y):
        return None
    wanted_x, wanted_y = innermost_point(mask)
    nearest = np.argmin((x - wanted_x) ** 2 + (y - wanted_y) ** 2)
    left, top = x[nearest] - columns // 2 + 1, y[nearest] - rows // 2 + 1
    return float(left), float(top), float(left + width), float(top + height)


def _beside(wanted: Box, taken: Sequence[Box], size: tuple[int, int]) -> Box:
    """The place nearest above or below the one wanted (left, top, width, height) where there is no name yet."""
    left, top, width, height = wanted
    left = min(max(left, 0), size[0] - width - 1)
    places = []
    for step in (0, 1, -1, 2, -2, 3, -3, 4, -4):
        upper = min(max(top + step * (height + 1), 0), size[1] - height - 1)
        places.append((left, upper, left + width, upper + height))
    free = (place for place in places if not any(_meet(place, other) for other in taken))
    return next(free, places[0])


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
