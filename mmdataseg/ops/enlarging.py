"""Mask logits from their grid to the pixels of the original image, in tiles or in boxes of bounded memory.

Letters: Q proposals, (H, W) the grid of the mask logits, (Ho, Wo) the original image in pixels, (Y, X) tiles of it.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmdataseg.ops.id_map import boxes_from_masks

# Mask values enlarged at a time. A CPU works several times faster on blocks that fit its caches; a GPU is fastest with
# few large blocks, here of 128 MiB.
BLOCK_ELEMENTS = {"cpu": 2**21}
BLOCK_ELEMENTS_ELSEWHERE = 2**25
TILE = 8  # least side of a tile on a CPU, in cells; smaller tiles say more about their pixels, but are more work


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


class Enlargement:
    """The bilinear step from the grid of mask logits to the original image's pixels, without the padding.

    mmdet takes two steps: it enlarges, cuts off the padding and resizes. Cells that the image does not touch are not
    read: no loss trains them.

    Args:
        grid: (H, W).
        sizes: Sizes of the image.
        device: Of the mask logits.
    """

    def __init__(self, grid: Sequence[int], sizes: ImageSizes, device: torch.device) -> None:
        self.size, self.device = sizes.original, device
        self._axes = [
            _Axis(*sides, device) for sides in zip(grid, sizes.padded, sizes.image, sizes.original, strict=True)
        ]

    def __call__(self, mask_logits_QHW: Tensor, rows: slice, columns: slice, masks_S: Tensor | None = None) -> Tensor:
        """Enlarge the part in a box, which must not be empty.

        Args:
            mask_logits_QHW: (Q, H, W).
            rows: The rows of the box, in pixels.
            columns: Its columns.
            masks_S: (S,) int64, only these of the masks; None: all.

        Returns:
            (S or Q, rows, columns) float32 logits of the pixels.
        """
        down, across = self._axes
        cells = mask_logits_QHW[:, down.cells(rows), across.cells(columns)]
        cells = (cells if masks_S is None else cells[masks_S]).float()
        top, bottom, share_down = down.taps(rows)
        left, right, share_across = across.taps(columns)
        # columns first: there are fewer rows of cells than of pixels
        wide = torch.lerp(cells.index_select(2, left), cells.index_select(2, right), share_across)
        share_down = share_down[:, None]
        step = max(1, block_elements(self.device) // max(1, len(wide) * len(left)))
        if step >= len(top):
            return torch.lerp(wide.index_select(1, top), wide.index_select(1, bottom), share_down)
        enlarged = wide.new_empty(len(wide), len(top), len(left))
        for start in range(0, len(top), step):
            part = slice(start, start + step)
            above, below = wide.index_select(1, top[part]), wide.index_select(1, bottom[part])
            enlarged[:, part] = torch.lerp(above, below, share_down[part])
        return enlarged

    def pixels_of(self, box: Sequence[int]) -> tuple[slice, slice]:
        """The rows and columns of pixels for which a cell of a box is read; the box is x1, y1, x2, y2 in cells."""
        x1, y1, x2, y2 = box
        return self._axes[0].pixels_of(y1, y2), self._axes[1].pixels_of(x1, x2)

    def tiles(self, num_masks: int) -> tuple[list[slice], list[slice]]:
        """Rows and columns of tiles that cover the image.

        On a CPU the tiles are small: about as many pixels as `TILE` cells in each direction. Elsewhere they are as wide
        as the image. In either case, all masks of a tile have at most `block_elements` values, unless a tile is one
        pixel high.
        """
        height, width = self.size
        pixels = block_elements(self.device) // max(1, num_masks)
        if self.device.type == "cpu":
            down, across = (max(1, min(axis.pixels_per(TILE), math.isqrt(pixels))) for axis in self._axes)
        else:
            down, across = max(1, pixels // width), width
        return _parts(height, down), _parts(width, across)

    def bounds(self, mask_logits_QHW: Tensor, rows: Sequence[slice], columns: Sequence[slice]) -> tuple[Tensor, Tensor]:
        """The smallest and the largest logit that each mask can have in each tile, from the cells that the tile reads.

        Bilinear values are means of cells.

        Args:
            mask_logits_QHW: (Q, H, W).
            rows: The rows of the Y tiles along the image's height.
            columns: The columns of the X tiles along its width.

        Returns:
            Two tensors (Q, Y, X) float32.
        """
        down, across = self._axes
        found = []
        for reduce in (torch.amin, torch.amax):
            lines = torch.stack([reduce(mask_logits_QHW[:, down.cells(part)], 1) for part in rows], 1)
            found.append(torch.stack([reduce(lines[:, :, across.cells(part)], 2) for part in columns], 2).float())
        return found[0], found[1]


def _parts(whole: int, side: int) -> list[slice]:
    return [slice(start, min(start + side, whole)) for start in range(0, whole, side)]


class _Axis:
    """For each original pixel along one axis: the two cells around it, and the share of the second."""

    def __init__(self, cells: int, padded: int, image: int, original: int, device: torch.device) -> None:
        last = min(cells, math.ceil(image * cells / padded)) - 1
        centre = (torch.arange(original, dtype=torch.float32) + 0.5) * (image / original)
        position = (centre * (cells / padded) - 0.5).clamp(0, last)
        low = position.floor().long()
        high = (low + 1).clamp(max=last)
        self._low, self._high = low.tolist(), high.tolist()
        self._taps = [taps.to(device) for taps in (low, high, position - low)]
        self._pixels_per_cell = original * padded / (image * cells)

    def cells(self, pixels: slice) -> slice:
        """The cells that some pixels read."""
        return slice(self._low[pixels.start], self._high[pixels.stop - 1] + 1)

    def taps(self, pixels: slice) -> tuple[Tensor, Tensor, Tensor]:
        """For each of some pixels the first cell, the second, and the share of the second; counted from `cells`."""
        low, high, share = (taps[pixels] for taps in self._taps)
        first = self._low[pixels.start]
        return low - first, high - first, share

    def pixels_of(self, start: int, stop: int) -> slice:
        """The pixels that read a cell in start..stop-1."""
        return slice(bisect_left(self._high, start), bisect_left(self._low, stop))

    def pixels_per(self, cells: int) -> int:
        """The number of pixels, at least ``cells``, over this many cells."""
        return max(cells, round(cells * self._pixels_per_cell))


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
    enlarge = Enlargement(mask_logits_QHW.shape[1:], sizes, mask_logits_QHW.device)
    boxes = boxes_from_masks(mask_logits_QHW.float() >= least_Q[:, None, None]).long().tolist()
    for mask, box in enumerate(boxes):
        rows, columns = enlarge.pixels_of(box)
        if rows.start < rows.stop and columns.start < columns.stop:
            yield mask, (rows, columns), enlarge(mask_logits_QHW[mask, None], rows, columns)[0]
