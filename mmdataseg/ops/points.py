"""Points on feature and logit maps: drawing them, and reading maps at them by bilinear interpolation.

Letters: N maps, P points, C channels, (H, W) the size of a map. Points are (x, y) in [0, 1] x [0, 1], the corners of
the outermost pixels, as in PointRend (Kirillov et al., 2020).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def sample_maps(maps_NHW: Tensor, points_NP2: Tensor, extent_2: Tensor | None = None) -> Tensor:
    """Read each map at its own points; outside the map it is 0.

    Args:
        maps_NHW: (N, H, W) float.
        points_NP2: (N, P, 2) float, (x, y) in [0, 1] of the image.
        extent_2: (2,) share of the map's width and height that the image fills, for padded maps; None: all of it.

    Returns:
        (N, P) values.
    """
    return F.grid_sample(maps_NHW[:, None], _grid(points_NP2[:, None], extent_2), align_corners=False)[:, 0, 0]


def sample_features(features_CHW: Tensor, points_P2: Tensor, extent_2: Tensor | None = None) -> Tensor:
    """Read one feature map at P points; outside the map it is 0.

    Sampling is linear, so the product of an embedding with the samples is the sample of its mask logits.

    Args:
        features_CHW: (C, H, W) float.
        points_P2: (P, 2) float, (x, y) in [0, 1] of the image.
        extent_2: As in `sample_maps`.

    Returns:
        (P, C) features.
    """
    return F.grid_sample(features_CHW[None], _grid(points_P2[None, None], extent_2), align_corners=False)[0, :, 0].T


def _grid(points: Tensor, extent_2: Tensor | None) -> Tensor:
    """(..., 2) points as ``grid_sample`` counts, from -1 to 1, in one pass over the points."""
    minus_one = points.new_full((), -1.0)
    if extent_2 is None:
        return torch.add(minus_one, points, alpha=2)
    return torch.addcmul(minus_one, points, 2 * extent_2)


def random_points(num_maps: int, num_points: int, device: torch.device | str) -> Tensor:
    """Draw (num_maps, num_points, 2) points uniformly from [0, 1] x [0, 1]."""
    return torch.rand(num_maps, num_points, 2, device=device)


def cell_points(size: tuple[int, int], extent_2: Tensor, stride: int) -> Tensor:
    """The centres of all cells of a map.

    Args:
        size: (H, W) of the map, in cells.
        extent_2: (2,) share of the map's width and height that the image fills.
        stride: Pixels per cell. A centre beyond the last pixel's centre is moved to it, where an annotation can be
            read.

    Returns:
        (H W, 2) points, (x, y) in [0, 1] of the image.

    Raises:
        ValueError: The stride is not positive.
    """
    if stride <= 0:
        raise ValueError(f"stride: expected a positive number of pixels, got {stride}")
    y, x = ((torch.arange(side, device=extent_2.device) + 0.5) / side for side in size)
    points_HW2 = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    last_pixel_2 = 1 - 0.5 / (extent_2 * extent_2.new_tensor([stride * size[1], stride * size[0]]))
    return torch.minimum(points_HW2.flatten(0, 1) / extent_2, last_pixel_2)


def uncertain_points(
    logits_NHW: Tensor,
    *,
    num_points: int,
    oversample_ratio: float,
    importance_ratio: float,
    extent_2: Tensor | None = None,
) -> Tensor:
    """Draw points for the mask loss, most of them where the logits are nearest 0 (Kirillov et al., 2020, section 3).

    Args:
        logits_NHW: (N, H, W) mask logits.
        num_points: P, points for each map.
        oversample_ratio: At least 1; this many times P candidates are drawn for each map.
        importance_ratio: In [0, 1]; this share of the P points are the most uncertain candidates.
        extent_2: As in `sample_maps`.

    Returns:
        (N, P, 2) points, (x, y) in [0, 1] of the image (not of the padded map).

    Raises:
        ValueError: A ratio is outside its range.
    """
    if oversample_ratio < 1:
        raise ValueError(f"oversample_ratio: expected at least 1, got {oversample_ratio}")
    if not 0 <= importance_ratio <= 1:
        raise ValueError(f"importance_ratio: expected a share in [0, 1], got {importance_ratio}")
    num_maps, device = len(logits_NHW), logits_NHW.device
    candidates = random_points(num_maps, int(num_points * oversample_ratio), device)
    certainty = sample_maps(logits_NHW, candidates, extent_2).abs_()
    num_uncertain = int(importance_ratio * num_points)
    chosen = _smallest(certainty, num_uncertain)
    uncertain = candidates.gather(1, chosen[..., None].expand(-1, -1, 2))
    return torch.cat([uncertain, random_points(num_maps, num_points - num_uncertain, device)], dim=1)


@torch.no_grad()
def _smallest(values_NP: Tensor, number: int) -> Tensor:
    """(N, number) int64 indices of the smallest values of each row, in any order; NaN counts as the largest."""
    if not len(values_NP):
        return values_NP[:, :number].long()
    if values_NP.device.type != "cpu":
        return values_NP.topk(number, dim=1, largest=False, sorted=False).indices
    # on a CPU, numpy takes a fraction of torch's time
    return torch.from_numpy(np.argpartition(values_NP.float().numpy(), max(number - 1, 0), axis=1)[:, :number])
