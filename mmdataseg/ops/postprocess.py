"""Compute the answer of a task from proposals, at the size of the original image and in bounded memory.

Letters: Q proposals, K classes, J = K + 1 logits (background last), R rows of MERGE, U proposals that are used, N
segments or instances, A answers, T tiles of the image, P points, (H, W) the grid of the mask logits, (Ho, Wo) the
original image in pixels, (h, w) a box of it.
"""

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from mmdataseg.ops.box_masks import BoxMask, look_up_, pack_mask
from mmdataseg.ops.enlarging import Enlargement, ImageSizes, block_elements, enlarge_boxes
from mmdataseg.ops.merge import merge_masks, merge_rows

SEMANTIC_MERGES = ("max", "probability")
_ROUNDING = 1e-4  # a mean of probabilities may be a little above 1
_MARGIN = 2e-3  # relative rounding of sums of probabilities; products in TF32 have three digits


def semantic_map(class_logits_QJ: Tensor, mask_logits_QHW: Tensor, sizes: ImageSizes, *, merge: str = "max") -> Tensor:
    """The class of each pixel.

    Args:
        class_logits_QJ: (Q, K + 1), background last.
        mask_logits_QHW: (Q, H, W).
        sizes: Sizes of the image.
        merge: ``max``: the class of the best row, with rows merged as in training. The best row is the one with the
            largest product of mask probability and probability of its best class. ``probability``: argmax over k of the
            sum over q of p(q, k) sigmoid(m_q) (Cheng et al., MaskFormer, 2021, section 3.4).

    Returns:
        (Ho, Wo) int32 in 0..K-1.

    Raises:
        ValueError: ``merge`` is unknown.
    """
    if merge not in SEMANTIC_MERGES:
        raise ValueError(f"merge: expected one of {SEMANTIC_MERGES}, got {merge!r}")
    if merge == "probability":
        classes = torch.arange(class_logits_QJ.shape[1] - 1, device=class_logits_QJ.device)
        scores_KQ = class_logits_QJ.float().softmax(-1)[:, :-1].T
        return _best(scores_KQ, mask_logits_QHW, sizes, classes)
    row_Q, probs_RJ = _rows(class_logits_QJ, (True,) * (class_logits_QJ.shape[1] - 1))
    best_R, class_R = probs_RJ[:, :-1].max(1)
    return _best(best_R, merge_masks(mask_logits_QHW, row_Q, len(probs_RJ)), sizes, class_R)


def _best(scores: Tensor, logits_RHW: Tensor, sizes: ImageSizes, class_A: Tensor) -> Tensor:
    """The class of the answer with the largest score in each pixel.

    In each tile of the image, only answers are compared that can be the best there, by the smallest and the largest
    value of each mask in the tile. In most tiles that is one, so that no mask is enlarged there.

    Args:
        scores: (A, R): the score of an answer is a sum over all masks of its values here times their probabilities. Or
            (R,): each mask is an answer, and its score is its value here times its probability.
        logits_RHW: (R, H, W).
        sizes: Sizes of the image.
        class_A: (A,) int64, the class of each answer.

    Returns:
        (Ho, Wo) int32.
    """
    enlarge = Enlargement(logits_RHW.shape[1:], sizes, logits_RHW.device)
    rows, columns = enlarge.tiles(len(logits_RHW))
    with torch.autocast(logits_RHW.device.type, enabled=False):  # half precision would make ties
        low_AT, high_AT = (
            _score(scores, bound.flatten(1).sigmoid()) for bound in enlarge.bounds(logits_RHW, rows, columns)
        )
        possible_TA = (high_AT >= (1 - _MARGIN) * low_AT.amax(0)).T
        possible_TA |= ~possible_TA.any(1, keepdim=True)  # logits that are not finite
        labels = torch.empty(sizes.original, dtype=torch.int32, device=logits_RHW.device)
        class_on_host = class_A.cpu()
        for tile, possible in zip(product(rows, columns), possible_TA.cpu(), strict=True):
            classes = class_on_host[possible]
            if (classes == classes[0]).all():
                labels[tile] = classes[0].item()
                continue
            answers = possible.nonzero()[:, 0].to(class_A.device)
            probs = enlarge(logits_RHW, *tile, None if scores.dim() == 2 else answers).sigmoid_()
            best = answers[_score(scores[answers], probs.flatten(1)).argmax(0)]
            labels[tile] = class_A[best].view(probs.shape[1:]).int()
    return labels


def _score(scores: Tensor, probs_RP: Tensor) -> Tensor:
    """(A, P) the score of each answer at each point."""
    return scores @ probs_RP if scores.dim() == 2 else scores[:, None] * probs_RP


@torch.no_grad()
def panoptic_segments(
    class_logits_QJ: Tensor,
    mask_logits_QHW: Tensor,
    sizes: ImageSizes,
    *,
    mergeable: Sequence[bool],
    score_threshold: float,
    kept_share: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Segments that do not overlap (Cheng et al., MaskFormer, 2021, section 3.4), made of the rows that training
    matches.

    Each pixel goes to the row with the largest product of class and mask probability, and is void where that row's
    mask probability is below 1/2. A row that keeps less than ``kept_share`` of the pixels of its mask is dropped, and
    its pixels are void.

    MaskFormer lets the proposals of one stuff class compete and joins them afterwards. Here training makes several of
    them share one region, so they would push each other below ``kept_share``.

    Args:
        class_logits_QJ: (Q, K + 1), background last.
        mask_logits_QHW: (Q, H, W).
        sizes: Sizes of the image.
        mergeable: For each class whether MERGE joins its proposals: stuff.
        score_threshold: A row takes part if its class is not background and its leader gives it more than this
            probability. The mean over the row is not used: one weak proposal could then remove a region from the
            answer.
        kept_share: In [0, 1].

    Returns:
        (Ho, Wo) int32, 1 + the index of the segment or 0 for void; (N,) int64 the class of each segment; and (N,)
        float32 its score, the probability of its class according to the leader of its row.

    Raises:
        ValueError: ``mergeable`` does not have one flag for each class of the logits.
    """
    row_Q, probs_RJ = _rows(class_logits_QJ, mergeable)
    scores_R, labels_R = probs_RJ.max(-1)
    keep_R = (labels_R != len(mergeable)) & (scores_R > score_threshold)
    keep_Q = keep_R[row_Q]
    scores_R, labels_R, num_rows = scores_R[keep_R], labels_R[keep_R], int(keep_R.sum())
    winner = torch.full(sizes.original, num_rows, dtype=torch.int32, device=mask_logits_QHW.device)  # num_rows: no row
    if not num_rows:
        return winner, labels_R, scores_R
    kept_row_Q = (keep_R.cumsum(0) - 1)[row_Q[keep_Q]]
    logits_RHW = merge_masks(mask_logits_QHW[keep_Q], kept_row_Q, num_rows)
    full_area_R = _compete(logits_RHW, scores_R, sizes, winner)
    area_R = torch.bincount(winner.flatten(), minlength=num_rows + 1)[:-1]
    stays_R = (area_R > 0) & (area_R >= kept_share * full_area_R)
    number_R = torch.where(stays_R, stays_R.cumsum(0), 0)
    segments = look_up_(winner, torch.cat([number_R, number_R.new_zeros(1)]))
    return segments, labels_R[stays_R], scores_R[stays_R]


def _compete(logits_RHW: Tensor, scores_R: Tensor, sizes: ImageSizes, winner: Tensor) -> Tensor:
    """Write the index of the best row of each pixel into ``winner`` (Ho, Wo), R where the pixel is void.

    A row is enlarged only around the cells where it could beat a mask of probability 1/2: beyond them either another
    row wins or the pixel is void.

    Returns:
        (R,) int64 pixels of each row's mask.
    """
    least_R = 0.499 * scores_R.min() / scores_R  # a little below 1/2, for the rounding
    best = torch.zeros(sizes.original, device=logits_RHW.device)
    area_R = scores_R.new_zeros(len(scores_R), dtype=torch.int64)
    for row, (rows, columns), logits_hw in enlarge_boxes(logits_RHW, sizes, least_R.logit()):
        step = max(1, block_elements(logits_hw.device) // logits_hw.shape[1])
        for start, logits in zip(range(rows.start, rows.stop, step), logits_hw.split(step), strict=True):
            box = slice(start, start + len(logits)), columns
            mask = logits >= 0
            area_R[row] += mask.sum()
            score = logits.sigmoid_().mul_(scores_R[row])
            better = score > best[box]
            best[box] = torch.where(better, score, best[box])
            winner[box] = torch.where(better, torch.where(mask, row, len(scores_R)), winner[box])
    return area_R


def _rows(class_logits_QJ: Tensor, mergeable: Sequence[bool]) -> tuple[Tensor, Tensor]:
    """(Q,) the row of each proposal, in 0..R-1, and (R, K + 1) the class probabilities of its leader."""
    leader_Q = merge_rows(class_logits_QJ[None], mergeable)[0]
    leader_R, row_Q = leader_Q.unique(return_inverse=True)
    return row_Q, class_logits_QJ[leader_R].float().softmax(-1)


def box_instances(
    class_logits_QJ: Tensor,
    mask_logits_QHW: Tensor,
    sizes: ImageSizes,
    *,
    is_thing_K: Tensor,
    max_instances: int,
    min_score: float = 0.0,
) -> tuple[Tensor, Tensor, list[BoxMask]]:
    """The best (proposal, thing class) pairs (Cheng et al., Mask2Former, 2022).

    Score = class probability x mean mask probability inside the mask. Deviation: Mask2Former takes the best pairs
    of all classes and then drops stuff, so an image may get fewer instances.

    Args:
        class_logits_QJ: (Q, K + 1), background last.
        mask_logits_QHW: (Q, H, W).
        sizes: Sizes of the image.
        is_thing_K: (K,) bool; stuff is dropped.
        max_instances: The maximum number of instances; a pair whose mask is empty is dropped.
        min_score: Instances with a lower score are dropped, before their masks are enlarged if the class probability is
            lower already.

    Returns:
        (N,) int64 labels, (N,) float32 scores in descending order, N masks. Instances of one proposal share their mask.

    Raises:
        ValueError: ``is_thing_K`` does not have one flag for each class of the logits.
    """
    if len(is_thing_K) != class_logits_QJ.shape[1] - 1:
        raise ValueError(
            f"expected logits over {len(is_thing_K)} classes and background, got {class_logits_QJ.shape[1]} columns"
        )
    probs_QK = class_logits_QJ.float().softmax(-1)[:, :-1].masked_fill(~is_thing_K, -1)
    num_pairs = min(max_instances, len(probs_QK) * int(is_thing_K.sum()))
    probs, pairs = probs_QK.flatten().topk(num_pairs)
    may_reach = probs >= min_score - _ROUNDING
    probs, pairs = probs[may_reach], pairs[may_reach]
    queries, labels = pairs // len(is_thing_K), pairs % len(is_thing_K)
    # a proposal that appears in several pairs is enlarged once
    used, row = torch.unique(queries, return_inverse=True)
    logits_UHW = mask_logits_QHW[used]
    inside, area = probs.new_zeros(len(used)), probs.new_zeros(len(used))
    masks: dict[int, BoxMask] = {}
    for proposal, (rows, columns), logits in enlarge_boxes(logits_UHW, sizes, torch.zeros_like(inside)):
        mask = logits > 0
        found = pack_mask(mask, corner=(rows.start, columns.start), size=sizes.original)
        if found.area:
            masks[proposal] = found
            inside[proposal], area[proposal] = logits.sigmoid_().mul_(mask).sum(), found.area
    scores = probs * (inside / area.clamp(min=1))[row]
    order = scores.argsort(descending=True, stable=True)
    there = [place in masks for place in row[order].tolist()]
    order = order[torch.tensor(there, dtype=torch.bool, device=order.device) & (scores[order] >= min_score)]
    return labels[order], scores[order], [masks[place] for place in row[order].tolist()]
