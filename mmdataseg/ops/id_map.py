"""Ground truth as one integer map per image: conversion to masks and boxes, and reading at points without making masks.

Letters: B images, N segments, P points, X any leading dimensions, such as images and segments, (H, W) the size of the
image in pixels. An id map holds the row of a segment table, 0..N-1, and -1 where nothing is known (void).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

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
    _check(id_map_HW, "(H, W)")
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


def with_border(id_maps_BHW: Tensor) -> Tensor:
    """(B, H + 4, W + 4) id maps in a border of void: a point outside an image reads it, and needs no check.

    Raises:
        ValueError: The id maps have another shape, or do not hold integers.
    """
    _check(id_maps_BHW, "(B, H, W)")
    return F.pad(id_maps_BHW, (BORDER,) * 4, value=VOID)


def sample_id_maps(
    bordered_BHW: Tensor, sizes_B2: Tensor, images_X: Tensor, ids_X: Tensor, points_XP2: Tensor
) -> Tensor:
    """Bilinear samples of segments' masks, computed from the ids of the four neighbouring pixels.

    Equals `sample_maps` of the masks ``id_maps[images_X] == ids_X``.

    Args:
        bordered_BHW: (B, H + 4, W + 4) of `with_border`; void beyond the size of the image.
        sizes_B2: (B, 2) width and height of each image.
        images_X: (...) int64, the image of each segment; broadcast with the two others.
        ids_X: (...) integer, the id of each segment.
        points_XP2: (..., P, 2), (x, y) in [0, 1].

    Returns:
        (..., P) float32 in [0, 1].
    """
    lines, pitch = bordered_BHW.shape[1:]
    height, width = lines - 2 * BORDER, pitch - 2 * BORDER
    ids = bordered_BHW.flatten()
    x, y = (points_XP2[..., n] * sizes_B2[images_X, n, None] - 0.5 for n in (0, 1))
    left, top = x.floor().long().clamp(-BORDER, width), y.floor().long().clamp(-BORDER, height)
    right_share, lower_share = x - left, y - top
    corner = (top + BORDER) * pitch + left + BORDER + (images_X * (lines * pitch))[..., None]
    lower, upper = lower_share, 1 - lower_share
    upper_right, lower_right = upper * right_share, lower * right_share
    shares = (upper - upper_right, upper_right, lower - lower_right, lower_right)
    wanted = ids_X[..., None]
    values = (ids[corner] == wanted) * shares[0]
    for step, share in zip((1, pitch, pitch + 1), shares[1:], strict=True):
        values += (ids[corner + step] == wanted) * share
    return values


def known_at(void_BHW: Tensor, sizes_B2: Tensor, images_X: Tensor, points_XP2: Tensor) -> Tensor:
    """Whether the pixel that contains a point is annotated.

    Args:
        void_BHW: (B, H, W) bool, True where nothing is known.
        sizes_B2: (B, 2) width and height of each image.
        images_X: (...) int64, the image of the points; broadcast with them.
        points_XP2: (..., P, 2) (x, y) in [0, 1].

    Returns:
        (..., P) bool.
    """
    height, width = void_BHW.shape[1:]
    sizes = (sizes_B2[images_X, n, None] for n in (0, 1))
    x, y = (torch.minimum(points_XP2[..., n] * side, side - 1).long().clamp(min=0) for n, side in enumerate(sizes))
    return ~void_BHW.flatten()[y * width + x + (images_X * (height * width))[..., None]]


def _check(id_maps: Tensor, shape: str) -> None:
    if id_maps.dim() != shape.count(",") + 1:
        raise ValueError(f"id map: expected {shape}, got shape {tuple(id_maps.shape)}")
    if id_maps.is_floating_point():
        raise ValueError(f"id map: expected integer ids, got {id_maps.dtype}")
