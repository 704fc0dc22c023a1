"""From proposals to the answer of a task at the size of the original image, in row blocks of bounded memory.

Letters: Q proposals, K classes, N segments or instances, (H, W) the grid of the mask logits, (Ho, Wo) the original
image in pixels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mmdataseg.ops.merge import merge_masks

BLOCK_ELEMENTS = 2**25  # mask values enlarged at a time: 128 MiB of float32
OWN_PIXEL = 0.5  # a pixel is a proposal's own where its mask probability reaches this


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


def semantic_map(
    class_logits_QK: Tensor, mask_logits_QHW: Tensor, sizes: ImageSizes, *, merge: str = "probability"
) -> Tensor:
    """The class of each pixel: argmax over k of MERGE over q of p(q, k) sigmoid(m_q).

    Args:
        class_logits_QK: (Q, K + 1), background last.
        mask_logits_QHW: (Q, H, W).
        sizes: Of the image.
        merge: ``probability``: the sum over proposals (Cheng et al., MaskFormer, 2021, section 3.4); ``max``: the
            largest.

    Returns:
        (Ho, Wo) int64 in 0..K-1.

    Raises:
        ValueError: An unknown ``merge``.
    """
    check_merge(merge)
    probs_QK = class_logits_QK.float().softmax(-1)[:, :-1]
    labels = torch.empty(sizes.original, dtype=torch.int64, device=mask_logits_QHW.device)
    for rows, logits_QhW in enlarge_blocks(mask_logits_QHW, sizes):
        masks_QhW = logits_QhW.sigmoid_()
        if merge == "probability":
            with torch.autocast(masks_QhW.device.type, enabled=False):  # half precision has ties that float32 has not
                labels[rows] = torch.einsum("qk,qhw->khw", probs_QK, masks_QhW).argmax(0)
        else:
            # the largest p(q, k) m_q over q and k is that of each proposal's own best class
            best_Q, class_Q = probs_QK.max(1)
            labels[rows] = class_Q[(best_Q[:, None, None] * masks_QhW).argmax(0)]
    return labels


def panoptic_segments(
    class_logits_QK: Tensor,
    mask_logits_QHW: Tensor,
    sizes: ImageSizes,
    *,
    is_thing_K: Tensor,
    score_threshold: float,
    kept_share: float,
) -> tuple[Tensor, Tensor]:
    """Segments that do not overlap (Cheng et al., MaskFormer, 2021, section 3.4), of regions merged as in training.

    A region is a thing's proposal, or the MERGE of all proposals of one stuff class: its value at a pixel is the
    largest probability x mask probability of its members, and the pixel is its own if any member's mask probability
    reaches 1/2. Each pixel goes to the region with the largest value, and is void where it is not that region's own.
    A region that keeps less than ``kept_share`` of its own pixels is dropped, and its pixels are void.

    MaskFormer lets the proposals of one stuff class compete before it joins them; here training makes several of them
    share one region, so they would push each other below ``kept_share``.

    Args:
        class_logits_QK: (Q, K + 1), background last.
        mask_logits_QHW: (Q, H, W).
        sizes: Of the image.
        is_thing_K: (K,) bool.
        score_threshold: A proposal takes part if its best class is not background and has more than this probability.
        kept_share: In [0, 1].

    Returns:
        (Ho, Wo) int64, 1 + the index of the segment or 0 for void; and (N,) int64 the class of each segment.

    Raises:
        ValueError: ``is_thing_K`` is not of the classes of the logits.
    """
    _check_flags(is_thing_K, class_logits_QK)
    scores_Q, labels_Q = class_logits_QK.float().softmax(-1).max(-1)
    keep_Q = (labels_Q != len(is_thing_K)) & (scores_Q > score_threshold)
    scores, labels, logits = scores_Q[keep_Q], labels_Q[keep_Q], mask_logits_QHW[keep_Q]
    region, region_labels = _regions(labels, is_thing_K)
    num_regions = len(region_labels)
    winner = torch.full(sizes.original, num_regions, dtype=torch.int64, device=logits.device)  # that is: none
    if not num_regions:
        return winner, region_labels
    full_area = torch.zeros(num_regions, dtype=torch.int64, device=logits.device)
    for rows, logits_QhW in enlarge_blocks(logits, sizes):
        probs = logits_QhW.sigmoid_()
        own = merge_masks(probs, region, num_regions) >= OWN_PIXEL
        best = merge_masks(probs * scores[:, None, None], region, num_regions).argmax(0)
        full_area += own.sum((1, 2))
        winner[rows] = best.masked_fill(~own.gather(0, best[None])[0], num_regions)
    area = torch.bincount(winner.flatten(), minlength=num_regions + 1)[:-1]
    stays = (area > 0) & (area >= kept_share * full_area)
    number = torch.where(stays, stays.cumsum(0), 0)
    return torch.cat([number, number.new_zeros(1)])[winner], region_labels[stays]


def _regions(labels: Tensor, is_thing_K: Tensor) -> tuple[Tensor, Tensor]:
    """The region of each proposal, and the class of each region: one a stuff class, one a proposal of a thing."""
    num_classes = len(is_thing_K)
    of_its_own = num_classes + torch.arange(len(labels), device=labels.device)
    keys, region = torch.unique(torch.where(is_thing_K[labels], of_its_own, labels), return_inverse=True)
    region_labels = torch.empty_like(keys)
    region_labels[region] = labels
    return region, region_labels


def _check_flags(is_thing_K: Tensor, class_logits_QK: Tensor) -> None:
    if len(is_thing_K) != class_logits_QK.shape[1] - 1:
        raise ValueError(
            f"expected logits over {len(is_thing_K)} classes and background, got {class_logits_QK.shape[1]} columns"
        )


def instances(
    class_logits_QK: Tensor,
    mask_logits_QHW: Tensor,
    sizes: ImageSizes,
    *,
    is_thing_K: Tensor,
    max_instances: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The best (proposal, thing class) pairs (Cheng et al., Mask2Former, 2022).

    Score = class probability x mean mask probability inside the mask.

    Args:
        class_logits_QK: (Q, K + 1), background last.
        mask_logits_QHW: (Q, H, W).
        sizes: Of the image.
        is_thing_K: (K,) bool; stuff is dropped.
        max_instances: At most so many, fewer where there are fewer pairs; a pair whose mask is empty is dropped.

    Returns:
        (N,) int64 labels, (N,) float32 scores in descending order, (N, Ho, Wo) bool masks.

    Raises:
        ValueError: ``is_thing_K`` is not of the classes of the logits.
    """
    _check_flags(is_thing_K, class_logits_QK)
    probs_QK = class_logits_QK.float().softmax(-1)[:, :-1].masked_fill(~is_thing_K, -1)
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
