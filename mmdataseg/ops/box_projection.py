"""Masks from boxes: a mask's projections on the axes must be those of its box (Gu et al., 2023, "projection loss").

The form is BoxInst's (Tian et al., 2021, section 3.1).
Letters: X any leading dimensions, such as images, L decoder outputs, Q queries, N boxes, M matched pairs, (H, W) the
grid of the mask logits. Boxes are xyxy pixels of the image; a cell of the grid covers ``stride`` x ``stride`` pixels.
"""

import torch
from torch import Tensor

DICE_EPS = 1e-5


def box_profiles(boxes_XN4: Tensor, size: tuple[int, int], stride: float) -> tuple[Tensor, Tensor]:
    """The projections of the boxes: the share of each row and column of cells that a box covers.

    The extent of the boxes is not checked, as that would wait for the device: loaders refuse a box without extent; here
    all its shares are 0.

    Args:
        boxes_XN4: (..., N, 4) xyxy pixels; parts outside the grid are cut off.
        size: (H, W) of the grid, in cells.
        stride: Pixels per cell.

    Returns:
        (..., N, H) for the rows and (..., N, W) for the columns, in [0, 1].

    Raises:
        ValueError: The boxes have another shape, or the stride is not positive.
    """
    if boxes_XN4.dim() < 2 or boxes_XN4.shape[-1] != 4:
        raise ValueError(f"boxes: expected (..., N, 4) xyxy, got shape {tuple(boxes_XN4.shape)}")
    if stride <= 0:
        raise ValueError(f"stride: expected a positive number of pixels, got {stride}")
    profiles = []
    for low, high, cells in ((1, 3, size[0]), (0, 2, size[1])):
        edge = torch.arange(cells, device=boxes_XN4.device) * stride
        last, first = boxes_XN4[..., high, None], boxes_XN4[..., low, None]
        covered = torch.minimum(last, edge + stride) - torch.maximum(first, edge)
        profiles.append(covered.clamp(min=0) / stride)
    return profiles[0], profiles[1]


def mask_profiles(mask_logits: Tensor) -> tuple[Tensor, Tensor]:
    """The projections of masks (..., H, W): the largest probability of each row and of each column.

    Returns:
        (..., H) for the rows and (..., W) for the columns, in [0, 1].
    """
    # the sigmoid is monotonic: with the maximum of the logits first, there are H + W sigmoids instead of H x W
    return mask_logits.amax(-1).sigmoid(), mask_logits.amax(-2).sigmoid()


def projection_loss(mask_logits_MHW: Tensor, boxes_M4: Tensor, stride: float) -> Tensor:
    """Dice between the projections of each mask and those of its box, rows plus columns.

    Args:
        mask_logits_MHW: (M, H, W).
        boxes_M4: (M, 4) xyxy pixels.
        stride: Pixels per cell.

    Returns:
        (M,) in [0, 2].
    """
    masks = mask_profiles(mask_logits_MHW)
    boxes = box_profiles(boxes_M4, (mask_logits_MHW.shape[-2], mask_logits_MHW.shape[-1]), stride)
    rows_M, columns_M = (
        1 - 2 * (p * g).sum(-1) / (p.square().sum(-1) + g.square().sum(-1) + DICE_EPS)
        for p, g in zip(masks, boxes, strict=True)
    )
    return rows_M + columns_M


def projection_cost(rows_XLQH: Tensor, columns_XLQW: Tensor, boxes_XN4: Tensor, stride: float) -> Tensor:
    """`projection_loss` of every query with every box, from the projections of the masks.

    Args:
        rows_XLQH: (..., L, Q, H) of `mask_profiles`.
        columns_XLQW: (..., L, Q, W) of `mask_profiles`.
        boxes_XN4: (..., N, 4) xyxy pixels.
        stride: Pixels per cell.

    Returns:
        (..., L, Q, N) in [0, 2].
    """
    boxes = box_profiles(boxes_XN4, (rows_XLQH.shape[-1], columns_XLQW.shape[-1]), stride)
    costs = []
    for masks, own in zip((rows_XLQH, columns_XLQW), boxes, strict=True):
        own = own[..., None, :, :]  # for all outputs
        total = masks.square().sum(-1)[..., None] + own.square().sum(-1)[..., None, :]
        costs.append(1 - 2 * (masks @ own.mT) / (total + DICE_EPS))
    return costs[0] + costs[1]
