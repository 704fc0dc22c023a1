"""Pictures of segments: image, ground truth and prediction side by side, legible for small images too.

mmdet's ``DetLocalVisualizer`` is not used: it fails on pictures without a segment, wants a palette for semantic maps,
and writes its labels too large for images of a few hundred pixels.

Frames: masks and boxes are in pixels of the original image, pictures are RGB uint8.
"""

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mmdataseg.visualization.labels import FONT_SIZE, INK, PAPER, Label, shorten, write_labels

PANEL = (384, 768)
"""The longer side of a panel, in pixels: smaller images are enlarged by a whole factor, larger ones shrunk."""
_TITLE_HEIGHT = 26
_GAP = 8


@dataclass(frozen=True)
class Segment:
    """What is drawn for one segment.

    Args:
        name: Written on it.
        color: RGB, 0 .. 255.
        mask: (H, W) bool; None: only the box is known.
        box: xyxy, drawn where there is no mask.
        label: Of its class; only segments of one class can be the same object.
    """

    name: str
    color: tuple[int, int, int]
    mask: np.ndarray | None = None
    box: tuple[float, float, float, float] | None = None
    label: int = -1


def class_color(label: int, instance: int = 0) -> tuple[int, int, int]:
    """Color of a class: hues a golden ratio apart; instances of a class differ in brightness.

    Args:
        label: Of the class.
        instance: Number of the instance among those of its class.

    Returns:
        RGB, 0 .. 255.
    """
    hue = (label * 0.61803398875 + 0.07) % 1.0
    saturation = (0.75, 0.55, 0.95)[label // 8 % 3]
    value = (0.95, 0.70, 0.82, 0.58)[instance % 4]
    return tuple(round(255 * channel) for channel in colorsys.hsv_to_rgb(hue, saturation, value))


def draw_segments(
    image: np.ndarray,
    segments: Sequence[Segment],
    *,
    size: tuple[int, int],
    note: str = "",
    hatched: np.ndarray | None = None,
) -> np.ndarray:
    """Lay segments over an image.

    Args:
        image: (H, W, 3).
        segments: Later ones lie over earlier ones.
        size: (height, width) of the picture; masks and boxes are scaled to it.
        note: Written in the lower left corner.
        hatched: (H, W) bool, where to draw diagonal lines; None: nowhere.

    Returns:
        (height, width, 3).
    """
    picture = resize(image, size).astype(np.float32)
    scale = size[0] / image.shape[0], size[1] / image.shape[1]
    zoom = _zoom(size)
    outlines, labels = [], []
    for segment in segments:
        if segment.mask is None:
            outlines.append((segment.color, [_corners(segment.box, scale)]))
            corner = segment.box[0] * scale[1], segment.box[1] * scale[0]
            labels.append(Label(text=segment.name, color=segment.color, corner=corner))
            continue
        mask = resize_mask(segment.mask, size)
        if not mask.any():
            continue
        inside = mask.astype(bool)
        picture[inside] = 0.45 * picture[inside] + 0.55 * np.array(segment.color, np.float32)
        contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        outlines.append((segment.color, contours))
        labels.append(Label(text=segment.name, color=segment.color, mask=mask))
    if hatched is not None:
        lines = resize_mask(hatched, size).astype(bool) & _hatching(size, zoom)
        picture[lines] = 0.3 * picture[lines] + 0.7 * 255
    picture = np.ascontiguousarray(picture.round().astype(np.uint8))
    for color, contours in outlines:
        edge = tuple(int(255 - 0.35 * (255 - channel)) for channel in color)
        cv2.polylines(picture, contours, True, edge, round(2 * zoom), cv2.LINE_AA)
    return write_labels(picture, labels, note=note, font_size=round(FONT_SIZE * zoom))


def side_by_side(panels: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """Put titled pictures of one height in a row.

    Args:
        panels: Title and picture (H, W, 3).

    Returns:
        One picture on white ground.
    """
    height = _TITLE_HEIGHT + max(picture.shape[0] for _, picture in panels) + _GAP
    width = _GAP + sum(picture.shape[1] + _GAP for _, picture in panels)
    sheet = Image.new("RGB", (width, height), PAPER)
    draw, left, font = ImageDraw.Draw(sheet), _GAP, ImageFont.load_default(size=FONT_SIZE + 1)
    for title, picture in panels:
        sheet.paste(Image.fromarray(picture), (left, _TITLE_HEIGHT))
        draw.text((left, _TITLE_HEIGHT // 2), shorten(title, font, picture.shape[1]), INK, font=font, anchor="lm")
        left += picture.shape[1] + _GAP
    return np.asarray(sheet)


def panel_size(height: int, width: int) -> tuple[int, int]:
    """Size at which an image is shown: see `PANEL`.

    Args:
        height: Of the image, in pixels.
        width: Of the image, in pixels.

    Returns:
        (height, width).
    """
    longer = max(height, width)
    scale = math.ceil(PANEL[0] / longer) if longer < PANEL[0] else min(1, PANEL[1] / longer)
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image, smooth both ways.

    Args:
        image: (H, W, 3).
        size: (height, width) wanted.

    Returns:
        (height, width, 3).
    """
    if image.shape[:2] == size:
        return image.copy()
    how = cv2.INTER_CUBIC if size[0] > image.shape[0] else cv2.INTER_AREA
    return cv2.resize(image, size[::-1], interpolation=how)


def resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a mask, smooth outlines; one that would vanish keeps its nearest pixels.

    Args:
        mask: (H, W) bool.
        size: (height, width) wanted.

    Returns:
        (height, width) uint8, 0 or 1.
    """
    if mask.shape == size:
        return mask.astype(np.uint8)
    smooth = cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    if not smooth.any():
        return cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
    return smooth.astype(np.uint8)


def _corners(box: tuple[float, float, float, float], scale: tuple[float, float]) -> np.ndarray:
    x1, y1, x2, y2 = (round(v * s) for v, s in zip(box, (scale[1], scale[0]) * 2, strict=True))
    return np.array([[[x1, y1]], [[x2, y1]], [[x2, y2]], [[x1, y2]]], np.int32)


def _zoom(size: tuple[int, int]) -> float:
    """How much larger letters and lines are than on a panel, so that they can be read when the picture is shrunk."""
    return max(1.0, max(size) / PANEL[1])


def _hatching(size: tuple[int, int], zoom: float) -> np.ndarray:
    """(height, width) bool: diagonal lines."""
    y, x = np.ogrid[: size[0], : size[1]]
    return (x + y) % round(10 * zoom) < round(2 * zoom)
