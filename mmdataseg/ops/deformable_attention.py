"""Multi-scale deformable attention (Zhu et al., Deformable DETR, 2021, section 4.1) without a compiled operator.

The output of a query is a weighted sum of cells, four around each of its points. All outputs together are one product
with a sparse matrix: a row for each query and head, a column for each cell and head. On a CPU that product, its
transpose and its gradient have kernels; reading maps point by point, as ``grid_sample`` does, is several times slower.

Letters: B images, N queries, A heads, c channels per head, L levels, P points per level, K = L P points per head, H = A
K points of a query, s cells of a level, S cells of all levels, V cells of all levels with a border of zeros, R = B N A
rows. Positions are in cells: 0 is the centre of the first.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix
from torch import Tensor
from torch.autograd.function import once_differentiable

# torch warns once per process; the numbers of the one sparse function used here are tested
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")

WAYS = ("auto", "sparse", "grid_sample", "triton", "deformops")

BORDER = 2  # cells of zeros around a level; positions outside it read these, so no position needs a check


def deformable_attention(
    value_BSAc: Tensor,
    sizes: Sequence[tuple[int, int]],
    x_BNALP: Tensor,
    y_BNALP: Tensor,
    weights_BNALP: Tensor,
    *,
    way: str = "auto",
) -> Tensor:
    """Weighted sums of maps at points, bilinear; outside a map it is 0.

    Args:
        value_BSAc: (B, S, A, c) float, the cells of each level by rows, levels one after another.
        sizes: (height, width) of each level, in cells.
        x_BNALP: (B, N, A, L, P) float, columns.
        y_BNALP: (B, N, A, L, P) float, rows.
        weights_BNALP: (B, N, A, L, P) float.
        way: ``sparse``, a product with a sparse matrix, on a CPU only; ``grid_sample``, on any device; ``triton``, the
            kernels of `mmdataseg.ops.deformable_attention_triton`, on CUDA; ``deformops``, the package of that name,
            whose kernels run on CUDA; ``auto``: ``sparse`` on a CPU, otherwise ``grid_sample``.

    Returns:
        (B, N, A, c), with the dtype of the value.

    Raises:
        ImportError: The way is ``triton``, and triton is not installed or too old; or it is ``deformops``, which is not
            installed.
        ValueError: The way is unknown or not for this device; the cells are not those of the levels; or positions and
            weights differ in shape.
    """
    if way not in WAYS:
        raise ValueError(f"way: expected one of {WAYS}, got {way!r}")
    _check_shapes(value_BSAc, sizes, x_BNALP, y_BNALP, weights_BNALP)
    on_cpu = value_BSAc.device.type == "cpu"
    if way == "triton":
        from mmdataseg.ops.deformable_attention_triton import deformable_attention_triton

        return deformable_attention_triton(value_BSAc, sizes, x_BNALP, y_BNALP, weights_BNALP)
    if way == "deformops":
        return _by_deformops(value_BSAc, sizes, x_BNALP, y_BNALP, weights_BNALP)
    if way == "sparse" and not on_cpu:
        raise ValueError(f"the sparse product is for a CPU, got values on {value_BSAc.device}")
    if way == "sparse" or (way == "auto" and on_cpu):
        return _by_sparse_product(value_BSAc, sizes, x_BNALP, y_BNALP, weights_BNALP)
    return _by_grid_sample(value_BSAc, sizes, x_BNALP, y_BNALP, weights_BNALP)


def _check_shapes(
    value_BSAc: Tensor, sizes: Sequence[tuple[int, int]], x_BNALP: Tensor, y_BNALP: Tensor, weights_BNALP: Tensor
) -> None:
    num_cells = sum(height * width for height, width in sizes)
    if value_BSAc.dim() != 4 or value_BSAc.shape[1] != num_cells:
        raise ValueError(f"value: expected (B, {num_cells}, A, c) for levels of {sizes}, got {tuple(value_BSAc.shape)}")
    batch, _, num_heads, _ = value_BSAc.shape
    shape = tuple(x_BNALP.shape)
    if len(shape) != 5 or (shape[0], *shape[2:4]) != (batch, num_heads, len(sizes)):
        raise ValueError(f"expected points of shape ({batch}, N, {num_heads}, {len(sizes)}, P), got {shape}")
    if y_BNALP.shape != shape or weights_BNALP.shape != shape:
        raise ValueError(
            f"expected rows and weights for columns of shape {shape}, got {tuple(y_BNALP.shape)} and "
            f"{tuple(weights_BNALP.shape)}"
        )


def _by_grid_sample(
    value_BSAc: Tensor, sizes: Sequence[tuple[int, int]], x_BNALP: Tensor, y_BNALP: Tensor, weights_BNALP: Tensor
) -> Tensor:
    """Level by level, with operators that every device has.

    Maps are read in float32: a position in bfloat16 is off by up to a quarter of a cell on a map of 128 cells. What was
    read has the dtype of the value again, as it is kept for the backward pass.
    """
    batch, num_queries, num_heads = x_BNALP.shape[:3]
    levels = value_BSAc.split([height * width for height, width in sizes], dim=1)
    total = value_BSAc.new_zeros(())
    for level, ((height, width), cells_BsAc) in enumerate(zip(sizes, levels, strict=True)):
        maps = cells_BsAc.float().permute(0, 2, 3, 1).reshape(batch * num_heads, -1, height, width)
        x, y, weights = (
            part[:, :, :, level].transpose(1, 2).flatten(0, 1).float() for part in (x_BNALP, y_BNALP, weights_BNALP)
        )
        grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
        read = F.grid_sample(maps, grid, align_corners=False).to(value_BSAc.dtype)
        total = total + (read * weights.to(read)[:, None]).sum(-1)
    return total.view(batch, num_heads, -1, num_queries).permute(0, 3, 1, 2)


def _by_deformops(
    value_BSAc: Tensor, sizes: Sequence[tuple[int, int]], x_BNALP: Tensor, y_BNALP: Tensor, weights_BNALP: Tensor
) -> Tensor:
    """By the package deformops, which takes positions as fractions of the map's width and height, here in float32."""
    from deformops.registry import msda

    shapes_L2 = torch.tensor(sizes, device=value_BSAc.device)
    starts_L = F.pad(shapes_L2.prod(1).cumsum(0)[:-1], (1, 0))
    heights_L1, widths_L1 = shapes_L2[:, :1], shapes_L2[:, 1:]
    positions = torch.stack([(x_BNALP.float() + 0.5) / widths_L1, (y_BNALP.float() + 0.5) / heights_L1], dim=-1)
    read = msda(value_BSAc, shapes_L2, starts_L, positions, weights_BNALP.to(value_BSAc.dtype))
    return read.unflatten(-1, value_BSAc.shape[2:]).to(value_BSAc.dtype)  # on a CPU, deformops may return float32


def _by_sparse_product(
    value_BSAc: Tensor, sizes: Sequence[tuple[int, int]], x_BNALP: Tensor, y_BNALP: Tensor, weights_BNALP: Tensor
) -> Tensor:
    """All levels at once: a row of the matrix for each query and head, a column for each cell and head."""
    batch, num_queries, num_heads = x_BNALP.shape[:3]
    if not num_queries:
        return value_BSAc.new_zeros(batch, 0, num_heads, value_BSAc.shape[-1])
    layout = _Layout(sizes, batch, num_queries, num_heads, x_BNALP.shape[-1])
    points = (part.float().flatten(2) for part in (x_BNALP, y_BNALP, weights_BNALP))
    answer_Rc = _SparseProduct.apply(value_BSAc.float(), *points, layout)
    return answer_Rc.view(batch, num_queries, num_heads, -1).to(value_BSAc.dtype)


class _Layout:
    """Where each level's cells are in the table of all cells with borders; one value for each point of a query.

    Raises:
        ValueError: There are more cells or points than int32 can count.
    """

    def __init__(
        self, sizes: Sequence[tuple[int, int]], batch: int, num_queries: int, num_heads: int, num_points: int
    ) -> None:
        bordered = [(height + 2 * BORDER) * (width + 2 * BORDER) for height, width in sizes]
        self.sizes, self.num_heads, self.num_cells = tuple(sizes), num_heads, sum(bordered)
        largest = batch * num_heads * max(self.num_cells, 4 * num_queries * len(sizes) * num_points)
        if largest >= 2**31:
            raise ValueError(f"expected fewer than 2^31 cells and points in a batch, got {largest}; use fewer images")
        first_L = torch.tensor([0, *bordered[:-1]]).cumsum(0)
        table_3K = torch.cat([torch.tensor(sizes).T, first_L[None]]).repeat_interleave(num_points, dim=1)
        heights_K, widths_K, firsts_K = table_3K
        self.heights_H = heights_K.float().repeat(num_heads)
        self.widths_H = widths_K.float().repeat(num_heads)
        firsts_AK = firsts_K * num_heads + torch.arange(num_heads)[:, None]
        firsts_B11 = (torch.arange(batch) * self.num_cells * num_heads)[:, None, None]
        # rows of the table at which the level begins, for the image and the head
        self.firsts_B1H = (firsts_AK.flatten() + firsts_B11).int()
        pitch_K = (widths_K + 2 * BORDER) * num_heads
        zero_K = torch.zeros_like(pitch_K)
        steps_4K = torch.stack([zero_K, zero_K + num_heads, pitch_K, pitch_K + num_heads])
        # rows of the table from the upper left cell to each of the four
        self.steps_A4K = steps_4K.int().expand(num_heads, -1, -1)

    def levels(self, table_BVAc: Tensor) -> list[Tensor]:
        """A view (B, height, width, A, c) of each level, without its border."""
        bordered = [(height + 2 * BORDER, width + 2 * BORDER) for height, width in self.sizes]
        parts = table_BVAc.split([height * width for height, width in bordered], dim=1)
        inner = slice(BORDER, -BORDER)
        return [part.unflatten(1, size)[:, inner, inner] for part, size in zip(parts, bordered, strict=True)]

    def indices(self, column_BNH: Tensor, row_BNH: Tensor) -> Tensor:
        """(R, 4 K) int32 rows of the table: the four cells around each point.

        Args:
            column_BNH: Index of the left cells, as float; overwritten.
            row_BNH: Index of the upper cells, as float; overwritten.
        """
        column_BNH = torch.minimum(column_BNH.clamp_(min=-BORDER), self.widths_H, out=column_BNH)
        row_BNH = torch.minimum(row_BNH.clamp_(min=-BORDER), self.heights_H, out=row_BNH)
        # exact in float32 up to 2^24 cells per level
        cell = row_BNH.add_(BORDER).mul_(self.widths_H + 2 * BORDER).add_(column_BNH).add_(BORDER)
        first = cell.int().clamp_(min=0)  # a NaN position gets some cell too; its weight is NaN
        first = first.mul_(self.num_heads).add_(self.firsts_B1H)
        return (first.view(-1, self.num_heads, 1, self.steps_A4K.shape[-1]) + self.steps_A4K).flatten(2).flatten(0, 1)


class _SparseProduct(torch.autograd.Function):
    """The product with a hand-written derivative; autograd's would take twice the time and memory."""

    @staticmethod
    def forward(
        ctx: Any, value_BSAc: Tensor, x_BNH: Tensor, y_BNH: Tensor, weights_BNH: Tensor, layout: _Layout
    ) -> Tensor:
        batch, _, num_heads, channels = value_BSAc.shape
        table_BVAc = value_BSAc.new_zeros(batch, layout.num_cells, num_heads, channels)
        cells = value_BSAc.split([height * width for height, width in layout.sizes], dim=1)
        for level, part, size in zip(layout.levels(table_BVAc), cells, layout.sizes, strict=True):
            level.copy_(part.unflatten(1, size))
        column, row = x_BNH.floor(), y_BNH.floor()
        across, down = x_BNH - column, y_BNH - row
        indices_R = layout.indices(column, row)
        values = torch.empty(*x_BNH.shape[:2], num_heads, 4, x_BNH.shape[2] // num_heads)
        upper_left, upper_right, lower_left, lower_right = values.unbind(3)
        share = across.view_as(upper_left)
        lower = (weights_BNH * down).view_as(share)
        upper = weights_BNH.view_as(share) - lower
        torch.mul(upper, share, out=upper_right)
        torch.sub(upper, upper_right, out=upper_left)
        torch.mul(lower, share, out=lower_right)
        torch.sub(lower, lower_right, out=lower_left)
        ctx.save_for_backward(table_BVAc, indices_R, values, across, down, weights_BNH)
        ctx.layout = layout
        return F.embedding_bag(
            indices_R, table_BVAc.flatten(0, 2), mode="sum", per_sample_weights=values.view_as(indices_R)
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_Rc: Tensor) -> tuple[Tensor | None, ...]:
        table_BVAc, indices_R, values, across, down, weights_BNH = ctx.saved_tensors
        table, grad_Rc = table_BVAc.flatten(0, 2), grad_Rc.contiguous()
        size, columns = (len(indices_R), len(table)), indices_R.flatten()
        pointers = torch.arange(len(indices_R) + 1, dtype=torch.int32) * indices_R.shape[1]
        matrix = csr_matrix((values.flatten().numpy(), columns.numpy(), pointers.numpy()), shape=size)
        grad_table = torch.from_numpy(matrix.T @ grad_Rc.numpy()).view_as(table_BVAc)
        grad_value = torch.cat([level.flatten(1, 2) for level in ctx.layout.levels(grad_table)], dim=1)
        products = torch.sparse_csr_tensor(pointers, columns, torch.zeros(len(columns)), size, check_invariants=False)
        torch.sparse.sampled_addmm(products, grad_Rc, table.T, beta=0.0, out=products)
        upper_left, upper_right, lower_left, lower_right = products.values().view_as(values).unbind(3)
        across, down, weights = (part.view_as(upper_left) for part in (across, down, weights_BNH))
        slope_upper, slope_lower = upper_right - upper_left, lower_right - lower_left
        upper = torch.addcmul(upper_left, slope_upper, across)
        slope = torch.addcmul(lower_left, slope_lower, across).sub_(upper)
        grad_x = torch.lerp(slope_upper, slope_lower, down).mul_(weights)
        grad_weights = upper.addcmul_(slope, down)
        grads = (part.view_as(weights_BNH) for part in (grad_x, slope.mul_(weights), grad_weights))
        return grad_value, *grads, None
