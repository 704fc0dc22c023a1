"""A feature pyramid computed from one map (Li et al., 2022, "Exploring Plain Vision Transformer Backbones for Object
Detection", section 3)."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdataseg.errors import UserError
from mmdataseg.registry import MODELS

STRIDES = (4, 8, 16, 32)


class ChannelLayerNorm(nn.Module):
    """LayerNorm over the channels of each position of a (B, C, H, W) map.

    Args:
        num_channels: C.
    """

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(num_channels, eps=1e-6)  # as in ViTDet

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """Normalise: (B, C, H, W) float -> the same shape."""
        return self.norm(features_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """Turn the stride-16 map of a plain ViT into maps of the strides 4, 8, 16 and 32.

    Deconvolutions enlarge it (two for stride 4, one for 8), max pooling halves it; each branch ends in a 1x1 and a 3x3
    convolution with LayerNorm. There is no top-down path (Li et al., 2022, table 1: none is needed).

    Deviation: a map of odd size is halved upwards (7 -> 4, the paper's code: 3), so that every stride s gives
        ceil(pixels / s), as a ResNet does, and a map of one cell does not vanish.

    Args:
        in_channels: Channels of the map; a multiple of 4, as two deconvolutions halve them.
        out_channels: Channels of the four maps.

    Raises:
        UserError: ``in_channels`` is not a multiple of 4.
    """

    def __init__(self, *, in_channels: int, out_channels: int = 256) -> None:
        super().__init__()
        if in_channels % 4 or in_channels <= 0:
            raise UserError(
                "SimpleFeaturePyramid: in_channels must be a positive multiple of 4 (halved twice for stride 4), "
                f"got {in_channels}"
            )
        half, quarter = in_channels // 2, in_channels // 4
        to_stride_4 = (
            nn.ConvTranspose2d(in_channels, half, 2, stride=2),
            ChannelLayerNorm(half),
            nn.GELU(),
            nn.ConvTranspose2d(half, quarter, 2, stride=2),
        )
        to_stride_8 = (nn.ConvTranspose2d(in_channels, half, 2, stride=2),)
        to_stride_32 = (nn.MaxPool2d(2, stride=2, ceil_mode=True),)
        self.branches = nn.ModuleList(
            nn.Sequential(*resize, *_output_convs(channels, out_channels))
            for resize, channels in (
                (to_stride_4, quarter),
                (to_stride_8, half),
                ((), in_channels),
                (to_stride_32, in_channels),
            )
        )

    def forward(self, features_BCHW: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Build the four maps.

        Args:
            features_BCHW: (B, in_channels, H, W) float, the stride-16 map; or a sequence of this one map, as backbones
                give it to a neck.

        Returns:
            Four maps (B, out_channels, h, w), h x w = 4H x 4W, 2H x 2W, H x W and ceil(H / 2) x ceil(W / 2).

        Raises:
            UserError: There are several maps.
        """
        if not isinstance(features_BCHW, Tensor):
            if len(features_BCHW) != 1:
                raise UserError(
                    f"SimpleFeaturePyramid: expected one map, got {len(features_BCHW)}",
                    remedy="set the backbone's out_indices to one level",
                )
            (features_BCHW,) = features_BCHW
        return tuple(branch(features_BCHW) for branch in self.branches)


def _output_convs(in_channels: int, out_channels: int) -> tuple[nn.Module, ...]:
    """The two convolutions at the end of each branch, without a bias: the norm after each has one."""
    return (
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        ChannelLayerNorm(out_channels),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        ChannelLayerNorm(out_channels),
    )


def crop_to_strides(maps: tuple[Tensor, ...], image_size: tuple[int, int]) -> tuple[Tensor, ...]:
    """Cut off the cells that are entirely on padding, at the bottom and the right.

    Args:
        maps: One (B, C, h, w) for each of `STRIDES`, of an image padded at the bottom and the right.
        image_size: (H, W) in pixels before padding.

    Returns:
        One (B, C, ceil(H / s), ceil(W / s)) for each stride s.
    """
    height, width = image_size
    return tuple(
        features[..., : -(-height // stride), : -(-width // stride)]
        for features, stride in zip(maps, STRIDES, strict=True)
    )


def pad_to_multiple(images_BCHW: Tensor, multiple: int) -> Tensor:
    """Pad (B, C, H, W) with zeros at the bottom and the right until H and W are multiples of ``multiple``."""
    height, width = images_BCHW.shape[-2:]
    return F.pad(images_BCHW, (0, -width % multiple, 0, -height % multiple))
