"""Panoptic quality from counts of (true segment, predicted segment) pairs, without PNG files.

Letters: (H, W) the size of a map, N true segments, M predicted segments, N1 = N + 1 and M1 = M + 1 with void first, K
classes.

Source of the measure: Kirillov et al., Panoptic Segmentation, CVPR 2019, section 4. Where the paper leaves room (void,
crowd), the counts follow the evaluator of the COCO panoptic task, with which published numbers are computed.
"""

import torch
from torch import Tensor

from mmdataseg.ops.run_lengths import count_pairs

TP, FP, FN, IOU = range(4)
"""Columns of a table of counts; the last one is the sum of the IoUs of the true positives."""


def segment_intersections(gt_ids_HW: Tensor, pred_ids_HW: Tensor, *, num_gt: int, num_pred: int) -> Tensor:
    """Count the pixels that each true segment shares with each predicted one.

    Args:
        gt_ids_HW: (H, W) integers, value = index of the true segment, 0 .. N - 1; -1 is void.
        pred_ids_HW: (H, W) integers, value = index of the predicted segment, 0 .. M - 1; -1 is void.
        num_gt: N, may be 0.
        num_pred: M, may be 0.

    Returns:
        (N + 1, M + 1) int64 pixel counts, on the CPU. Row 0 and column 0 are void; true segment i is row i + 1,
        predicted segment j column j + 1.

    Raises:
        ValueError: The maps differ in size, or an index is outside its range.
    """
    gt_ids, pred_ids = gt_ids_HW.cpu().numpy(), pred_ids_HW.cpu().numpy()
    return torch.from_numpy(count_pairs(gt_ids, pred_ids, num_true=num_gt, num_predicted=num_pred))


def segment_ious(intersections_N1M1: Tensor) -> Tensor:
    """IoU of each true segment with each predicted one; void inside a predicted segment is left out of the union.

    Args:
        intersections_N1M1: (N + 1, M + 1) pixel counts of `segment_intersections`.

    Returns:
        (N, M) float64 in 0 .. 1; 0 where both segments have no pixel.
    """
    shared_NM = intersections_N1M1[1:, 1:]
    gt_area_N = intersections_N1M1[1:].sum(1)
    pred_area_M = shared_NM.sum(0)  # without its void
    union_NM = gt_area_N[:, None] + pred_area_M[None] - shared_NM
    return shared_NM.double() / union_NM.clamp(min=1)


def panoptic_counts(
    intersections_N1M1: Tensor,
    *,
    gt_labels_N: Tensor,
    gt_is_crowd_N: Tensor,
    pred_labels_M: Tensor,
    num_classes: int,
) -> Tensor:
    """Match the segments of one image and count, by class, as the evaluator of the COCO panoptic task does.

    - A predicted and a true segment match when they have the same class and their IoU is over 0.5. Void pixels inside
      the predicted segment are left out of the union.
    - A crowd segment is never matched, and never counted as missed.
    - A predicted segment without a match is a false positive, unless it is one of the `excused_segments`.

    Args:
        intersections_N1M1: (N + 1, M + 1) pixel counts of `segment_intersections`.
        gt_labels_N: (N,) integers, class of each true segment.
        gt_is_crowd_N: (N,) bool, whether each true segment is a crowd region.
        pred_labels_M: (M,) integers, class of each predicted segment.
        num_classes: K.

    Returns:
        (K, 4) float64 on the device of the input: columns `TP`, `FP`, `FN`, `IOU`. A true segment without a pixel is
        missed (FN); a predicted one without a pixel is not counted.

    Raises:
        ValueError: The numbers of segments do not fit together, or a label is outside 0 .. K - 1.
    """
    check_segments(intersections_N1M1, gt_labels_N, gt_is_crowd_N, pred_labels_M, num_classes)
    gt_labels_N, pred_labels_M, crowd_N = gt_labels_N.long(), pred_labels_M.long(), gt_is_crowd_N.bool()
    iou_NM = segment_ious(intersections_N1M1)
    same_NM = gt_labels_N[:, None] == pred_labels_M[None]
    match_NM = same_NM & ~crowd_N[:, None] & (iou_NM > 0.5)
    excused_M = excused_segments(
        intersections_N1M1, gt_labels_N=gt_labels_N, gt_is_crowd_N=crowd_N, pred_labels_M=pred_labels_M
    )
    missed_N = ~match_NM.any(1) & ~crowd_N
    wrong_M = ~match_NM.any(0) & ~excused_M & (intersections_N1M1[:, 1:].sum(0) > 0)
    counts_K4 = iou_NM.new_zeros(num_classes, 4)
    counts_K4[:, TP].index_add_(0, gt_labels_N, match_NM.sum(1).double())
    counts_K4[:, IOU].index_add_(0, gt_labels_N, (iou_NM * match_NM).sum(1))
    counts_K4[:, FN].index_add_(0, gt_labels_N, missed_N.double())
    counts_K4[:, FP].index_add_(0, pred_labels_M, wrong_M.double())
    return counts_K4


def excused_segments(
    intersections_N1M1: Tensor, *, gt_labels_N: Tensor, gt_is_crowd_N: Tensor, pred_labels_M: Tensor
) -> Tensor:
    """Find the predicted segments that do not count as wrong, since nobody annotated single segments at their place.

    More than half of such a segment is on void and on the crowd segment of its class. Of several crowd segments of one
    class, only the last one counts: the evaluator of the COCO panoptic task keeps one for each class.

    The arguments are those of `panoptic_counts`.

    Returns:
        (M,) bool; False for a segment without a pixel.
    """
    rows_N = torch.arange(len(gt_labels_N), device=gt_labels_N.device)
    later_NN = rows_N[None] > rows_N[:, None]
    repeated_NN = later_NN & gt_is_crowd_N[None] & (gt_labels_N[None] == gt_labels_N[:, None])
    last_crowd_N = gt_is_crowd_N & ~repeated_NN.any(1)
    of_class_NM = last_crowd_N[:, None] & (gt_labels_N[:, None] == pred_labels_M[None])
    excused_M = intersections_N1M1[0, 1:] + (intersections_N1M1[1:, 1:] * of_class_NM).sum(0)
    return excused_M.double() / intersections_N1M1[:, 1:].sum(0).clamp(min=1) > 0.5


def panoptic_quality(counts_K4: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Panoptic, segmentation and recognition quality of each class.

    Args:
        counts_K4: (..., K, 4) counts of `panoptic_counts`, summed over images.

    Returns:
        PQ, SQ and RQ, each (..., K) float64 in 0 .. 1, nan for a class without any count: ``nanmean`` over the classes
        wanted (all, things, stuff) is the average that is published. SQ of a class that has counts but no match is 0,
        as in the COCO evaluator.

    Raises:
        ValueError: The last dimension is not 4.
    """
    if counts_K4.shape[-1] != 4:
        raise ValueError(f"expected counts (..., K, 4): tp, fp, fn, iou; got shape {tuple(counts_K4.shape)}")
    tp, fp, fn, iou = counts_K4.double().unbind(-1)
    halved = tp + 0.5 * fp + 0.5 * fn
    pq, rq = iou / halved, tp / halved
    sq = (iou / tp.clamp(min=1)).masked_fill(halved == 0, float("nan"))
    return pq, sq, rq


def check_segments(
    intersections_N1M1: Tensor, gt_labels_N: Tensor, gt_is_crowd_N: Tensor, pred_labels_M: Tensor, num_classes: int
) -> None:
    """Check the arguments of `panoptic_counts`.

    Raises:
        ValueError: The numbers of segments do not fit together, or a label is outside 0 .. K - 1.
    """
    expected = (len(gt_labels_N) + 1, len(pred_labels_M) + 1)
    if tuple(intersections_N1M1.shape) != expected:
        raise ValueError(
            f"{len(gt_labels_N)} true and {len(pred_labels_M)} predicted labels need intersections of shape "
            f"{expected}, got {tuple(intersections_N1M1.shape)}"
        )
    if gt_is_crowd_N.shape != gt_labels_N.shape:
        raise ValueError(
            f"expected a crowd flag for each of {len(gt_labels_N)} true segments, got {len(gt_is_crowd_N)}"
        )
    for name, labels in (("true", gt_labels_N), ("predicted", pred_labels_M)):
        if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= num_classes):
            raise ValueError(
                f"{name} labels: expected 0 .. {num_classes - 1}, got {int(labels.min())} .. {int(labels.max())}"
            )
