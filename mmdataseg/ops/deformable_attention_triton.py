"""Multi-scale deformable attention as Triton kernels, for CUDA GPUs where mmcv was built without its operator.

The kernels have not run on a GPU. They have run in Triton's interpreter, on a CPU, and they compile for compute
capability 7.5, 8.0 and 9.0 (tests/ops/test_deformable_attention_triton.py). Their block size is not tuned.

A level is one launch in each direction. A program takes `ROWS` rows (a query and head of an image) and all channels of
a head. Sums are float32, whatever the dtype of the values. The gradient of the values is summed by atomic additions,
so on a GPU its last digits differ from run to run, as those of ``grid_sample`` do.

Letters: B images, N queries, A heads, c channels per head, L levels, P points per level, S cells of all levels,
R = B N A rows. Positions are in cells: 0 is the centre of the first.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

ROWS = 16  # of a program
MIN_TRITON = 3  # in the interpreter of 2.3.1, the kernels fail


def deformable_attention_triton(
    value_BSAc: Tensor, sizes: Sequence[tuple[int, int]], x_BNALP: Tensor, y_BNALP: Tensor, weights_BNALP: Tensor
) -> Tensor:
    """Compute the same as `mmdataseg.ops.deformable_attention.deformable_attention`, which checks the shapes.

    Args:
        value_BSAc: (B, S, A, c) float32, float16 or bfloat16 on a CUDA device; in Triton's interpreter on the CPU.
        sizes: (height, width) of each level, in cells.
        x_BNALP: (B, N, A, L, P) float, columns.
        y_BNALP: (B, N, A, L, P) float, rows.
        weights_BNALP: (B, N, A, L, P) float.

    Returns:
        (B, N, A, c), with the dtype of the value.

    Raises:
        ImportError: Triton is older than 3.0.
    """
    if int(triton.__version__.partition(".")[0]) < MIN_TRITON:
        raise ImportError(f"triton {triton.__version__} is too old: expected >= {MIN_TRITON}.0")
    points = (part.float().contiguous() for part in (x_BNALP, y_BNALP, weights_BNALP))
    return _Attention.apply(value_BSAc.contiguous(), *points, tuple(sizes))


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        value_BSAc: Tensor,
        x_BNALP: Tensor,
        y_BNALP: Tensor,
        weights_BNALP: Tensor,
        sizes: tuple[tuple[int, int], ...],
    ) -> Tensor:
        ctx.save_for_backward(value_BSAc, x_BNALP, y_BNALP, weights_BNALP)
        ctx.sizes = sizes
        shape = (*x_BNALP.shape[:3], value_BSAc.shape[3])
        total_BNAc = torch.zeros(shape, dtype=torch.float32, device=value_BSAc.device)
        for arguments in _launches(value_BSAc, x_BNALP, sizes):
            _add_level[arguments.pop("grid")](value_BSAc, x_BNALP, y_BNALP, weights_BNALP, total_BNAc, **arguments)
        return total_BNAc.to(value_BSAc.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BNAc: Tensor) -> tuple[Tensor | None, ...]:
        value_BSAc, *points = ctx.saved_tensors
        grad_value_BSAc = torch.zeros_like(value_BSAc, dtype=torch.float32)
        grads = [torch.empty_like(part) for part in points]
        grad_BNAc = grad_BNAc.contiguous()
        for arguments in _launches(value_BSAc, points[0], ctx.sizes):
            _level_gradients[arguments.pop("grid")](
                value_BSAc, *points, grad_BNAc, grad_value_BSAc, *grads, **arguments
            )
        return grad_value_BSAc.to(value_BSAc.dtype), *grads, None


def _launches(value_BSAc: Tensor, x_BNALP: Tensor, sizes: Sequence[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    """Yield the grid and the arguments of each level's launch, on the device of the value; nothing without rows."""
    _, num_cells, num_heads, channels = value_BSAc.shape
    _, num_queries, _, num_levels, num_points = x_BNALP.shape
    num_rows = x_BNALP.shape[:3].numel()
    if not num_rows:
        return
    first_cell = 0
    with torch.cuda.device_of(value_BSAc):
        for level, (height, width) in enumerate(sizes):
            yield {
                "grid": (triton.cdiv(num_rows, ROWS),),
                "height": height,
                "width": width,
                "first_cell": first_cell,
                "first_point": level * num_points,
                "num_rows": num_rows,
                "rows_of_image": num_queries * num_heads,
                "num_cells": num_cells,
                "num_heads": num_heads,
                "points_of_row": num_levels * num_points,
                "num_points": num_points,
                "channels": channels,
                "rows": ROWS,
                "block": triton.next_power_of_2(channels),
            }
            first_cell += height * width


@triton.jit
def _corner(  # type: ignore[no-untyped-def]  # noqa: PLR0913 -- a kernel takes numbers only
    column, row, height, width, first_cell, image_cells, head, num_heads, channels, channel, known
):  # fmt: skip
    """Offsets (rows, block) of the channels of one cell, and which of them exist; column and row are whole floats."""
    inside = known & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    cell = tl.where(inside, row, 0.0).to(tl.int64) * width + tl.where(inside, column, 0.0).to(tl.int64)
    start = ((image_cells + first_cell + cell) * num_heads + head) * channels
    return start[:, None] + channel[None, :], inside[:, None] & (channel < channels)[None, :]


@triton.jit(do_not_specialize=["height", "width", "first_cell", "first_point"])
def _add_level(  # type: ignore[no-untyped-def]  # noqa: PLR0913
    value, x, y, weights, total, height, width, first_cell, first_point, num_rows, rows_of_image, num_cells, num_heads,
    points_of_row, num_points: tl.constexpr, channels: tl.constexpr, rows: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Add one level's part to the rows of the total."""
    r = tl.program_id(0).to(tl.int64) * rows + tl.arange(0, rows)
    channel = tl.arange(0, block)
    known = r < num_rows
    image_cells, head = r // rows_of_image * num_cells, r % num_heads
    mine = r[:, None] * channels + channel[None, :]
    exists = known[:, None] & (channel < channels)[None, :]
    sums = tl.load(total + mine, mask=exists, other=0.0)
    for p in tl.static_range(num_points):
        point = r * points_of_row + first_point + p
        px = tl.load(x + point, mask=known, other=0.0)
        py = tl.load(y + point, mask=known, other=0.0)
        weight = tl.load(weights + point, mask=known, other=0.0)
        left, top = tl.floor(px), tl.floor(py)
        for dy in tl.static_range(2):
            for dx in tl.static_range(2):
                at, inside = _corner(
                    left + dx, top + dy, height, width, first_cell, image_cells, head, num_heads, channels, channel,
                    known,
                )  # fmt: skip
                across = px - left if dx == 1 else 1 - (px - left)
                down = py - top if dy == 1 else 1 - (py - top)
                share = weight * across * down
                sums += share[:, None] * tl.load(value + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(total + mine, sums, mask=exists)


@triton.jit(do_not_specialize=["height", "width", "first_cell", "first_point"])
def _level_gradients(  # type: ignore[no-untyped-def]  # noqa: PLR0913
    value, x, y, weights, grad, grad_value, grad_x, grad_y, grad_weights, height, width, first_cell, first_point,
    num_rows, rows_of_image, num_cells, num_heads, points_of_row, num_points: tl.constexpr, channels: tl.constexpr,
    rows: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Write the gradients of one level's points, and add those of its cells."""
    r = tl.program_id(0).to(tl.int64) * rows + tl.arange(0, rows)
    channel = tl.arange(0, block)
    known = r < num_rows
    image_cells, head = r // rows_of_image * num_cells, r % num_heads
    mine = r[:, None] * channels + channel[None, :]
    exists = known[:, None] & (channel < channels)[None, :]
    upstream = tl.load(grad + mine, mask=exists, other=0.0).to(tl.float32)
    for p in tl.static_range(num_points):
        point = r * points_of_row + first_point + p
        px = tl.load(x + point, mask=known, other=0.0)
        py = tl.load(y + point, mask=known, other=0.0)
        weight = tl.load(weights + point, mask=known, other=0.0)
        left, top = tl.floor(px), tl.floor(py)
        slope_x, slope_y, read = tl.zeros_like(px), tl.zeros_like(px), tl.zeros_like(px)
        for dy in tl.static_range(2):
            for dx in tl.static_range(2):
                at, inside = _corner(
                    left + dx, top + dy, height, width, first_cell, image_cells, head, num_heads, channels, channel,
                    known,
                )  # fmt: skip
                across = px - left if dx == 1 else 1 - (px - left)
                down = py - top if dy == 1 else 1 - (py - top)
                cell = tl.load(value + at, mask=inside, other=0.0).to(tl.float32)
                product = tl.sum(cell * upstream, axis=1)
                read += product * across * down
                slope_x += (product if dx == 1 else -product) * down
                slope_y += (product if dy == 1 else -product) * across
                tl.atomic_add(grad_value + at, (weight * across * down)[:, None] * upstream, mask=inside)
        tl.store(grad_weights + point, read, mask=known)
        tl.store(grad_x + point, weight * slope_x, mask=known)
        tl.store(grad_y + point, weight * slope_y, mask=known)
