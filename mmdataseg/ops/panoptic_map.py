"""Panoptic maps as mmdet writes them, class and segment number in one id, read as an id map with its table.

Letters: K classes, M segments, (H, W) the size of the map.
"""

import torch
from torch import Tensor

from mmdataseg.ops.id_map import VOID


def read_panoptic_map(
    ids_HW: Tensor, *, num_classes: int, offset: int, ignore_index: int | None = None
) -> tuple[Tensor, Tensor]:
    """Number the segments of a panoptic map.

    Args:
        ids_HW: (H, W) integer ids, ``class + offset * n``; n tells the segments of one class apart.
        num_classes: K.
        offset: mmdet's ``INSTANCE_OFFSET``.
        ignore_index: The id of void. None: K, which mmdet's own heads write and do not name.

    Returns:
        rows (H, W) int64, value = row of the table, -1 = void; labels (M,) int64 of the rows, in the order of their
        ids.

    Raises:
        ValueError: The class of an id is not among the K classes.
    """
    ids, row_HW = torch.unique(ids_HW, return_inverse=True)
    is_segment = ids != (num_classes if ignore_index is None else ignore_index)
    labels_M = ids[is_segment].long() % offset  # mmdet's heads write int32
    if labels_M.numel() and int(labels_M.max()) >= num_classes:
        raise ValueError(f"predicted class {int(labels_M.max())}, the label space has {num_classes} classes")
    return torch.where(is_segment, is_segment.cumsum(0) - 1, VOID)[row_HW], labels_M
