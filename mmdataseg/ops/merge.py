"""MERGE: joining several proposals into one region (Gu et al., 2023, "MERGE").

The paper says which classes each task merges, and that MERGE comes before the matching. How masks and classes are
joined, and what happens if there are fewer rows than targets, is our choice: see docs/method.md.

A row is the unit of the matching and of the answer: the proposals of one mergeable class, or a single proposal. Its
index is that of its leader, the member with the highest probability of the class.

Letters: L decoder outputs, Q queries, K classes, J = K + 1 logits (background last), N targets, M matched rows of an
output, G groups, S proposals that belong to a group, P points, (H, W) the grid of the mask logits.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

UNMATCHED = -1


def merge_rows(class_logits_LQJ: Tensor, mergeable: Sequence[bool]) -> Tensor:
    """The row of each proposal.

    Proposals whose most likely class is the same mergeable class are one row. Every other proposal is a row of its
    own, whether it predicts a thing or background.

    Args:
        class_logits_LQJ: (L, Q, K + 1), background last.
        mergeable: For each class whether MERGE joins its proposals (`LabelSpace.mergeable`).

    Returns:
        (L, Q) int64, the query that leads the row: the surest member, the first among equals.

    Raises:
        ValueError: There is not one flag for each class.
    """
    num_outputs, num_queries, num_logits = class_logits_LQJ.shape
    _check_flags(mergeable, num_logits)
    query_LQ = torch.arange(num_queries, device=class_logits_LQJ.device).expand(num_outputs, -1)
    if not any(mergeable):
        return query_LQ
    # logits that are not finite (a diverged step) must not raise here; the loss will show them
    prob_LQ, class_LQ = class_logits_LQJ.float().softmax(-1).nan_to_num(0).max(-1)
    mergeable_J = torch.tensor([*mergeable, False], device=class_logits_LQJ.device)
    # a key for each mergeable class, then one for each query that is not merged
    key_LQ = torch.where(mergeable_J[class_LQ], class_LQ, num_logits + query_LQ)
    num_keys = num_logits + num_queries
    best = prob_LQ.new_zeros(num_outputs, num_keys).scatter_reduce(1, key_LQ, prob_LQ, "amax", include_self=False)
    contender_LQ = torch.where(prob_LQ == best.gather(1, key_LQ), query_LQ, num_queries)
    leader = query_LQ.new_zeros(num_outputs, num_keys).scatter_reduce(
        1, key_LQ, contender_LQ, "amin", include_self=False
    )
    return leader.gather(1, key_LQ)


def followers(rows_LQ: Tensor) -> Tensor:
    """Which proposals do not lead their row, (..., Q) bool, for (..., Q) rows of `merge_rows`."""
    return rows_LQ != torch.arange(rows_LQ.shape[-1], device=rows_LQ.device)


def row_sizes(rows_LQ: Tensor) -> Tensor:
    """The number of members of each proposal's row, (L, Q) int64, at least 1, for (L, Q) rows of `merge_rows`."""
    sizes_LQ = torch.zeros_like(rows_LQ).scatter_add(1, rows_LQ, torch.ones_like(rows_LQ))
    return sizes_LQ.gather(1, rows_LQ)


def row_means(values_LQN: Tensor, rows_LQ: Tensor) -> Tensor:
    """At each leader the mean over its row; every other proposal keeps its own values.

    Args:
        values_LQN: (L, Q, N) float, e.g. class probabilities.
        rows_LQ: (L, Q) of `merge_rows`.

    Returns:
        (L, Q, N).

    Raises:
        ValueError: The rows have another shape.
    """
    _check_rows(rows_LQ, values_LQN)
    return values_LQN.scatter_reduce(
        1, rows_LQ[..., None].expand_as(values_LQN), values_LQN, "mean", include_self=False
    )


def row_maxima(values_LQP: Tensor, rows_LQ: Tensor) -> Tensor:
    """At each leader the maximum over its row; every other proposal keeps its own values.

    Args:
        values_LQP: (L, Q, P) float, e.g. mask logits at points.
        rows_LQ: (L, Q) of `merge_rows`.

    Returns:
        (L, Q, P).

    Raises:
        ValueError: The rows have another shape.
    """
    _check_rows(rows_LQ, values_LQP)
    num_outputs, num_queries, _ = values_LQP.shape
    first_L1 = num_queries * torch.arange(num_outputs, device=rows_LQ.device)[:, None]
    flat = values_LQP.flatten(0, 1)
    # along the first dimension: on a CPU torch then reduces P values at a time instead of single ones
    index = (first_L1 + rows_LQ).flatten()[:, None].expand_as(flat)
    return flat.scatter_reduce(0, index, flat, "amax").view_as(values_LQP)


def groups_of_rows(rows_LQ: Tensor, queries_LM: Tensor) -> tuple[Tensor, Tensor]:
    """The matched row of each proposal, where rows were merged before the matching.

    A member that was matched itself, apart from its row, leaves the row.

    Args:
        rows_LQ: (L, Q) of `merge_rows`.
        queries_LM: (L, M) int64, the query of each matched pair: a leader, matched with its whole row, or another
            member, matched alone.

    Returns:
        (L, Q) int64, the pair that the proposal belongs to, or -1; and (L, Q) float32, its share in the class loss of
        its row: 1 / the number of members, so that a row counts once.
    """
    rows_LQ = rows_LQ.scatter(1, queries_LM, queries_LM)
    pair_LM = torch.arange(queries_LM.shape[1], device=queries_LM.device).expand_as(queries_LM)
    pair_of_row_LQ = torch.full_like(rows_LQ, UNMATCHED).scatter(1, queries_LM, pair_LM)
    return pair_of_row_LQ.gather(1, rows_LQ), 1 / row_sizes(rows_LQ)


def groups_by_absorption(
    class_logits_LQJ: Tensor, queries_LM: Tensor, labels_LM: Tensor, mergeable: Sequence[bool]
) -> tuple[Tensor, Tensor]:
    """The matched row of each proposal, where proposals are merged after the matching (an ablation).

    A matched proposal belongs to its own pair. An unmatched one whose most likely class (background included) is that
    of a mergeable pair joins it. The others belong to none.

    Args:
        class_logits_LQJ: (L, Q, K + 1), background last.
        queries_LM: (L, M) int64, the query of each pair.
        labels_LM: (L, M) int64, the class of each pair; at most one pair of a mergeable class in each output.
        mergeable: For each class whether MERGE joins its proposals.

    Returns:
        (L, Q) int64, the pair, or -1; and (L, Q) float32, the share in the class loss: 0 for those that joined, else 1.

    Raises:
        ValueError: The pairs differ in shape, or there is not one flag for each class.
    """
    num_outputs, _, num_logits = class_logits_LQJ.shape
    if queries_LM.shape != labels_LM.shape:
        raise ValueError(
            f"queries and labels must be of one shape (L, M), got {tuple(queries_LM.shape)}, {tuple(labels_LM.shape)}"
        )
    _check_flags(mergeable, num_logits)
    mergeable_LM = torch.tensor(mergeable, device=labels_LM.device)[labels_LM]
    pair_LM = torch.arange(queries_LM.shape[1], device=queries_LM.device).expand_as(queries_LM)
    nowhere = num_logits  # a column that no proposal's class reads
    pair_of_class = queries_LM.new_full((num_outputs, num_logits + 1), UNMATCHED)
    pair_of_class.scatter_(1, labels_LM.masked_fill(~mergeable_LM, nowhere), pair_LM)
    joined_LQ = pair_of_class.gather(1, class_logits_LQJ.argmax(-1))
    share_LQ = (joined_LQ == UNMATCHED).float().scatter(1, queries_LM, 1.0)
    return joined_LQ.scatter(1, queries_LM, pair_LM), share_LQ


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


def _check_rows(rows_LQ: Tensor, values_LQX: Tensor) -> None:
    if rows_LQ.shape != values_LQX.shape[:2]:
        raise ValueError(f"expected rows of shape {tuple(values_LQX.shape[:2])}, got {tuple(rows_LQ.shape)}")


def _check_flags(mergeable: Sequence[bool], num_logits: int) -> None:
    if len(mergeable) != num_logits - 1:
        raise ValueError(
            f"expected logits over {len(mergeable)} classes and background, got {num_logits} logits for each query"
        )
