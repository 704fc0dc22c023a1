"""MERGE: several proposals, one region (Gu et al., 2023, section 3.2).

The paper says which task merges what; the rule by which proposals join is ours (`absorb`), see docs/method.md.
Letters: L decoder outputs, Q queries, K classes, M matched pairs, R proposals that take part, (H, W) the grid of the
mask logits.
"""

import torch
from torch import Tensor

UNMATCHED = -1


def absorb(class_logits_LQK: Tensor, queries_LM: Tensor, labels_LM: Tensor, mergeable_LM: Tensor) -> Tensor:
    """Which pair each proposal belongs to after MERGE in training.

    A matched proposal belongs to its own pair. An unmatched one whose most likely class (background included) is that
    of a mergeable pair joins it. The others belong to none.

    Args:
        class_logits_LQK: (L, Q, K + 1), background last.
        queries_LM: (L, M) int64, the query of each pair.
        labels_LM: (L, M) int64, the class of each pair.
        mergeable_LM: (L, M) bool; at most one mergeable pair of a class in each output.

    Returns:
        (L, Q) int64, the pair, or -1.

    Raises:
        ValueError: Pairs of different shapes.
    """
    if not queries_LM.shape == labels_LM.shape == mergeable_LM.shape:
        shapes = ", ".join(str(tuple(t.shape)) for t in (queries_LM, labels_LM, mergeable_LM))
        raise ValueError(f"queries, labels and mergeable must be of one shape (L, M), got {shapes}")
    num_outputs, _, num_logits = class_logits_LQK.shape
    pair_LM = torch.arange(queries_LM.shape[1], device=queries_LM.device).expand(num_outputs, -1)
    pair_of_class = queries_LM.new_full((num_outputs, num_logits + 1), UNMATCHED)
    nowhere = num_logits  # a column that no proposal's class reads
    pair_of_class.scatter_(1, labels_LM.masked_fill(~mergeable_LM, nowhere), pair_LM)
    groups_LQ = pair_of_class.gather(1, class_logits_LQK.argmax(-1))
    return groups_LQ.scatter(1, queries_LM, pair_LM)


def merge_masks(mask_logits_RHW: Tensor, groups_R: Tensor, num_groups: int) -> Tensor:
    """The merged mask of each group: a pixel belongs to it if any member claims it.

    Args:
        mask_logits_RHW: (R, H, W).
        groups_R: (R,) int64 in 0..num_groups-1; each group has at least one member.
        num_groups: M.

    Returns:
        (M, H, W), the maximum over the members' logits.

    Raises:
        ValueError: Not one group for each mask.
    """
    if groups_R.shape != mask_logits_RHW.shape[:1]:
        raise ValueError(
            f"expected a group for each of {len(mask_logits_RHW)} masks, got shape {tuple(groups_R.shape)}"
        )
    if len(groups_R) == num_groups:  # groups of one: no maximum to take, and none to differentiate
        return mask_logits_RHW[groups_R.argsort()]
    index = groups_R[:, None, None].expand_as(mask_logits_RHW)
    empty = mask_logits_RHW.new_zeros(num_groups, *mask_logits_RHW.shape[1:])
    return empty.scatter_reduce(0, index, mask_logits_RHW, reduce="amax", include_self=False)
