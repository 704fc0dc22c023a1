"""Ground truth as one integer map per image: conversion to masks and boxes, and reading at points without making masks.

Letters: N segments, P points, (H, W) the size of the image in pixels. An id map holds the row of a segment table,
0..N-1, and -1 where nothing is known (void).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdataseg.ops.points import sample_maps

VOID = -1
BORDER = 2  # pixels of void around a map: a point outside it reads two in each direction


def masks_from_id_map(id_map_HW: Tensor, num_segments: int) -> Tensor:
    """Masks of all segments.

    Args:
        id_map_HW: (H, W) integer ids, -1 for void.
        num_segments: N.

    Returns:
        (N, H, W) bool.

    Raises:
        ValueError: The id map has another shape, or does not hold integers.
    """
    _check(id_map_HW)
    ids_N11 = torch.arange(num_segments, device=id_map_HW.device, dtype=id_map_HW.dtype)[:, None, None]
    return id_map_HW[None] == ids_N11


def boxes_from_masks(masks_NHW: Tensor) -> Tensor:
    """The tight box of each mask.

    Args:
        masks_NHW: (N, H, W) bool.

    Returns:
        (N, 4) float32 xyxy pixels, x2 and y2 exclusive; all 0 for an empty mask.
    """
    sides = []
    for occupied in (masks_NHW.any(dim=1), masks_NHW.any(dim=2)):  # columns, then rows
        size = occupied.shape[1]
        position = torch.arange(size, device=masks_NHW.device)
        first = torch.where(occupied, position, size).amin(dim=1) if size else occupied.sum(1)
        last = torch.where(occupied, position + 1, 0).amax(dim=1) if size else occupied.sum(1)
        sides.append((torch.minimum(first, last), last))
    (x1, x2), (y1, y2) = sides
    return torch.stack([x1, y1, x2, y2], dim=1).float()


def sample_id_map(id_map_HW: Tensor, ids_N: Tensor, points: Tensor) -> Tensor:
    """Bilinear samples of each segment's mask, computed from the ids of the four neighbouring pixels.

    Equals ``sample_maps(masks_from_id_map(...)[ids_N].float(), points)``.

    Args:
        id_map_HW: (H, W) integer ids.
        ids_N: (N,) ids to read.
        points: (N, P, 2) own points for each id, or (P, 2) shared by all; (x, y) in [0, 1].

    Returns:
        (N, P) float32 in [0, 1].

    Raises:
        ValueError: The id map has another shape, or does not hold integers.
    """
    _check(id_map_HW)
    height, width = id_map_HW.shape
    # a point outside the map reads the border of void, so no corner needs a check of its own
    ids = F.pad(id_map_HW, (BORDER,) * 4, value=VOID).flatten()
    x, y = points[..., 0] * width - 0.5, points[..., 1] * height - 0.5
    left, top = x.floor().long().clamp(-BORDER, width), y.floor().long().clamp(-BORDER, height)
    right_share, lower_share = x - left, y - top
    pitch = width + 2 * BORDER
    corner = (top + BORDER) * pitch + left + BORDER
    lower, upper = lower_share, 1 - lower_share
    upper_right, lower_right = upper * right_share, lower * right_share
    shares = (upper - upper_right, upper_right, lower - lower_right, lower_right)
    values = torch.zeros(len(ids_N), points.shape[-2], device=id_map_HW.device)
    for step, share in zip((0, 1, pitch, pitch + 1), shares, strict=True):
        values += (ids[corner + step] == ids_N[:, None]) * share
    return values


def sample_bitmaps(masks_NHW: Tensor, points: Tensor) -> Tensor:
    """Bilinear samples of bool masks that may overlap.

    Args:
        masks_NHW: (N, H, W) bool.
        points: (N, P, 2) own points for each mask, or (P, 2) shared by all; (x, y) in [0, 1].

    Returns:
        (N, P) float32 in [0, 1].
    """
    if points.dim() == 2:
        points = points.expand(len(masks_NHW), -1, -1)
    return sample_maps(masks_NHW.float(), points)


def known_at(void_HW: Tensor, points: Tensor) -> Tensor:
    """Whether the pixel that contains a point is annotated.

    Args:
        void_HW: (H, W) bool, True where nothing is known.
        points: (..., 2) (x, y) in [0, 1].

    Returns:
        (...) bool.
    """
    height, width = void_HW.shape
    x = (points[..., 0] * width).long().clamp(0, width - 1)
    y = (points[..., 1] * height).long().clamp(0, height - 1)
    return ~void_HW[y, x]


def _check(id_map_HW: Tensor) -> None:
    if id_map_HW.dim() != 2:
        raise ValueError(f"id map: expected (H, W), got shape {tuple(id_map_HW.shape)}")
    if id_map_HW.is_floating_point():
        raise ValueError(f"id map: expected integer ids, got {id_map_HW.dtype}")
