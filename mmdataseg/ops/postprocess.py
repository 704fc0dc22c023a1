"""From proposals to the answer of a task at the size of the original image, in row blocks of bounded memory.

Letters: Q proposals, K classes, J = K + 1 logits (background last), R rows of MERGE, N segments or instances, (H, W)
the grid of the mask logits, (Ho, Wo) the original image in pixels.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmdataseg.ops.merge import merge_masks, merge_rows

BLOCK_ELEMENTS = 2**25  # mask values enlarged at a time: 128 MiB of float32


@dataclass(frozen=True)
class ImageSizes:
    """Where an image lies in its batch, all (height, width) in pixels.

    Args:
        padded: Of the batch the network saw.
        image: Of the image in the upper left corner of that.
        original: Of the image on disk, before it was resized.
    """

    padded: tuple[int, int]
    image: tuple[int, int]
    original: tuple[int, int]


def _taps(cells: int, padded: int, image: int, original: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each original pixel along one axis: the two cells it lies between, and the share of the second.

    Cells that the image does not touch are not read: the loss leaves them free.
    """
    last = min(cells, math.ceil(image * cells / padded)) - 1
    centre = (torch.arange(original, device=device, dtype=torch.float32) + 0.5) * (image / original)
    position = (centre * (cells / padded) - 0.5).clamp(0, last)
    low = position.floor().long()
    return low, (low + 1).clamp(max=last), position - low


def enlarge_blocks(mask_logits_QHW: Tensor, sizes: ImageSizes) -> Iterator[tuple[slice, Tensor]]:
    """Mask logits at the original image's pixels, a block of rows at a time.

    One bilinear step from the grid to the original pixels, skipping the padding; mmdet enlarges, cuts and resizes in
    two.

    Args:
        mask_logits_QHW: (Q, H, W).
        sizes: Of the image.

    Yields:
        The rows, and their logits (Q, rows, Wo) float32.
    """
    num_masks, height, width = mask_logits_QHW.shape
    device = mask_logits_QHW.device
    top, bottom, down = _taps(height, sizes.padded[0], sizes.image[0], sizes.original[0], device)
    left, right, across = _taps(width, sizes.padded[1], sizes.image[1], sizes.original[1], device)
    logits = mask_logits_QHW.float()
    rows_a_block = max(1, BLOCK_ELEMENTS // max(1, num_masks * sizes.original[1]))
    for start in range(0, sizes.original[0], rows_a_block):
        rows = slice(start, min(start + rows_a_block, sizes.original[0]))
        band = torch.lerp(logits[:, top[rows]], logits[:, bottom[rows]], down[rows, None])
        yield rows, torch.lerp(band[:, :, left], band[:, :, right], across)


def check_merge(merge: str) -> None:
    """Refuse a MERGE that `semantic_map` does not know.

    Raises:
        ValueError: Neither ``probability`` nor ``max``.
    """
    if merge not in ("probability", "max"):
        raise ValueError(f"merge: expected 'probability' or 'max', got {merge!r}")


def semantic_map(class_logits_QJ: Tensor, mask_logits_QHW: Tensor, sizes: ImageSizes, *, merge: str = "max") -> Tensor:
    """The class of each pixel.

    Args:
        class_logits_QJ: (Q, K + 1), background last.
        mask_logits_QHW: (Q, H, W).
        sizes: Of the image.
        merge: ``max``: that of the best row, as rows are merged in training: the one whose best class has the largest
            product of class and mask probability. ``probability``: argmax over k of the sum over q of
            p(q, k) sigmoid(m_q) (Cheng et al., MaskFormer, 2021, section 3.4).

    Returns:
        (Ho, Wo) int64 in 0..K-1.

    Raises:
        ValueError: An unknown ``merge``.
    """
    check_merge(merge)
    if merge == "probability":
        scores_RK, logits_RHW = class_logits_QJ.float().softmax(-1)[:, :-1], mask_logits_QHW
    else:
        row_Q, probs_RJ = _rows(class_logits_QJ, (True,) * (class_logits_QJ.shape[1] - 1))
        scores_RK, logits_RHW = probs_RJ[:, :-1], merge_masks(mask_logits_QHW, row_Q, len(probs_RJ))
    best_R, class_R = scores_RK.max(1)
    labels = torch.empty(sizes.original, dtype=torch.int64, device=mask_logits_QHW.device)
    for rows, logits_RhW in enlarge_blocks(logits_RHW, sizes):
        masks_RhW = logits_RhW.sigmoid_()
        if merge == "probability":
            with torch.autocast(masks_RhW.device.type, enabled=False):  # half precision has ties that float32 has not
                labels[rows] = torch.einsum("rk,rhw->khw", scores_RK, masks_RhW).argmax(0)
        else:
            labels[rows] = class_R[(best_R[:, None, None] * masks_RhW).argmax(0)]
    return labels


def panoptic_segments(
    class_logits_QJ: Tensor,
    mask_logits_QHW: Tensor,
    sizes: ImageSizes,
    *,
    mergeable: Sequence[bool],
    score_threshold: float,
    kept_share: float,
) -> tuple[Tensor, Tensor]:
    """Segments that do not overlap (Cheng et al., MaskFormer, 2021, section 3.4), of the rows that training matches.

    Each pixel goes to the row with the largest product of class and mask probability, and is void where that row's
    mask probability is below 1/2. A row that keeps less than ``kept_share`` of the pixels of its mask is dropped, and
    its pixels are void.

    MaskFormer lets the proposals of one stuff class compete before it joins them; here training makes several of them
    share one region, so they would push each other below ``kept_share``.

    Args:
        class_logits_QJ: (Q, K + 1), background last.
        mask_logits_QHW: (Q, H, W).
        sizes: Of the image.
        mergeable: For each class whether MERGE joins its proposals: stuff.
        score_threshold: A row takes part if its class is not background and its leader gives it more than this
            probability. The leader's, not the mean: else one weak proposal could take a region out of the answer.
        kept_share: In [0, 1].

    Returns:
        (Ho, Wo) int64, 1 + the index of the segment or 0 for void; and (N,) int64 the class of each segment.

    Raises:
        ValueError: ``mergeable`` is not of the classes of the logits.
    """
    row_Q, probs_RJ = _rows(class_logits_QJ, mergeable)
    scores_R, labels_R = probs_RJ.max(-1)
    keep_R = (labels_R != len(mergeable)) & (scores_R > score_threshold)
    keep_Q = keep_R[row_Q]
    scores_R, labels_R, num_rows = scores_R[keep_R], labels_R[keep_R], int(keep_R.sum())
    winner = torch.full(sizes.original, num_rows, dtype=torch.int64, device=mask_logits_QHW.device)  # that is: none
    if not num_rows:
        return winner, labels_R
    kept_row_Q = (keep_R.cumsum(0) - 1)[row_Q[keep_Q]]
    logits_RHW = merge_masks(mask_logits_QHW[keep_Q], kept_row_Q, num_rows)
    full_area_R = torch.zeros_like(labels_R)
    for rows, logits_RhW in enlarge_blocks(logits_RHW, sizes):
        mask_RhW = logits_RhW >= 0
        best = (logits_RhW.sigmoid_() * scores_R[:, None, None]).argmax(0)
        full_area_R += mask_RhW.sum((1, 2))
        winner[rows] = best.masked_fill(~mask_RhW.gather(0, best[None])[0], num_rows)
    area_R = torch.bincount(winner.flatten(), minlength=num_rows + 1)[:-1]
    stays_R = (area_R > 0) & (area_R >= kept_share * full_area_R)
    number_R = torch.where(stays_R, stays_R.cumsum(0), 0)
    return torch.cat([number_R, number_R.new_zeros(1)])[winner], labels_R[stays_R]


def _rows(class_logits_QJ: Tensor, mergeable: Sequence[bool]) -> tuple[Tensor, Tensor]:
    """(Q,) the row of each proposal, in 0..R-1, and (R, K + 1) the class probabilities of its leader."""
    leader_Q = merge_rows(class_logits_QJ[None], mergeable)[0]
    leader_R, row_Q = leader_Q.unique(return_inverse=True)
    return row_Q, class_logits_QJ[leader_R].float().softmax(-1)


def _check_flags(is_thing_K: Tensor, class_logits_QJ: Tensor) -> None:
    if len(is_thing_K) != class_logits_QJ.shape[1] - 1:
        raise ValueError(
            f"expected logits over {len(is_thing_K)} classes and background, got {class_logits_QJ.shape[1]} columns"
        )


def instances(
    class_logits_QJ: Tensor,
    mask_logits_QHW: Tensor,
    sizes: ImageSizes,
    *,
    is_thing_K: Tensor,
    max_instances: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The best (proposal, thing class) pairs (Cheng et al., Mask2Former, 2022).

    Score = class probability x mean mask probability inside the mask.

    Args:
        class_logits_QJ: (Q, K + 1), background last.
        mask_logits_QHW: (Q, H, W).
        sizes: Of the image.
        is_thing_K: (K,) bool; stuff is dropped.
        max_instances: At most so many, fewer where there are fewer pairs; a pair whose mask is empty is dropped.

    Returns:
        (N,) int64 labels, (N,) float32 scores in descending order, (N, Ho, Wo) bool masks.

    Raises:
        ValueError: ``is_thing_K`` is not of the classes of the logits.
    """
    _check_flags(is_thing_K, class_logits_QJ)
    probs_QK = class_logits_QJ.float().softmax(-1)[:, :-1].masked_fill(~is_thing_K, -1)
    num_pairs = min(max_instances, len(probs_QK) * int(is_thing_K.sum()))
    scores, pairs = probs_QK.flatten().topk(num_pairs)
    queries, labels = pairs // len(is_thing_K), pairs % len(is_thing_K)
    # a proposal that stands in several pairs is enlarged once
    used, row = torch.unique(queries, return_inverse=True)
    masks = torch.empty(len(used), *sizes.original, dtype=torch.bool, device=mask_logits_QHW.device)
    inside = torch.zeros(len(used), device=mask_logits_QHW.device)
    area = torch.zeros(len(used), device=mask_logits_QHW.device)
    for rows, logits_QhW in enlarge_blocks(mask_logits_QHW[used], sizes):
        mask = logits_QhW > 0
        masks[:, rows] = mask
        inside += (logits_QhW.sigmoid_() * mask).sum((1, 2))
        area += mask.sum((1, 2))
    scores = scores * (inside / area.clamp(min=1))[row]
    order = scores.argsort(descending=True, stable=True)
    order = order[area[row][order] > 0]
    return labels[order], scores[order], masks[row[order]]
