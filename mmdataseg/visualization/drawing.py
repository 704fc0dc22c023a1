"""Draw segments over images and put pictures side by side, legible for small images too.

mmdet's ``DetLocalVisualizer`` is not used: it fails on images without segments, needs a palette for semantic maps, and
writes its labels too large for images of a few hundred pixels.

Frames: masks and boxes are in pixels of the original image. Pictures are RGB uint8.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mmdataseg.ops.box_masks import BoxMask
from mmdataseg.visualization.labels import FONT_SIZE, INK, PAPER, Label, shorten, write_labels

PANEL = (384, 768)
"""Smallest and largest length of a panel's longer side, in pixels.

Smaller images are enlarged by an integer factor; larger images are shrunk.
"""
NUM_COLORS = 256
_TITLE_HEIGHT = 26
_GAP = 8


@dataclass(frozen=True)
class Segment:
    """One segment to draw.

    Args:
        name: Name to write on the segment.
        color: RGB, 0 .. 255.
        mask: (H, W) bool, as an array or as a mask that takes less memory; None if only the box is known.
        box: xyxy in pixels; drawn if there is no mask.
        label: Label of its class; only segments with the same label can be the same object.
    """

    name: str
    color: tuple[int, int, int]
    mask: np.ndarray | BoxMask | None = None
    box: tuple[float, float, float, float] | None = None
    label: int = -1


@cache
def palette() -> np.ndarray:
    """Return colors of classes. Each differs as much as possible from all before it, so the first classes differ most.

    Differences are distances in CIE L*a*b*. Colors that are dark, pale, grey or glaring are left out.

    Returns:
        (256, 3) uint8, RGB, read-only.
    """
    steps = np.linspace(0, 1, 15, dtype=np.float32)
    candidates = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    lab = cv2.cvtColor(candidates, cv2.COLOR_RGB2LAB)[:, 0]
    lightness, chroma = lab[:, 0], np.linalg.norm(lab[:, 1:], axis=1)
    suitable = (lightness > 45) & (lightness < 88) & (chroma > 35) & (chroma < 85)  # L* up to 100, up to 134
    lab, candidates = lab[suitable], candidates[suitable, 0]
    chosen = [int(chroma[suitable].argmax())]
    distances = np.full(len(lab), np.inf, dtype=np.float32)
    while len(chosen) < NUM_COLORS:
        distances = np.minimum(distances, np.linalg.norm(lab - lab[chosen[-1]], axis=1))
        chosen.append(int(distances.argmax()))
    colors = np.round(candidates[chosen] * 255).astype(np.uint8)
    colors.flags.writeable = False  # all callers share them
    return colors


def class_color(label: int, instance: int = 0) -> tuple[int, int, int]:
    """Return the color of a class. Instances differ by brightness.

    Args:
        label: Label of the class, from 0. Colors repeat after 256 classes.
        instance: Number of the instance within its class, from 0. Brightness repeats after four.

    Returns:
        RGB, 0 .. 255.
    """
    brightness = (1.0, 0.74, 0.87, 0.61)[instance % 4]
    return tuple(round(brightness * int(channel)) for channel in palette()[label % NUM_COLORS])


def draw_segments(
    image: np.ndarray,
    segments: Sequence[Segment],
    *,
    size: tuple[int, int],
    note: str = "",
    hatched: np.ndarray | None = None,
) -> np.ndarray:
    """Draw segments over an image.

    Args:
        image: (H, W, 3) uint8.
        segments: Segments; later ones cover earlier ones.
        size: (height, width) of the picture. Masks and boxes are scaled to it.
        note: Text for the lower left corner.
        hatched: (H, W) bool mask of the pixels to hatch with diagonal lines; None: no hatching.

    Returns:
        (height, width, 3).
    """
    picture = resize(image, size).astype(np.float32)
    scale = size[0] / image.shape[0], size[1] / image.shape[1]
    zoom = max(1.0, max(size) / PANEL[1])  # of letters and lines, so that large pictures stay legible when shrunk
    outlines, labels = [], []
    for segment in segments:
        if segment.mask is None:
            outlines.append((segment.color, [_corners(segment.box, scale)]))
            corner = segment.box[0] * scale[1], segment.box[1] * scale[0]
            labels.append(Label(text=segment.name, color=segment.color, corner=corner))
            continue
        mask = resize_mask(np.asarray(segment.mask), size)
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
    """Put titled pictures in a row.

    Args:
        panels: Titles and pictures (H, W, 3).

    Returns:
        One picture (height, width, 3) with a white background.
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
    """Return the (height, width) at which an image is shown, in pixels; see `PANEL`."""
    longer = max(height, width)
    scale = math.ceil(PANEL[0] / longer) if longer < PANEL[0] else min(1, PANEL[1] / longer)
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image (H, W, 3) to (height, width, 3), smoothly for both enlarging and shrinking."""
    if image.shape[:2] == size:
        return image.copy()
    how = cv2.INTER_CUBIC if size[0] > image.shape[0] else cv2.INTER_AREA
    return cv2.resize(image, size[::-1], interpolation=how)


def resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a mask (H, W) bool with smooth outlines: (height, width) uint8, 0 or 1.

    A mask that would vanish is resized with nearest neighbours instead.
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


def _hatching(size: tuple[int, int], zoom: float) -> np.ndarray:
    """Return a (height, width) bool pattern of diagonal lines."""
    y, x = np.ogrid[: size[0], : size[1]]
    return (x + y) % round(10 * zoom) < round(2 * zoom)
