"""Channels that hold the position of each cell (Liu et al., 2018, "An Intriguing Failing of Convolutional Neural
Networks and the CoordConv Solution").

Letters: B images, F frequencies, (H, W) cells of a map.
"""

import math
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmdataseg.errors import UserError
from mmdataseg.registry import MODELS


@MODELS.register_module()
class PositionChannels(BaseModule):
    """A neck that appends the position of each cell to every map of a backbone, as 2 + 4 F channels.

    It is for networks that are trained from scratch in minutes. Two things of one class may differ only in their
    position. A pretrained backbone has learned to infer positions from its zero padding; one trained for minutes has
    not. Neither DaTaSeg nor Mask2Former has this neck, so only ``projects/toy/configs`` and ``configs/mini`` use it.

    Args:
        num_frequencies: F; x and y, and their sines and cosines of 1, 2, 4, ... half waves per half map.

    Raises:
        UserError: ``num_frequencies`` is negative.
    """

    def __init__(self, *, num_frequencies: int = 2) -> None:
        super().__init__()
        if num_frequencies < 0:
            raise UserError(f"PositionChannels: num_frequencies must not be negative, got {num_frequencies}")
        self.num_frequencies = num_frequencies

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Append: maps (B, channels, H, W) -> maps (B, channels + 2 + 4 F, H, W), of the same dtype and device."""
        return tuple(torch.cat([features, self._positions(features)], dim=1) for features in maps)

    def _positions(self, features_BCHW: Tensor) -> Tensor:
        """(B, 2 + 4 F, H, W): x and y of the cells' centres, -1 and 1 at the edges of the map, then their waves."""
        batch_size, _, height, width = features_BCHW.shape
        x_W, y_H = (
            (torch.arange(n, device=features_BCHW.device, dtype=torch.float32) + 0.5) * 2 / n - 1
            for n in (width, height)
        )
        xy_2HW = torch.stack([x_W.expand(height, width), y_H[:, None].expand(height, width)])
        angles = [math.pi * 2**f * xy_2HW for f in range(self.num_frequencies)]
        waves = [wave for angle in angles for wave in (angle.sin(), angle.cos())]
        return torch.cat([xy_2HW, *waves]).to(features_BCHW).expand(batch_size, -1, -1, -1)
