"""From proposals to the answer of a task at the size of the original image, in row blocks of bounded memory.

Letters: Q proposals, K classes, N segments or instances, (H, W) the grid of the mask logits, (Ho, Wo) the original
image in pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

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
    """For each original pixel along one axis: the two cells it lies between, and the share of the second."""
    centre = (torch.arange(original, device=device, dtype=torch.float32) + 0.5) * (image / original)
    position = (centre * (cells / padded) - 0.5).clamp(0, cells - 1)
    low = position.floor().long()
    return low, (low + 1).clamp(max=cells - 1), position - low


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
    if merge not in ("probability", "max"):
        raise ValueError(f"merge: expected 'probability' or 'max', got {merge!r}")
    probs_QK = class_logits_QK.float().softmax(-1)[:, :-1]
    labels = torch.empty(sizes.original, dtype=torch.int64, device=mask_logits_QHW.device)
    for rows, logits_QhW in enlarge_blocks(mask_logits_QHW, sizes):
        masks_QhW = logits_QhW.sigmoid_()
        if merge == "probability":
            scores_KhW = torch.einsum("qk,qhw->khw", probs_QK, masks_QhW)
            labels[rows] = scores_KhW.argmax(0)
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
    """Segments that do not overlap (Cheng et al., MaskFormer, 2021, section 3.4), stuff merged by class.

    Each pixel goes to the proposal with the largest probability x mask probability, and is void where even that
    proposal's mask probability is below 1/2.
    A proposal that keeps less than ``kept_share`` of the pixels where its mask probability reaches 1/2 is dropped, and
    its pixels are void.

    Args:
        class_logits_QK: (Q, K + 1), background last.
        mask_logits_QHW: (Q, H, W).
        sizes: Of the image.
        is_thing_K: (K,) bool.
        score_threshold: A proposal takes part if its best class is not background and has more than this probability.
        kept_share: In [0, 1].

    Returns:
        (Ho, Wo) int64, 1 + the index of the segment or 0 for void; and (N,) int64 the class of each segment.
    """
    num_classes = class_logits_QK.shape[1] - 1
    scores_Q, labels_Q = class_logits_QK.float().softmax(-1).max(-1)
    keep_Q = (labels_Q != num_classes) & (scores_Q > score_threshold)
    scores, labels, logits = scores_Q[keep_Q], labels_Q[keep_Q], mask_logits_QHW[keep_Q]
    owner = torch.full(sizes.original, -1, dtype=torch.int64, device=logits.device)
    num_kept = len(labels)
    if not num_kept:
        return owner + 1, labels
    full_area = torch.zeros(num_kept, dtype=torch.int64, device=logits.device)
    for rows, logits_QhW in enlarge_blocks(logits, sizes):
        probs = logits_QhW.sigmoid_()
        own = probs >= OWN_PIXEL
        full_area += own.sum((1, 2))
        winner = (scores[:, None, None] * probs).argmax(0)
        owner[rows] = winner.masked_fill(~own.gather(0, winner[None])[0], -1)
    area = torch.bincount(owner.flatten() + 1, minlength=num_kept + 1)[1:]
    stays = (area > 0) & (area >= kept_share * full_area)
    return _number_segments(owner, labels, stays, is_thing_K)


def _number_segments(owner: Tensor, labels: Tensor, stays: Tensor, is_thing_K: Tensor) -> tuple[Tensor, Tensor]:
    """Give things numbers of their own and stuff one a class, by a look-up table on the device."""
    # proposals with one key are one segment: a thing's key is its own, a stuff's is its class
    num_classes = len(is_thing_K)
    key = torch.where(is_thing_K[labels], num_classes + torch.arange(len(labels), device=labels.device), labels)
    keys, number = torch.unique(key[stays], return_inverse=True)
    table = torch.zeros(len(labels) + 1, dtype=torch.int64, device=labels.device)  # last: no owner
    table[:-1][stays] = number + 1
    segment_labels = torch.empty_like(keys)
    segment_labels[number] = labels[stays]
    return table[owner], segment_labels


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
    """
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
