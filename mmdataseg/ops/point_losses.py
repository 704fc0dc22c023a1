"""Focal, dice and binary cross-entropy on points of the masks, as loss and as matching cost.

Focal and dice are DaTaSeg's (Gu et al., 2023), in the form of MaskFormer (Cheng et al., 2021); binary cross-entropy is
Mask2Former's (Cheng et al., 2022).
Letters: X any leading dimensions, such as images, L decoder outputs, Q queries, K classes, J = K + 1 logits (background
last), N targets, R matched rows, P points. A point on void has weight 0: it counts neither in the sum nor in the mean.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmdataseg.ops.linear import products

DICE_EPS = 1.0  # Mask2Former's; keeps the ratio defined when both masks are empty
# of sigmoid focal loss (Lin et al., 2017), MaskFormer's values
FOCAL_ALPHA = 0.25  # weight of the mask's points; the others weigh 1 - alpha; gamma is 2


def point_focal_loss(logits_RP: Tensor, targets_RP: Tensor, weights_RP: Tensor) -> Tensor:
    """Mean sigmoid focal loss over the known points of each row.

    With p the probability and t the target, t alpha (1 - p)^2 (-log p) + (1 - t) (1 - alpha) p^2 (-log (1 - p)). For t
    of 0 or 1 that is MaskFormer's; at a border, where t is between, it is linear in t, so that the cost is a product.

    Args:
        logits_RP: (R, P) mask logits.
        targets_RP: (R, P) in [0, 1].
        weights_RP: (R, P), 1 for a known point, 0 for void.

    Returns:
        (R,); 0 for a row without a known point.
    """
    loss_RP = _Focal.apply(logits_RP, targets_RP) * weights_RP
    return loss_RP.sum(1) / weights_RP.sum(1).clamp(min=1)


class _Focal(torch.autograd.Function):
    """The focal loss of each point with a hand-written derivative; autograd's would keep ten times as much memory.

    With x the logit, p = sigmoid(x), q = 1 - p and s = softplus(x), -log p = s - x and -log q = s.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        p, s = logits.sigmoid(), F.softplus(logits)
        q, minus_log_p = 1 - p, s - logits
        weight_inside, weight_outside = FOCAL_ALPHA * targets * q * q, (1 - FOCAL_ALPHA) * (1 - targets) * p * p
        slope_inside, slope_outside = 2 * p * minus_log_p + q, 2 * q * s + p
        ctx.save_for_backward(weight_outside * slope_outside - weight_inside * slope_inside)
        return weight_inside * minus_log_p + weight_outside * s

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return grad * slope, None


@torch.no_grad()
def point_focal_cost(logits_XQP: Tensor, targets_XNP: Tensor, weights_XP: Tensor) -> Tensor:
    """`point_focal_loss` of every query with every target, on shared points; without a gradient.

    Above a logit of 87 (float32), the loss of a point outside the mask keeps growing, but this cost does not.

    Args:
        logits_XQP: (..., Q, P) mask logits.
        targets_XNP: (..., N, P) in [0, 1].
        weights_XP: (..., P), 1 for a known point, 0 for void.

    Returns:
        (..., Q, N).
    """
    # There are millions of values (Q P for each output), so this makes few passes over them and avoids copies.
    not_p = logits_XQP.neg().sigmoid_()
    softplus = not_p.clamp(min=torch.finfo(not_p.dtype).tiny).log_().neg_()
    outside = (1 - not_p).square_().mul_(softplus).mul_(1 - FOCAL_ALPHA)
    background_XQ1 = outside @ weights_XP[..., None]
    gain = not_p.square_().mul_(softplus.sub_(logits_XQP)).mul_(FOCAL_ALPHA).sub_(outside)
    return (background_XQ1 + products(gain, _known(targets_XNP, weights_XP))) / _number_known(weights_XP)


def point_bce_loss(logits_RP: Tensor, targets_RP: Tensor, weights_RP: Tensor) -> Tensor:
    """Mean binary cross-entropy over the known points of each row; arguments and result as in `point_focal_loss`."""
    loss_RP = F.binary_cross_entropy_with_logits(logits_RP, targets_RP, reduction="none") * weights_RP
    return loss_RP.sum(1) / weights_RP.sum(1).clamp(min=1)


def point_dice_loss(logits_RP: Tensor, targets_RP: Tensor, weights_RP: Tensor) -> Tensor:
    """Dice loss over the known points of each row: 1 - (2 |p t| + 1) / (|p| + |t| + 1).

    Arguments and result as in `point_focal_loss`.
    """
    probs_RP = logits_RP.sigmoid() * weights_RP
    targets_RP = targets_RP * weights_RP
    overlap = 2 * (probs_RP * targets_RP).sum(1)
    total = probs_RP.sum(1) + targets_RP.sum(1)
    return 1 - (overlap + DICE_EPS) / (total + DICE_EPS)


def point_bce_cost(logits_XQP: Tensor, targets_XNP: Tensor, weights_XP: Tensor) -> Tensor:
    """`point_bce_loss` of every query with every target; arguments and result as in `point_focal_cost`."""
    # bce(x, t) = softplus(x) - x t: one product instead of one for the ones and one for the zeros
    background_XQ1 = F.softplus(logits_XQP) @ weights_XP[..., None]
    agreement_XQN = products(logits_XQP, _known(targets_XNP, weights_XP))
    return (background_XQ1 - agreement_XQN) / _number_known(weights_XP)


def point_dice_cost(logits_XQP: Tensor, targets_XNP: Tensor, weights_XP: Tensor) -> Tensor:
    """`point_dice_loss` of every query with every target; arguments and result as in `point_focal_cost`."""
    probs_XQP = logits_XQP.sigmoid() * weights_XP[..., None, :]
    targets_XNP = _known(targets_XNP, weights_XP)
    overlap_XQN = 2 * products(probs_XQP, targets_XNP)
    total_XQN = probs_XQP.sum(-1)[..., None] + targets_XNP.sum(-1)[..., None, :]
    return 1 - (overlap_XQN + DICE_EPS) / (total_XQN + DICE_EPS)


def class_cost(class_logits_XLQJ: Tensor, labels_XN: Tensor) -> Tensor:
    """Minus the probability of each target's class, (..., L, Q, N).

    Args:
        class_logits_XLQJ: (..., L, Q, K + 1), background last.
        labels_XN: (..., N) int64 in 0 .. K - 1.
    """
    index = labels_XN[..., None, None, :].expand(*class_logits_XLQJ.shape[:-1], -1)
    return -class_logits_XLQJ.softmax(-1).gather(-1, index)


def _known(targets_XNP: Tensor, weights_XP: Tensor) -> Tensor:
    """(..., N, P) targets, 0 on void."""
    return targets_XNP * weights_XP[..., None, :]


def _number_known(weights_XP: Tensor) -> Tensor:
    """(..., 1, 1) number of known points, at least 1."""
    return weights_XP.sum(-1).clamp(min=1)[..., None, None]
