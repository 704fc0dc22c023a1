"""Panoptic maps as mmdet writes them, class and segment number in one id, read as an id map with its table.

Letters: K classes, M segments, (H, W) the size of the map.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdataseg.ops.box_masks import BoxMask, masks_of_map
from mmdataseg.ops.id_map import VOID
from mmdataseg.ops.run_lengths import unique_values


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
        ids. Both are on the CPU.

    Raises:
        ValueError: The class of an id is not among the K classes.
    """
    ids, index_HW = (torch.from_numpy(found) for found in unique_values(ids_HW.cpu().numpy()))
    is_segment = ids != (num_classes if ignore_index is None else ignore_index)
    labels_M = ids[is_segment].long() % offset  # mmdet's heads write int32
    _check(labels_M.tolist(), num_classes)
    return torch.where(is_segment, is_segment.cumsum(0) - 1, VOID)[index_HW], labels_M


def panoptic_masks(
    ids_HW: Tensor, *, num_classes: int, offset: int, ignore_index: int | None = None
) -> list[tuple[int, BoxMask]]:
    """Return the label and the mask of each segment of a panoptic map, for maps of any size.

    Args:
        ids_HW: As in `read_panoptic_map`, on the CPU. The masks read it.
        num_classes: K.
        offset: As in `read_panoptic_map`.
        ignore_index: As in `read_panoptic_map`.

    Returns:
        Label 0 .. K - 1 and mask of each segment, in the order of the ids.

    Raises:
        ValueError: As in `read_panoptic_map`.
    """
    void = num_classes if ignore_index is None else ignore_index
    found = [(value % offset, mask) for value, mask in masks_of_map(ids_HW).items() if value != void]
    _check([label for label, _ in found], num_classes)
    return found


def _check(labels: Sequence[int], num_classes: int) -> None:
    if labels and max(labels) >= num_classes:
        raise ValueError(f"predicted class {max(labels)}, the label space has {num_classes} classes")
