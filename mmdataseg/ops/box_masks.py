"""Masks of one image that take little memory until they are read: one bit per pixel of their box, or a part of a map.

Letters: N masks, (H, W) the size of the image in pixels, (h, w) the size of a mask's box.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from mmdataseg.ops.id_map import boxes_from_masks
from mmdataseg.ops.run_lengths import unique_values

Box = tuple[int, int, int, int]
BLOCK_PIXELS = 2**22
"""Pixels of a map that are looked at together."""


@dataclass(frozen=True, eq=False, kw_only=True)
class BoxMask:
    """A mask that is computed when it is read. ``np.asarray`` reads it, like `full`.

    Args:
        size: (H, W).
        box: x1, y1, x2, y2 in pixels, tight around the mask; x2 and y2 are exclusive.
        area: Pixels of the mask.
        window: Returns the mask inside its box, (h, w) bool on the CPU.
    """

    size: tuple[int, int]
    box: Box
    area: int
    window: Callable[[], Tensor] = field(repr=False)

    def full(self) -> Tensor:
        """Return the mask, (H, W) bool on the CPU."""
        return full_masks([self], self.size)[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return `full` as an array, which is always a new one."""
        mask = self.full().numpy()
        return mask if dtype is None else mask.astype(dtype, copy=False)


def pack_mask(mask_hw: Tensor, *, corner: tuple[int, int], size: tuple[int, int]) -> BoxMask:
    """Store a mask with one bit per pixel of its tight box.

    Args:
        mask_hw: (h, w) bool, a part of the image outside of which the mask has no pixel.
        corner: (row, column) of the upper left pixel of the part.
        size: (H, W).

    Returns:
        The mask. The box of an empty one is 0, 0, 0, 0.
    """
    x1, y1, x2, y2 = boxes_from_masks(mask_hw[None])[0].long().tolist()
    inside = mask_hw[y1:y2, x1:x2]
    area = int(inside.sum())
    box = (corner[1] + x1, corner[0] + y1, corner[1] + x2, corner[0] + y2) if area else (0, 0, 0, 0)
    bits = np.packbits(inside.cpu().numpy(), axis=1)
    return BoxMask(size=size, box=box, area=area, window=partial(_unpacked, bits, x2 - x1))


def full_masks(masks: Sequence[BoxMask], size: tuple[int, int]) -> Tensor:
    """Compute N masks of an image of size (H, W): (N, H, W) bool, on the CPU."""
    # of NumPy's zeros, the system provides only the memory of the pixels in the boxes
    full = torch.from_numpy(np.zeros((len(masks), *size), bool))
    for mask, found in zip(full, masks, strict=True):
        x1, y1, x2, y2 = found.box
        mask[y1:y2, x1:x2] = found.window()
    return full


def full_boxes(masks: Sequence[BoxMask]) -> Tensor:
    """Return the boxes of N masks, (N, 4) float32 xyxy pixels."""
    return torch.tensor([mask.box for mask in masks], dtype=torch.float32).reshape(-1, 4)


def masks_of_map(map_HW: Tensor) -> dict[int, BoxMask]:
    """Return the mask of each value of a map. The masks read the map, which must not change.

    Args:
        map_HW: (H, W) integers, on the CPU.

    Returns:
        Value -> mask, in the order of the values.

    Raises:
        ValueError: The map has another shape, or does not hold integers.
    """
    if map_HW.dim() != 2 or map_HW.is_floating_point():
        raise ValueError(f"expected a map (H, W) of integers, got shape {tuple(map_HW.shape)} of {map_HW.dtype}")
    areas: dict[int, int] = {}
    boxes: dict[int, Box] = {}
    for first, block in _blocks(map_HW):
        values, index_hw = unique_values(block.numpy())
        counts = np.bincount(index_hw.ravel()).tolist()
        windows = ndimage.find_objects(index_hw + 1)
        for value, count, (rows, columns) in zip(values.tolist(), counts, windows, strict=True):
            box = (columns.start, first + rows.start, columns.stop, first + rows.stop)
            areas[value] = areas.get(value, 0) + count
            boxes[value] = _around(boxes[value], box) if value in boxes else box
    size = (map_HW.shape[0], map_HW.shape[1])
    return {
        value: BoxMask(
            size=size, box=boxes[value], area=areas[value], window=partial(_equal, map_HW, boxes[value], value)
        )
        for value in sorted(areas)
    }


def look_up_(map_HW: Tensor, table_V: Tensor) -> Tensor:
    """Replace each value of a map by that of a table, in place, in bounded memory.

    Args:
        map_HW: (H, W) integers, 0 .. V - 1.
        table_V: (V,) the new value of each.

    Returns:
        The map.
    """
    for _, block in _blocks(map_HW):
        block.copy_(table_V[block.long()])
    return map_HW


def _blocks(map_HW: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield the number of the first row of each block of rows, and the block."""
    rows = max(1, BLOCK_PIXELS // max(1, map_HW.shape[1]))
    for first in range(0, map_HW.shape[0], rows):
        yield first, map_HW[first : first + rows]


def _around(box: Box, other: Box) -> Box:
    return min(box[0], other[0]), min(box[1], other[1]), max(box[2], other[2]), max(box[3], other[3])


def _equal(map_HW: Tensor, box: Box, value: int) -> Tensor:
    x1, y1, x2, y2 = box
    return map_HW[y1:y2, x1:x2] == value


def _unpacked(bits: np.ndarray, width: int) -> Tensor:
    """(h, w) bool, of packed bits."""
    return torch.from_numpy(np.unpackbits(bits, axis=1, count=width).view(bool))
