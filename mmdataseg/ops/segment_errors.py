"""What happened to each true segment in a panoptic answer, and which predicted segments are invented.

Panoptic quality says how much is wrong; the kinds say what. The idea is that of TIDE (Bolya et al., ECCV 2020), which
gives each false detection one cause. Here each *true* segment has exactly one kind, so the shares add up to 100 %.

Letters: N true segments, M predicted segments, N1 = N + 1 and M1 = M + 1 with void first, K classes.
"""

import torch
from torch import Tensor

from mmdataseg.ops.panoptic_quality import check_segments, excused_segments, segment_ious

KINDS = ("found", "wrong_class", "merged", "split", "ragged", "unlabelled", "absorbed")
"""The kinds of a true segment; the first that holds is its kind.

- found: a predicted segment of its class has IoU over 0.5. This is panoptic quality's match.
- wrong_class: a predicted segment of another class has IoU over 0.5. Outline right, class wrong.
- merged: a predicted segment of its class covers more than half of it and more than half of another true segment of
  this class.
- split: several predicted segments of its class have IoU over 0.5 with it together, but none has alone. Only those
  that have more than half of their pixels in it count: the other objects of its class change nothing.
- ragged: a predicted segment of its class has IoU of at least 0.1.
- unlabelled: more than half of it is void in the answer: no proposal was sure enough.
- absorbed: none of these. Most of it is in segments of other classes or of other objects, with other outlines. A true
  segment without a pixel is one of these.
"""
FOUND, WRONG_CLASS, MERGED, SPLIT, RAGGED, UNLABELLED, ABSORBED = range(len(KINDS))

MATCH = 0.5
"""IoU above which a predicted segment has the outline of a true one."""
TOUCH = 0.1
"""IoU below which a predicted segment has nothing to do with a true one, as in TIDE."""


def error_kinds(
    intersections_N1M1: Tensor, *, gt_labels_N: Tensor, gt_is_crowd_N: Tensor, pred_labels_M: Tensor, num_classes: int
) -> Tensor:
    """Give each true segment its kind. The arguments are those of `mmdataseg.ops.panoptic_quality.panoptic_counts`.

    Returns:
        (N,) int64, index of the kind in `KINDS`; -1 for crowd regions, which are never matched.

    Raises:
        ValueError: The numbers of segments do not fit together, or a label is outside 0 .. K - 1.
    """
    check_segments(intersections_N1M1, gt_labels_N, gt_is_crowd_N, pred_labels_M, num_classes)
    crowd_N = gt_is_crowd_N.bool()
    same_NM = gt_labels_N.long()[:, None] == pred_labels_M.long()[None]
    iou_NM = segment_ious(intersections_N1M1)
    shared_NM = intersections_N1M1[1:, 1:].double()
    gt_area_N = intersections_N1M1[1:].sum(1).double()
    pred_area_M = shared_NM.sum(0)

    covers_NM = same_NM & (shared_NM > 0.5 * gt_area_N[:, None]) & ~crowd_N[:, None]
    merges_M = covers_NM.sum(0) > 1
    parts_NM = same_NM & (shared_NM > 0.5 * pred_area_M)
    together_N = (shared_NM * parts_NM).sum(1)
    union_N = gt_area_N + (pred_area_M * parts_NM).sum(1) - together_N

    kinds_N = torch.full((len(crowd_N),), ABSORBED, device=iou_NM.device)
    for kind, holds_N in (  # the first of `KINDS` is written last
        (UNLABELLED, intersections_N1M1[1:, 0] > 0.5 * gt_area_N),
        (RAGGED, (same_NM & (iou_NM >= TOUCH)).any(1)),
        (SPLIT, together_N > MATCH * union_N),
        (MERGED, (covers_NM & merges_M[None]).any(1)),
        (WRONG_CLASS, (~same_NM & (iou_NM > MATCH)).any(1)),
        (FOUND, (same_NM & (iou_NM > MATCH)).any(1)),
    ):
        kinds_N[holds_N] = kind
    kinds_N[crowd_N] = -1
    return kinds_N


def invented_segments(
    intersections_N1M1: Tensor, *, gt_labels_N: Tensor, gt_is_crowd_N: Tensor, pred_labels_M: Tensor, num_classes: int
) -> Tensor:
    """Find predicted segments at places where there is nothing of the kind.

    An invented segment has IoU below 0.1 with every true segment, of any class. It is not excused by void or by a crowd
    region (`mmdataseg.ops.panoptic_quality.excused_segments`). The arguments are those of `error_kinds`.

    Returns:
        (M,) bool; False for a segment without a pixel.

    Raises:
        ValueError: As in `error_kinds`.
    """
    check_segments(intersections_N1M1, gt_labels_N, gt_is_crowd_N, pred_labels_M, num_classes)
    excused_M = excused_segments(
        intersections_N1M1, gt_labels_N=gt_labels_N, gt_is_crowd_N=gt_is_crowd_N.bool(), pred_labels_M=pred_labels_M
    )
    touches_M = (segment_ious(intersections_N1M1) >= TOUCH).any(0)
    return ~touches_M & ~excused_M & (intersections_N1M1[:, 1:].sum(0) > 0)
