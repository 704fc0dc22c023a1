"""The architecture of a Mask2Former, read from the shapes of its parameters."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

# (embed_dims, depths) of mmdet's SwinTransformer
_SWINS = {
    (96, (2, 2, 6, 2)): "swin-t",
    (96, (2, 2, 18, 2)): "swin-s",
    (128, (2, 2, 18, 2)): "swin-b",
    (192, (2, 2, 18, 2)): "swin-l",
}
_RESNETS = {(3, 4, 6, 3): "r50", (3, 4, 23, 3): "r101"}
_TITLES = {"r": "ResNet-", "swin-": "Swin-"}


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The sizes that tell published models apart.

    Args:
        backbone: ``r50``, ``r101``, ``swin-t`` and so on; for other sizes, a description in words.
        known: Whether ``backbone`` is a name.
        window_size: For a Swin, cells along a side of its windows, 7 for images of 224 pixels and 12 for 384; otherwise
            None.
        num_queries: Q.
        num_layers: Number of layers of the transformer decoder.
        channels: Number of channels of the queries.
    """

    backbone: str
    known: bool
    window_size: int | None
    num_queries: int
    num_layers: int
    channels: int

    def __str__(self) -> str:
        found = re.match(r"(r|swin-)(\w+)$", self.backbone) if self.known else None
        title = f"{_TITLES[found[1]]}{found[2].upper()}" if found else self.backbone
        window = "" if self.window_size is None else f", windows of {self.window_size}"
        return (
            f"{title}{window}, {self.num_queries} queries, {self.num_layers} decoder layers, {self.channels} channels"
        )


def architecture_of(state: Mapping[str, Tensor]) -> Architecture:
    """Read the sizes from a state dict under mmdet's names.

    Raises:
        ValueError: It has no queries.
    """
    if "panoptic_head.query_feat.weight" not in state:
        raise ValueError(f"expected a Mask2Former under mmdet's names, got {sorted(state)[:3]}")
    num_queries, channels = state["panoptic_head.query_feat.weight"].shape
    backbone, known, window_size = _backbone(state)
    return Architecture(
        backbone=backbone,
        known=known,
        window_size=window_size,
        num_queries=num_queries,
        num_layers=_count(state, r"^panoptic_head\.transformer_decoder\.layers\.(\d+)\."),
        channels=channels,
    )


def _backbone(state: Mapping[str, Tensor]) -> tuple[str, bool, int | None]:
    patches = state.get("backbone.patch_embed.projection.weight")
    if patches is not None:
        depths = tuple(_count(state, rf"^backbone\.stages\.{i}\.blocks\.(\d+)\.") for i in range(4))
        table = state.get("backbone.stages.0.blocks.0.attn.w_msa.relative_position_bias_table")
        window = None if table is None else (math.isqrt(len(table)) + 1) // 2
        name = _SWINS.get((len(patches), depths))
        return name or f"a Swin of {len(patches)} channels and {depths} blocks", name is not None, window
    depths = tuple(_count(state, rf"^backbone\.layer{i}\.(\d+)\.") for i in range(1, 5))
    stem = state.get("backbone.conv1.weight")
    if stem is None:
        return "a backbone that is neither a ResNet nor a Swin", False, None
    bottleneck = "backbone.layer1.0.conv3.weight" in state
    name = _RESNETS.get(depths) if bottleneck and len(stem) == 64 else None
    return name or f"a ResNet of {len(stem)} channels and {depths} blocks", name is not None, None


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """Count the different values of the pattern's group."""
    return len({found[1] for name in state if (found := re.match(pattern, name))})
