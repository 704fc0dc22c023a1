"""Points on feature and logit maps: drawing them, and reading maps at them by bilinear interpolation.

Letters: N maps, P points, C channels, (H, W) the size of a map. Points are (x, y) in [0, 1] x [0, 1], the corners of
the outermost pixels, as in PointRend (Kirillov et al., 2020).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def sample_maps(maps_NHW: Tensor, points_NP2: Tensor, extents_N2: Tensor | None = None) -> Tensor:
    """Read each map at its own points; outside the map it is 0.

    Args:
        maps_NHW: (N, H, W) float.
        points_NP2: (N, P, 2) float, (x, y) in [0, 1] of the image.
        extents_N2: (N, 2) share of the map's width and height that the image fills, for padded maps; None: all.

    Returns:
        (N, P) values.
    """
    return F.grid_sample(maps_NHW[:, None], _grid(points_NP2[:, None], extents_N2), align_corners=False)[:, 0, 0]


def sample_features(features_BCHW: Tensor, points_BP2: Tensor, extents_B2: Tensor | None = None) -> Tensor:
    """Read each feature map at its own points; outside the map it is 0.

    Sampling is linear, so the product of an embedding with the samples is the sample of its mask logits.

    Args:
        features_BCHW: (B, C, H, W) float.
        points_BP2: (B, P, 2) float, (x, y) in [0, 1] of the image.
        extents_B2: As in `sample_maps`.

    Returns:
        (B, P, C) features.
    """
    grid = _grid(points_BP2[:, None], extents_B2)
    return F.grid_sample(features_BCHW, grid, align_corners=False)[:, :, 0].transpose(1, 2)


def _grid(points_N1P2: Tensor, extents_N2: Tensor | None) -> Tensor:
    """(N, 1, P, 2) points as ``grid_sample`` counts, from -1 to 1, in one pass over the points."""
    minus_one = points_N1P2.new_full((), -1.0)
    if extents_N2 is None:
        return torch.add(minus_one, points_N1P2, alpha=2)
    return torch.addcmul(minus_one, points_N1P2, 2 * extents_N2[:, None, None])


def random_points(num_maps: int, num_points: int, device: torch.device | str) -> Tensor:
    """Draw (num_maps, num_points, 2) points uniformly from [0, 1] x [0, 1]."""
    return torch.rand(num_maps, num_points, 2, device=device)


def cell_points(size: tuple[int, int], extents_N2: Tensor, stride: int) -> Tensor:
    """The centres of all cells of a map.

    Args:
        size: (H, W) of the map, in cells.
        extents_N2: (N, 2) share of the map's width and height that each image fills.
        stride: Pixels per cell. A centre beyond the last pixel's centre is moved to it, where an annotation can be
            read.

    Returns:
        (N, H W, 2) points, (x, y) in [0, 1] of the image.

    Raises:
        ValueError: The stride is not positive.
    """
    if stride <= 0:
        raise ValueError(f"stride: expected a positive number of pixels, got {stride}")
    y, x = ((torch.arange(side, device=extents_N2.device) + 0.5) / side for side in size)
    points_HW2 = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    # in pixels; not by a tensor of the host's numbers, for which the host would wait for a GPU
    sizes_N2 = torch.stack([stride * size[1] * extents_N2[:, 0], stride * size[0] * extents_N2[:, 1]], dim=1)
    last_pixel_N2 = 1 - 0.5 / sizes_N2
    return torch.minimum(points_HW2.flatten(0, 1) / extents_N2[:, None], last_pixel_N2[:, None])


def uncertain_points(
    logits_NHW: Tensor,
    *,
    num_points: int,
    oversample_ratio: float,
    importance_ratio: float,
    extents_N2: Tensor | None = None,
) -> Tensor:
    """Draw points for the mask loss, most of them where the logits are nearest 0 (Kirillov et al., 2020, section 3).

    Args:
        logits_NHW: (N, H, W) mask logits.
        num_points: P, points for each map.
        oversample_ratio: At least 1; this many times P candidates are drawn for each map.
        importance_ratio: In [0, 1]; this share of the P points are the most uncertain candidates.
        extents_N2: As in `sample_maps`.

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
    certainty = sample_maps(logits_NHW.detach(), candidates, extents_N2).abs_()
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
