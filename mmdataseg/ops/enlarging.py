"""Mask logits from their grid to the pixels of the original image, in blocks of rows or in boxes of bounded memory.

Letters: Q proposals, (H, W) the grid of the mask logits, (Ho, Wo) the original image in pixels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mmdataseg.ops.id_map import boxes_from_masks

# Mask values enlarged at a time. A CPU works several times faster on blocks that fit its caches; a GPU is fastest with
# few large blocks, here of 128 MiB.
BLOCK_ELEMENTS = {"cpu": 2**21}
BLOCK_ELEMENTS_ELSEWHERE = 2**25


@dataclass(frozen=True)
class ImageSizes:
    """The sizes of an image, before and after padding and resizing; each is (height, width) in pixels.

    Args:
        padded: Size of the padded batch that the network gets.
        image: Size of the image in the upper left corner of the batch.
        original: Size of the image on disk, before it was resized.
    """

    padded: tuple[int, int]
    image: tuple[int, int]
    original: tuple[int, int]


def block_elements(device: torch.device) -> int:
    """Return the number of mask values to work on at a time on a device."""
    return BLOCK_ELEMENTS.get(device.type, BLOCK_ELEMENTS_ELSEWHERE)


def _taps(cells: int, padded: int, image: int, original: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each original pixel along one axis, on the host: the two cells around it, and the share of the second.

    Cells that the image does not touch are not read: no loss trains them.
    """
    last = min(cells, math.ceil(image * cells / padded)) - 1
    centre = (torch.arange(original, dtype=torch.float32) + 0.5) * (image / original)
    position = (centre * (cells / padded) - 0.5).clamp(0, last)
    low = position.floor().long()
    return low, (low + 1).clamp(max=last), position - low


def enlarge_blocks(mask_logits_QHW: Tensor, sizes: ImageSizes) -> Iterator[tuple[slice, Tensor]]:
    """Mask logits at the original image's pixels, a block of rows at a time.

    This is one bilinear step from the grid to the original pixels, without the padding. mmdet takes two: it enlarges,
    cuts off the padding and resizes.

    Args:
        mask_logits_QHW: (Q, H, W).
        sizes: Sizes of the image.

    Yields:
        The rows, and their logits (Q, rows, Wo) float32.
    """
    num_masks, height, width = mask_logits_QHW.shape
    down = _taps(height, sizes.padded[0], sizes.image[0], sizes.original[0])
    across = _taps(width, sizes.padded[1], sizes.image[1], sizes.original[1])
    rows_per_block = max(1, block_elements(mask_logits_QHW.device) // max(1, num_masks * sizes.original[1]))
    for start in range(0, sizes.original[0], rows_per_block):
        rows = slice(start, min(start + rows_per_block, sizes.original[0]))
        yield rows, _enlarge(mask_logits_QHW, down, across, rows, slice(0, sizes.original[1]))


def enlarge_boxes(
    mask_logits_QHW: Tensor, sizes: ImageSizes, least_Q: Tensor
) -> Iterator[tuple[int, tuple[slice, slice], Tensor]]:
    """Mask logits at the original image's pixels, a mask at a time, in the box where they can exceed a bound.

    One copy of the boxes to the host, for all masks.

    Args:
        mask_logits_QHW: (Q, H, W).
        sizes: Sizes of the image.
        least_Q: (Q,) logits. Every pixel outside the box has a smaller one, as bilinear values are means of the cells
            around them.

    Yields:
        The mask, its rows and columns, and their logits (rows, columns) float32. A mask that is below its bound
        everywhere is left out.
    """
    down = _taps(mask_logits_QHW.shape[1], sizes.padded[0], sizes.image[0], sizes.original[0])
    across = _taps(mask_logits_QHW.shape[2], sizes.padded[1], sizes.image[1], sizes.original[1])
    boxes = boxes_from_masks(mask_logits_QHW.float() >= least_Q[:, None, None]).long().tolist()
    for mask, (x1, y1, x2, y2) in enumerate(boxes):
        rows, columns = _pixels_of(down, y1, y2), _pixels_of(across, x1, x2)
        if rows.start < rows.stop and columns.start < columns.stop:
            yield mask, (rows, columns), _enlarge(mask_logits_QHW[mask, None], down, across, rows, columns)[0]


def _enlarge(
    mask_logits_QHW: Tensor,
    down: tuple[Tensor, Tensor, Tensor],
    across: tuple[Tensor, Tensor, Tensor],
    rows: slice,
    columns: slice,
) -> Tensor:
    """(Q, rows, columns) float32 logits of the pixels in a box, which must not be empty."""
    device = mask_logits_QHW.device
    top, bottom, share_down = (taps[rows] for taps in down)
    left, right, share_across = (taps[columns] for taps in across)
    first_row, first_column = int(top[0]), int(left[0])
    cells = mask_logits_QHW[:, first_row : int(bottom[-1]) + 1, first_column : int(right[-1]) + 1].float()
    left, right, share_across = (taps.to(device) for taps in (left - first_column, right - first_column, share_across))
    top, bottom, share_down = (taps.to(device) for taps in (top - first_row, bottom - first_row, share_down[:, None]))
    # columns first: there are fewer rows of cells than of pixels
    wide = torch.lerp(cells.index_select(2, left), cells.index_select(2, right), share_across)
    step = max(1, block_elements(device) // max(1, len(wide) * len(left)))
    if step >= len(top):
        return torch.lerp(wide.index_select(1, top), wide.index_select(1, bottom), share_down)
    enlarged = wide.new_empty(len(wide), len(top), len(left))
    for start in range(0, len(top), step):
        part = slice(start, start + step)
        above, below = wide.index_select(1, top[part]), wide.index_select(1, bottom[part])
        enlarged[:, part] = torch.lerp(above, below, share_down[part])
    return enlarged


def _pixels_of(taps: tuple[Tensor, Tensor, Tensor], start: int, stop: int) -> slice:
    """The pixels along an axis for which one of the two neighbouring cells is in start..stop-1."""
    low, high, _ = taps
    return slice(int(torch.searchsorted(high, start)), int(torch.searchsorted(low, stop)))
