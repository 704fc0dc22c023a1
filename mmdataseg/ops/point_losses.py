"""Binary cross-entropy and dice on sampled points, as loss and as matching cost (Mask2Former, section 3.3).

Letters: L decoder outputs, Q queries, N targets, M matched pairs, P points. A point that lies on void has weight 0: it
is outside the sum and outside the mean.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

DICE_EPS = 1.0  # Mask2Former's; keeps the ratio defined when both masks are empty


def point_bce_loss(logits_MP: Tensor, targets_MP: Tensor, weights_MP: Tensor) -> Tensor:
    """Mean binary cross-entropy over the known points of each pair.

    Args:
        logits_MP: (M, P) mask logits.
        targets_MP: (M, P) in [0, 1].
        weights_MP: (M, P), 1 for a known point, 0 for void.

    Returns:
        (M,); 0 for a pair without a known point.
    """
    loss_MP = F.binary_cross_entropy_with_logits(logits_MP, targets_MP, reduction="none") * weights_MP
    return loss_MP.sum(1) / weights_MP.sum(1).clamp(min=1)


def point_dice_loss(logits_MP: Tensor, targets_MP: Tensor, weights_MP: Tensor) -> Tensor:
    """Dice loss over the known points of each pair: 1 - (2 |p t| + 1) / (|p| + |t| + 1).

    Args:
        logits_MP: (M, P) mask logits.
        targets_MP: (M, P) in [0, 1].
        weights_MP: (M, P), 1 for a known point, 0 for void.

    Returns:
        (M,); 0 for a pair without a known point.
    """
    probs_MP = logits_MP.sigmoid() * weights_MP
    targets_MP = targets_MP * weights_MP
    overlap = 2 * (probs_MP * targets_MP).sum(1)
    total = probs_MP.sum(1) + targets_MP.sum(1)
    return 1 - (overlap + DICE_EPS) / (total + DICE_EPS)


def point_bce_cost(logits_LQP: Tensor, targets_NP: Tensor, weights_P: Tensor) -> Tensor:
    """`point_bce_loss` of every query with every target, on shared points.

    Args:
        logits_LQP: (L, Q, P) mask logits.
        targets_NP: (N, P) in [0, 1].
        weights_P: (P,), 1 for a known point, 0 for void.

    Returns:
        (L, Q, N).
    """
    # bce(x, t) = softplus(x) - x t: one product instead of one for the ones and one for the zeros
    background_LQ = (F.softplus(logits_LQP) * weights_P).sum(-1)
    agreement_LQN = logits_LQP @ (targets_NP * weights_P).T
    return (background_LQ[..., None] - agreement_LQN) / weights_P.sum().clamp(min=1)


def point_dice_cost(logits_LQP: Tensor, targets_NP: Tensor, weights_P: Tensor) -> Tensor:
    """`point_dice_loss` of every query with every target, on shared points.

    Args:
        logits_LQP: (L, Q, P) mask logits.
        targets_NP: (N, P) in [0, 1].
        weights_P: (P,), 1 for a known point, 0 for void.

    Returns:
        (L, Q, N).
    """
    probs_LQP = logits_LQP.sigmoid() * weights_P
    targets_NP = targets_NP * weights_P
    overlap_LQN = 2 * probs_LQP @ targets_NP.T
    total_LQN = probs_LQP.sum(-1)[..., None] + targets_NP.sum(-1)
    return 1 - (overlap_LQN + DICE_EPS) / (total_LQN + DICE_EPS)


def class_cost(class_logits_LQK: Tensor, labels_N: Tensor) -> Tensor:
    """Minus the probability of each target's class.

    Args:
        class_logits_LQK: (L, Q, K + 1), background last.
        labels_N: (N,) int64 in 0..K-1.

    Returns:
        (L, Q, N).
    """
    return -torch.softmax(class_logits_LQK, dim=-1)[..., labels_N]
