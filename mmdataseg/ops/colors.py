"""sRGB to CIE L*a*b*, where distances are as people perceive them; white is D65 (IEC 61966-2-1; CIE 15).

Letters: (H, W) the size of an image.
"""

import torch
from torch import Tensor

# rows: X, Y, Z of linear red, green and blue, each divided by that of white
_XYZ_OF_RGB = (
    (0.412453 / 0.950456, 0.357580 / 0.950456, 0.180423 / 0.950456),
    (0.212671, 0.715160, 0.072169),
    (0.019334 / 1.088754, 0.119193 / 1.088754, 0.950227 / 1.088754),
)
_LINEAR_BELOW = (6 / 29) ** 3


def srgb_to_lab(rgb: Tensor) -> Tensor:
    """Convert sRGB colours to L*a*b*.

    Args:
        rgb: (..., 3, H, W) float in [0, 1]; values outside are clipped.

    Returns:
        (..., 3, H, W): L* in [0, 100], a* and b* roughly in [-128, 127].

    Raises:
        ValueError: There are not three channels.
    """
    if rgb.dim() < 3 or rgb.shape[-3] != 3:
        raise ValueError(f"rgb: expected (..., 3, H, W), got shape {tuple(rgb.shape)}")
    rgb = rgb.clamp(0, 1)
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = torch.einsum("dc,...chw->...dhw", linear.new_tensor(_XYZ_OF_RGB), linear)
    root = torch.where(xyz > _LINEAR_BELOW, xyz.clamp(min=_LINEAR_BELOW) ** (1 / 3), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = root.unbind(-3)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-3)
