"""A small head with random weights, and feature maps for it."""

import torch

from mmdataseg.models import DaTaSegHead
from tests.models.conftest import TEXT_DIM, head_config

IN_CHANNELS = (8, 12, 16, 24)


def build(**changes) -> DaTaSegHead:
    torch.manual_seed(0)
    config = head_config(in_channels=IN_CHANNELS)
    config.pop("type")
    head = DaTaSegHead(**{**config, "class_embed_dim": TEXT_DIM, **changes})
    head.init_weights()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return head.eval()


def maps(batch_size: int = 2, size: tuple[int, int] = (64, 96)) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [
        torch.randn(batch_size, c, size[0] // s, size[1] // s, generator=generator)
        for c, s in zip(IN_CHANNELS, (4, 8, 16, 32), strict=True)
    ]
