"""mmdet's pixel decoder with deformable attention that needs no compiled operator.

Letters: B images, N cells of all levels, A heads, L levels, P points per level.
"""

from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from mmcv.ops import MultiScaleDeformableAttention, get_compiling_cuda_version
from mmdet.models.layers import MSDeformAttnPixelDecoder as MMDetMSDeformAttnPixelDecoder
from torch import Tensor

from mmdataseg.errors import UserError
from mmdataseg.ops.deformable_attention import deformable_attention
from mmdataseg.ops.linear import linear
from mmdataseg.ops.softmax import softmax_over_few
from mmdataseg.registry import MODELS

GPU_ATTENTIONS = ("auto", "grid_sample", "triton", "deformops")
_PACKAGES = {"triton": "triton >= 3.0", "deformops": "deformops"}


class DeformableAttention(MultiScaleDeformableAttention):
    """mmcv's module with the same parameters, computed by `mmdataseg.ops.deformable_attention`.

    On a CPU it is computed as a sparse product, on a GPU as ``gpu_attention`` says.

    Args:
        gpu_attention: ``auto``: mmcv's compiled operator if mmcv was built with CUDA and the values are not bfloat16,
            which the operator does not support; otherwise the package deformops if it is installed; otherwise torch's
            ``grid_sample``. ``grid_sample``, ``deformops``: always that one. ``triton``: the kernels of
            `mmdataseg.ops.deformable_attention_triton`, for any dtype. They have run in Triton's interpreter only, not
            on a GPU, so ``auto`` does not use them.
        options: The arguments of mmcv's class.

    Raises:
        UserError: ``gpu_attention`` is unknown.
    """

    def __init__(self, *, gpu_attention: str = "auto", **options: Any) -> None:
        super().__init__(**options)
        if gpu_attention not in GPU_ATTENTIONS:
            raise UserError(f"gpu_attention: expected one of {GPU_ATTENTIONS}, got {gpu_attention!r}; correct it")
        self.gpu_attention = gpu_attention

    def forward(
        self,
        query: Tensor,
        *,
        reference_points: Tensor,
        spatial_shapes: Tensor,
        value: Tensor | None = None,
        identity: Tensor | None = None,
        query_pos: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        **others: Any,
    ) -> Tensor:
        """Compute the output of mmcv's module.

        Args:
            query: (B, N, channels); (N, B, channels) where the module is not ``batch_first``.
            reference_points: (B, N, L, 2) points in [0, 1], or (B, N, L, 4) boxes.
            spatial_shapes: (L, 2) int64, (height, width) of each level in cells.
            value: Laid out as ``query``, the cells of all levels; None: ``query``.
            identity: Laid out as ``query``, added to the output; None: ``query``.
            query_pos: Laid out as ``query``, added to it; None: nothing is added.
            key_padding_mask: (B, N) bool, True where a cell is set to 0; None: nowhere.
            others: Further arguments of mmcv's module.

        Returns:
            Laid out as ``query``.

        Raises:
            UserError: ``gpu_attention`` is ``triton`` or ``deformops``, and that package is not installed or too old.
        """
        value = query if value is None else value
        identity = query if identity is None else identity
        on_points = reference_points.shape[-1] == 2 and self.batch_first
        way = self.way(self.value_proj(value[:, :0]))  # autocast sets its dtype
        if not on_points or way == "mmcv":
            return super().forward(
                query,
                value=value,
                identity=identity,
                query_pos=query_pos,
                key_padding_mask=key_padding_mask,
                reference_points=reference_points,
                spatial_shapes=spatial_shapes,
                **others,
            )
        query = query if query_pos is None else query + query_pos
        value = self.value_proj(value)
        if key_padding_mask is not None:
            value = value.masked_fill(key_padding_mask[..., None], 0.0)
        read = self._read(value, query, reference_points, spatial_shapes, way)
        return self.dropout(self.output_proj(read)) + identity

    def _read(self, value: Tensor, query: Tensor, reference_points: Tensor, spatial_shapes: Tensor, way: str) -> Tensor:
        """Return what each query reads from the projected value, (B, N, channels)."""
        shape = (self.num_heads, self.num_levels, self.num_points)
        weights = softmax_over_few(self.attention_weights(query).unflatten(-1, (self.num_heads, -1)))
        # columns and rows are each contiguous, not interleaved
        matrix, bias = self.sampling_offsets.weight.unflatten(0, (-1, 2)), self.sampling_offsets.bias.view(-1, 2)
        positions = []
        for axis in (0, 1):
            offset = linear(query, matrix[:, axis], bias[:, axis]).unflatten(-1, shape)
            centre_BNL = reference_points[..., axis] * spatial_shapes[:, 1 - axis] - 0.5
            positions.append(centre_BNL[:, :, None, :, None] + offset)
        sizes = [(int(height), int(width)) for height, width in spatial_shapes.tolist()]
        inputs = (value.unflatten(-1, (self.num_heads, -1)), sizes, *positions, weights.unflatten(-1, shape[1:]))
        try:
            return deformable_attention(*inputs, way=way).flatten(2)
        except ImportError as error:
            raise UserError(
                f"gpu_attention={way!r} cannot be used ({error}); install {_PACKAGES[way]}, or set "
                "gpu_attention='grid_sample'"
            ) from error

    def way(self, value: Tensor) -> str:
        """Return how the attention of a value is computed: ``mmcv``, or a way of `mmdataseg.ops.deformable_attention`.

        Only the device and the dtype of the value are read.
        """
        if not value.is_cuda:
            return "auto"
        if self.gpu_attention != "auto":
            return self.gpu_attention
        if mmcv_operator_runs_on(value):
            return "mmcv"
        return "deformops" if deformops_is_installed() else "grid_sample"


def mmcv_operator_runs_on(value: Tensor) -> bool:
    """Whether mmcv's compiled operator is taken for a tensor, by its device and dtype."""
    return value.is_cuda and get_compiling_cuda_version() != "not available" and value.dtype != torch.bfloat16


@cache
def deformops_is_installed() -> bool:
    """Whether the package deformops is installed."""
    return find_spec("deformops") is not None


@MODELS.register_module()
class MSDeformAttnPixelDecoder(MMDetMSDeformAttnPixelDecoder):
    """mmdet's pixel decoder of the same name: same parameters, same numbers, `DeformableAttention` in its encoder.

    Args:
        gpu_attention: As in `DeformableAttention`.
        options: The arguments of mmdet's class.

    Raises:
        UserError: ``gpu_attention`` is unknown.
    """

    def __init__(self, *, gpu_attention: str = "auto", **options: Any) -> None:
        super().__init__(**options)
        for layer in self.encoder.layers:
            with torch.random.fork_rng(devices=[]):  # so that a seed gives the same weights as in mmdet's class
                attention = DeformableAttention(gpu_attention=gpu_attention, **layer.self_attn_cfg)
            attention.load_state_dict(layer.self_attn.state_dict())
            layer.self_attn = attention
