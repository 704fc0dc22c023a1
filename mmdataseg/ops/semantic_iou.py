"""Intersection over union of semantic maps from one confusion matrix per image.

Letters: (H, W) the size of a map, K classes.
"""

import torch
from torch import Tensor

from mmdataseg.ops.run_lengths import count_pairs

INTERSECTION, PREDICTED, TRUE = range(3)
"""Columns of a table of areas, in pixels."""


def confusion_matrix(gt_labels_HW: Tensor, pred_labels_HW: Tensor, *, num_classes: int) -> Tensor:
    """Count the pixels of each (true class, predicted class) pair.

    Args:
        gt_labels_HW: (H, W) integers, true classes 0 .. K - 1; -1 is void and left out.
        pred_labels_HW: (H, W) integers, predicted classes 0 .. K - 1. A predicted void (-1) is a wrong answer: the
            pixel counts for its true class and for no predicted one.
        num_classes: K.

    Returns:
        (K, K + 1) int64 on the CPU: row = true class, column = predicted class, the last column predicted void.

    Raises:
        ValueError: The maps differ in size, or a class is outside its range.
    """
    gt_labels, pred_labels = gt_labels_HW.cpu().numpy(), pred_labels_HW.cpu().numpy()
    counts = count_pairs(gt_labels, pred_labels, num_true=num_classes, num_predicted=num_classes)
    return torch.from_numpy(counts[1:]).roll(-1, dims=1)


def class_areas(confusion: Tensor, permutation_K: Tensor | None = None) -> Tensor:
    """Compute the areas that intersection over union needs from a confusion matrix.

    Args:
        confusion: (K, K + 1) of `confusion_matrix`.
        permutation_K: (K,) int64. Pixels predicted as class j count as class ``permutation_K[j]``. None: as class j.

    Returns:
        (K, 3) int64: columns `INTERSECTION`, `PREDICTED`, `TRUE`.

    Raises:
        ValueError: The shape is not (K, K + 1).
    """
    num_classes = len(confusion)
    if tuple(confusion.shape) != (num_classes, num_classes + 1):
        raise ValueError(f"expected a confusion matrix (K, K + 1), got shape {tuple(confusion.shape)}")
    seen = confusion[:, :num_classes]
    if permutation_K is not None:
        seen = seen[:, permutation_K.argsort()]
    return torch.stack([seen.diagonal(), seen.sum(0), confusion.sum(1)], dim=1)


def semantic_iou(areas_K3: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Intersection over union and accuracy.

    Args:
        areas_K3: (..., K, 3) areas of `class_areas`, summed over images.

    Returns:
        IoU (..., K), accuracy of each class (..., K) and accuracy over all pixels (...), float64 in 0 .. 1. IoU is nan
        for a class that is neither in the truth nor predicted, accuracy is nan for one that is not in the truth:
        ``nanmean`` gives mIoU and mAcc as mmseg has them.

    Raises:
        ValueError: The last dimension is not 3.
    """
    if areas_K3.shape[-1] != 3:
        raise ValueError(
            f"expected areas (..., K, 3): intersection, predicted, true; got shape {tuple(areas_K3.shape)}"
        )
    intersection, predicted, true = areas_K3.double().unbind(-1)
    union = predicted + true - intersection
    return intersection / union, intersection / true, intersection.sum(-1) / true.sum(-1)
