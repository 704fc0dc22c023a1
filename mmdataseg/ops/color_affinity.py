"""Masks from boxes and colours: neighbouring cells that look alike belong to the same mask (Tian et al., BoxInst, 2021,
section 3.2).

Letters: M matched pairs, N maps, E = 8 neighbours of a cell, (H, W) the grid of the mask logits, C channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def neighbours(maps_NCHW: Tensor, dilation: int, outside: float) -> Tensor:
    """The values at the eight cells around each cell.

    Args:
        maps_NCHW: (N, C, H, W) float.
        dilation: Distance of the neighbours, in cells.
        outside: The value beyond the border.

    Returns:
        (N, C, 8, H, W).
    """
    num_maps, channels, height, width = maps_NCHW.shape
    padded = F.pad(maps_NCHW, (dilation,) * 4, value=outside)
    patches = F.unfold(padded, kernel_size=3, dilation=dilation).view(num_maps, channels, 9, height, width)
    return torch.cat([patches[:, :, :4], patches[:, :, 5:]], dim=2)


def color_similarity(colors_CHW: Tensor, dilation: int) -> Tensor:
    """How alike each cell and its neighbours look: exp(-|c - c'| / 2).

    Args:
        colors_CHW: (C, H, W) colours in CIE L*a*b* units.
        dilation: Distance of the neighbours, in cells.

    Returns:
        (8, H, W) in [0, 1]; 0 beyond the border.
    """
    around = neighbours(colors_CHW[None], dilation, float("inf"))[0]
    return torch.exp(-0.5 * (around - colors_CHW[:, None]).norm(dim=0))


def color_affinity_loss(
    mask_logits_MHW: Tensor, similarity_MEHW: Tensor, inside_MHW: Tensor, *, dilation: int, threshold: float
) -> Tensor:
    """Minus the log-probability that a cell and a neighbour of like colour are both in the mask or both out of it.

    Args:
        mask_logits_MHW: (M, H, W).
        similarity_MEHW: (M, 8, H, W) of `color_similarity`, with the same dilation; or (8, H, W) for all pairs.
        inside_MHW: (M, H, W) bool, the cells of each pair's box; pairs of cells that start outside do not count.
        dilation: Distance of the neighbours, in cells.
        threshold: Two cells count as alike from this similarity up; in (0, 1].

    Returns:
        (M,) mean over the pairs of cells that count; 0 if no pair counts.

    Raises:
        ValueError: The threshold is outside (0, 1].
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold: expected a similarity in (0, 1], got {threshold}")
    inside_log = F.logsigmoid(mask_logits_MHW)[:, None]
    outside_log = F.logsigmoid(-mask_logits_MHW)[:, None]
    around_in = neighbours(inside_log, dilation, 0.0)
    around_out = neighbours(outside_log, dilation, 0.0)
    same_MEHW = torch.logaddexp(inside_log[:, :, None] + around_in, outside_log[:, :, None] + around_out)[:, 0]
    counts_MEHW = (similarity_MEHW >= threshold) & inside_MHW[:, None]
    total = (-same_MEHW * counts_MEHW).flatten(1).sum(1)
    return total / counts_MEHW.flatten(1).sum(1).clamp(min=1)
