"""MERGE: joining several proposals into one region (Gu et al., 2023, "MERGE").

The paper says which classes each task merges, and that MERGE comes before the matching. How masks and classes are
joined, and what happens if there are fewer rows than targets, is our choice: see docs/method.md.

A row is the unit of the matching and of the answer: the proposals of one mergeable class, or a single proposal. Its
index is that of its leader, the member with the highest probability of the class.

Letters: X any leading dimensions, such as images and decoder outputs, Q queries, K classes, J = K + 1 logits
(background last), N targets, G groups, S proposals that belong to a group, P points, (H, W) the grid of the mask
logits.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def merge_rows(class_logits_XQJ: Tensor, mergeable: Sequence[bool]) -> Tensor:
    """The row of each proposal.

    Proposals whose most likely class is the same mergeable class are one row. Every other proposal is a row of its
    own, whether it predicts a thing or background.

    Args:
        class_logits_XQJ: (..., Q, K + 1), background last.
        mergeable: For each class whether MERGE joins its proposals (`LabelSpace.mergeable`).

    Returns:
        (..., Q) int64, the query that leads the row: the surest member, the first among equals.

    Raises:
        ValueError: There is not one flag for each class.
    """
    *leading, num_queries, num_logits = class_logits_XQJ.shape
    _check_flags(mergeable, num_logits)
    query_XQ = torch.arange(num_queries, device=class_logits_XQJ.device).expand(*leading, -1)
    if not any(mergeable):
        return query_XQ
    # logits that are not finite (a diverged step) must not raise here; the loss will show them
    prob_XQ, class_XQ = class_logits_XQJ.float().softmax(-1).nan_to_num(0).max(-1)
    mergeable_J = torch.tensor([*mergeable, False], device=class_logits_XQJ.device)
    # a key for each mergeable class, then one for each query that is not merged
    key_XQ = torch.where(mergeable_J[class_XQ], class_XQ, num_logits + query_XQ)
    num_keys = num_logits + num_queries
    best = prob_XQ.new_zeros(*leading, num_keys).scatter_reduce(-1, key_XQ, prob_XQ, "amax", include_self=False)
    contender_XQ = torch.where(prob_XQ == best.gather(-1, key_XQ), query_XQ, num_queries)
    leader = query_XQ.new_zeros(*leading, num_keys).scatter_reduce(-1, key_XQ, contender_XQ, "amin", include_self=False)
    return leader.gather(-1, key_XQ)


def followers(rows_XQ: Tensor) -> Tensor:
    """Which proposals do not lead their row, (..., Q) bool, for (..., Q) rows of `merge_rows`."""
    return rows_XQ != _queries(rows_XQ)


def row_sizes(rows_XQ: Tensor) -> Tensor:
    """The number of members of each proposal's row, (..., Q) int64, at least 1, for (..., Q) rows of `merge_rows`."""
    return torch.zeros_like(rows_XQ).scatter_add(-1, rows_XQ, torch.ones_like(rows_XQ)).gather(-1, rows_XQ)


def row_means(values_XQN: Tensor, rows_XQ: Tensor) -> Tensor:
    """At each leader the mean over its row; every other proposal keeps its own values.

    Args:
        values_XQN: (..., Q, N) float, e.g. class probabilities.
        rows_XQ: (..., Q) of `merge_rows`.

    Returns:
        (..., Q, N).

    Raises:
        ValueError: The rows have another shape.
    """
    _check_rows(rows_XQ, values_XQN)
    index = rows_XQ[..., None].expand_as(values_XQN)
    return values_XQN.scatter_reduce(-2, index, values_XQN, "mean", include_self=False)


def row_maxima(values_XQP: Tensor, rows_XQ: Tensor) -> Tensor:
    """At each leader the maximum over its row; every other proposal keeps its own values.

    Args:
        values_XQP: (..., Q, P) float, e.g. mask logits at points.
        rows_XQ: (..., Q) of `merge_rows`.

    Returns:
        (..., Q, P).

    Raises:
        ValueError: The rows have another shape.
    """
    _check_rows(rows_XQ, values_XQP)
    num_queries, num_points = values_XQP.shape[-2:]
    flat, rows = values_XQP.reshape(rows_XQ.numel(), num_points), rows_XQ.reshape(-1, num_queries)
    first = num_queries * torch.arange(len(rows), device=rows.device)[:, None]
    # along the first dimension: on a CPU torch then reduces P values at a time instead of single ones
    index = (first + rows).flatten()[:, None].expand_as(flat)
    return flat.scatter_reduce(0, index, flat, "amax").view_as(values_XQP)


def split_rows(rows_XQ: Tensor, matched_XQ: Tensor) -> tuple[Tensor, Tensor]:
    """The rows after the matching, where rows were merged before it.

    A member that was matched itself, apart from its row, leaves the row.

    Args:
        rows_XQ: (..., Q) of `merge_rows`.
        matched_XQ: (..., Q) bool: a leader was matched with its whole row, another member alone.

    Returns:
        (..., Q) int64, the query that leads the row; and (..., Q) float32, the share of each proposal in the class loss
        of its row: 1 / the number of members, so that a row counts once.
    """
    rows_XQ = torch.where(matched_XQ, _queries(rows_XQ), rows_XQ)
    return rows_XQ, 1 / row_sizes(rows_XQ)


def absorb(class_logits_XQJ: Tensor, labels_XQ: Tensor, mergeable: Sequence[bool]) -> tuple[Tensor, Tensor]:
    """The rows after the matching, where proposals are merged after it (an ablation).

    A matched proposal leads a row. An unmatched one whose most likely class (background included) is mergeable, and the
    class of a matched one, joins that one's row. The others are rows of their own.

    Args:
        class_logits_XQJ: (..., Q, K + 1), background last.
        labels_XQ: (..., Q) int64, the class of each query's target, or -1 if it is not matched; in each output, at most
            one query has a given mergeable class.
        mergeable: For each class whether MERGE joins its proposals.

    Returns:
        (..., Q) int64, the query that leads the row; and (..., Q) float32, the share in the class loss: 0 for those
        that joined, else 1.

    Raises:
        ValueError: The labels have another shape, or there is not one flag for each class.
    """
    *expected, num_logits = class_logits_XQJ.shape
    if tuple(labels_XQ.shape) != tuple(expected):
        raise ValueError(f"expected labels of shape {tuple(expected)}, got {tuple(labels_XQ.shape)}")
    _check_flags(mergeable, num_logits)
    query_XQ, nowhere = _queries(labels_XQ).expand_as(labels_XQ), num_logits  # a column that no class reads
    # the label -1 of an unmatched query reads the last flag
    mergeable_XQ = torch.tensor([*mergeable, False], device=labels_XQ.device)[labels_XQ]
    leader_of_class = labels_XQ.new_full((*labels_XQ.shape[:-1], num_logits + 1), -1)
    leader_of_class.scatter_(-1, torch.where(mergeable_XQ, labels_XQ, nowhere), query_XQ)
    leader_XQ = leader_of_class.gather(-1, class_logits_XQJ.argmax(-1))
    joins_XQ = (labels_XQ < 0) & (leader_XQ >= 0)
    return torch.where(joins_XQ, leader_XQ, query_XQ), (~joins_XQ).float()


def merge_masks(mask_logits_SHW: Tensor, group_S: Tensor, num_groups: int) -> Tensor:
    """The merged mask of each group: a pixel belongs to it if any member claims it.

    Args:
        mask_logits_SHW: (S, H, W).
        group_S: (S,) int64 in 0..G-1; each group has at least one member.
        num_groups: G.

    Returns:
        (G, H, W), the maximum over the members' logits.

    Raises:
        ValueError: There is not one group for each mask.
    """
    if group_S.shape != mask_logits_SHW.shape[:1]:
        raise ValueError(f"expected a group for each of {len(mask_logits_SHW)} masks, got shape {tuple(group_S.shape)}")
    if len(group_S) == num_groups:  # groups of one: no maximum to take, and none to differentiate
        return mask_logits_SHW[group_S.argsort()]
    index = group_S[:, None, None].expand_as(mask_logits_SHW)
    # not zeros: torch would give a part of the gradient of a maximum of 0 to them, even with include_self=False
    lowest = mask_logits_SHW.new_full((num_groups, *mask_logits_SHW.shape[1:]), float("-inf"))
    return lowest.scatter_reduce(0, index, mask_logits_SHW, reduce="amax")


def _queries(rows_XQ: Tensor) -> Tensor:
    """(Q,) the index of each query."""
    return torch.arange(rows_XQ.shape[-1], device=rows_XQ.device)


def _check_rows(rows_XQ: Tensor, values_XQY: Tensor) -> None:
    if rows_XQ.shape != values_XQY.shape[:-1]:
        raise ValueError(f"expected rows of shape {tuple(values_XQY.shape[:-1])}, got {tuple(rows_XQ.shape)}")


def _check_flags(mergeable: Sequence[bool], num_logits: int) -> None:
    if len(mergeable) != num_logits - 1:
        raise ValueError(
            f"expected logits over {len(mergeable)} classes and background, got {num_logits} logits for each query"
        )
