"""ViTDet: a plain ViT with window attention and a simple feature pyramid (Li et al., 2022, arXiv 2203.16527), over
timm's SAM-ViT."""

import re
from functools import partial
from typing import Any

import torch.nn.functional as F
from mmengine.model import BaseModule
from timm.models.vision_transformer_sam import Attention, VisionTransformerSAM, get_decomposed_rel_pos_bias
from torch import Tensor, nn

from mmdataseg.errors import UserError
from mmdataseg.models.backbones.vit_checkpoint import load_vit_checkpoint
from mmdataseg.models.necks.feature_pyramid import SimpleFeaturePyramid, crop_to_strides, pad_to_multiple
from mmdataseg.registry import MODELS

PATCH_SIZE = 16
ARCHS = {
    "base": {"embed_dim": 768, "depth": 12, "num_heads": 12},
    "large": {"embed_dim": 1024, "depth": 24, "num_heads": 16},
}
EMBEDDING = re.compile(r"^vit\.(pos_embed|patch_embed\.)")
BLOCK = re.compile(r"^vit\.blocks\.(\d+)\.")


class FusedAttention(nn.Module):
    """timm's SAM-ViT attention, its parameters and their names, with the heads in a dimension of their own.

    timm folds the heads into the batch and hands three dimensions to torch's ``scaled_dot_product_attention``, whose
    fused kernels accept only four (torch 2.13): three dimensions take the slow path, which stores all attention
    weights.

    Args:
        attention: The module whose parameters are taken over; it must have relative positions.
    """

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.num_heads = attention.num_heads
        self.qkv = attention.qkv
        self.proj = attention.proj
        self.rel_pos_h = attention.rel_pos_h
        self.rel_pos_w = attention.rel_pos_w

    def forward(self, tokens_BHWC: Tensor) -> Tensor:
        """Attend among the H x W tokens: (B, H, W, C) -> the same shape."""
        num_images, height, width, channels = tokens_BHWC.shape
        num_tokens = height * width
        qkv = self.qkv(tokens_BHWC).view(num_images, num_tokens, 3, self.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        bias = get_decomposed_rel_pos_bias(
            query.flatten(0, 1), self.rel_pos_h, self.rel_pos_w, (height, width), (height, width)
        )
        bias = bias.view(num_images, self.num_heads, num_tokens, num_tokens)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.proj(attended.transpose(1, 2).reshape(num_images, height, width, channels))


@MODELS.register_module()
class ViTDet(BaseModule):
    """A plain ViT with 16 x 16 patches, window attention in all but four blocks, and a simple feature pyramid.

    Images may have any size, which may change from batch to batch. The image is padded with zeros (the mean colour,
    after normalisation) at the bottom and the right to whole patches, the tokens inside the blocks to whole windows,
    and the outputs are cut back. Where the grid of tokens is not that of ``img_size``, the position embedding is
    stretched to it (bicubic, both axes on their own) and so are the relative positions of the global blocks (linear),
    as in ViTDet and SAM: positions are fractions of the image, not distances in pixels. If you train on padded squares
    of ``img_size`` and want the very same positions at test time, pad to that square in the data preprocessor.

    Args:
        arch: ``base``, ``large``, or a dict with ``embed_dim``, ``depth`` and ``num_heads``.
        img_size: Pixels of the square whose grid the positions are kept for; a multiple of 16.
        window_size: Tokens on a side of a window.
        drop_path_rate: Stochastic depth of the last block, from 0 at the first; the paper: 0.1 for base, 0.4 for large.
        out_channels: Channels of the four maps.
        with_cp: Recompute the blocks in the backward pass: less memory, more time, the same result.
        init_cfg: ``dict(type='Pretrained', checkpoint=<local path>)`` of a file that `load_vit_checkpoint` understands,
            read in ``init_weights``; None: from scratch.

    Raises:
        UserError: ``arch`` is unknown, sizes do not divide, or ``init_cfg`` is of another kind.
    """

    def __init__(
        self,
        *,
        arch: str | dict[str, int] = "base",
        img_size: int = 1024,
        window_size: int = 14,
        drop_path_rate: float = 0.1,
        out_channels: int = 256,
        with_cp: bool = False,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        _check_init_cfg(init_cfg)
        super().__init__(init_cfg=init_cfg)
        sizes = _check_sizes(arch, img_size, window_size)
        self.depth = sizes["depth"]
        self.vit = VisionTransformerSAM(
            **sizes,
            img_size=img_size,
            patch_size=PATCH_SIZE,
            num_classes=0,
            drop_path_rate=drop_path_rate,
            # MAE, SAM and ViTDet normalise with 1e-6; timm's default for this model is torch's 1e-5.
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=window_size,
            global_attn_indexes=global_blocks(self.depth),
            neck_chans=0,
        )
        self.vit.set_grad_checkpointing(with_cp)
        # The pyramid takes the last block's map as it is: the parameters of the ViT's norm and head would get no
        # gradient.
        self.vit.neck = self.vit.head = nn.Identity()
        for block in self.vit.blocks:
            block.attn = FusedAttention(block.attn)
        self.pyramid = SimpleFeaturePyramid(in_channels=sizes["embed_dim"], out_channels=out_channels)

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, ...]:
        """Extract features.

        Args:
            images_BCHW: (B, 3, H, W) float, normalised.

        Returns:
            Four maps (B, out_channels, ceil(H / s), ceil(W / s)) for the strides s = 4, 8, 16, 32.
        """
        return crop_to_strides(self.pyramid(self.forward_vit(images_BCHW)), tuple(images_BCHW.shape[-2:]))

    def forward_vit(self, images_BCHW: Tensor) -> Tensor:
        """The last block's map, before the pyramid: (B, 3, H, W) -> (B, embed_dim, ceil(H / 16), ceil(W / 16))."""
        return self.vit.forward_features(pad_to_multiple(images_BCHW, PATCH_SIZE))

    def init_weights(self) -> None:
        """Initialise the ViT: as ViTDet does (truncated normal of 0.02, relative positions zero), then from the
        checkpoint of ``init_cfg``.

        Raises:
            MissingFileError: The checkpoint does not exist.
            UserError: It does not fit; see `load_vit_checkpoint`.
        """
        nn.init.trunc_normal_(self.vit.pos_embed, std=0.02)
        for module in self.vit.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        if self.init_cfg is not None:
            load_vit_checkpoint(self.vit, self.init_cfg["checkpoint"])
        self.is_init = True

    def layer_of(self, name: str) -> int:
        """Which layer a parameter of this module belongs to, for layer-wise learning rates.

        Returns:
            0 for the patch and position embeddings, i + 1 for block i, depth + 1 for the pyramid.
        """
        if EMBEDDING.match(name):
            return 0
        block = BLOCK.match(name)
        return int(block[1]) + 1 if block else self.depth + 1


def global_blocks(depth: int) -> tuple[int, ...]:
    """The four blocks, evenly spaced, that attend globally (Li et al., 2022, section 3): 2, 5, 8, 11 of 12; every block
    of four or fewer."""
    return tuple(sorted({i * depth // 4 - 1 for i in range(1, 5)} - {-1}))


def _check_sizes(arch: str | dict[str, int], img_size: int, window_size: int) -> dict[str, int]:
    sizes = ARCHS.get(arch) if isinstance(arch, str) else dict(arch)
    if sizes is None or set(sizes) != set(ARCHS["base"]):
        raise UserError(
            f"ViTDet: arch must be one of {sorted(ARCHS)} or a dict with {sorted(ARCHS['base'])}, got {arch!r}"
        )
    if sizes["embed_dim"] % sizes["num_heads"]:
        raise UserError(
            f"ViTDet: embed_dim must be a multiple of num_heads, got {sizes['embed_dim']} and {sizes['num_heads']}"
        )
    if img_size <= 0 or img_size % PATCH_SIZE:
        raise UserError(
            f"ViTDet: img_size must be a positive multiple of {PATCH_SIZE}, got {img_size}; "
            "images themselves may have any size"
        )
    if window_size <= 0:
        raise UserError(f"ViTDet: window_size must be positive, got {window_size}")
    return sizes


def _check_init_cfg(init_cfg: dict[str, Any] | None) -> None:
    if init_cfg is not None and (set(init_cfg) != {"type", "checkpoint"} or init_cfg["type"] != "Pretrained"):
        raise UserError(
            f"ViTDet: init_cfg must be None or dict(type='Pretrained', checkpoint=<local path>), got {init_cfg}"
        )
