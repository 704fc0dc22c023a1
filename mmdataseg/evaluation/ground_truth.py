"""Reads the ground truth of a data sample: id map, labels of its rows, crowd flags."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmdataseg.errors import UserError


def id_map_of(sample: Mapping[str, Any], *, size: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor | None]:
    """Read the id map and its table.

    Args:
        sample: Data sample as a dict, with ``gt_id_map`` and ``gt_instances`` as `mmdataseg.PackInputs` writes them.
        size: (H, W) of the prediction, in pixels of the original image.

    Returns:
        ids (H, W) int64, value = row, -1 = void; labels (N,) int64; is_crowd (N,) bool, None if the sample has none.
        All are on the device of the truth, which may differ from that of the prediction.

    Raises:
        UserError: The sample has no id map; the sizes of ground truth and prediction differ; or an id has no row.
    """
    if "gt_id_map" not in sample or "gt_instances" not in sample:
        raise UserError(
            f"{describe(sample)}: expected ground truth 'gt_id_map' and 'gt_instances', got {sorted(sample)}; "
            "the test pipeline must load annotations with scoring=True and end with mmdataseg.PackInputs"
        )
    ids = sample["gt_id_map"]["data"][0].long()
    labels = sample["gt_instances"]["labels"].long()
    if tuple(ids.shape) != tuple(size):
        raise UserError(
            f"{describe(sample)}: the ground truth is {tuple(ids.shape)}, but the prediction is {tuple(size)} (height, "
            "width); load annotations after Resize in the test pipeline, so that they keep the original size"
        )
    if ids.numel() and (int(ids.min()) < -1 or int(ids.max()) >= len(labels)):
        raise UserError(
            f"{describe(sample)}: 'gt_id_map' has ids {int(ids.min())} .. {int(ids.max())}, but 'gt_instances' has "
            f"rows 0 .. {len(labels) - 1} (-1 is void)"
        )
    crowd = sample["gt_instances"].get("is_crowd")
    return ids, labels, None if crowd is None else crowd.bool()


def describe(sample: Mapping[str, Any]) -> str:
    """Return the source and the image of a sample, for messages."""
    image = str(sample.get("img_path", sample.get("img_id", "an image")))
    return f"source {sample['source']!r}, {image}" if "source" in sample else image


def classes_of(dataset_meta: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the class names of a metric's dataset.

    Raises:
        UserError: The metric has no class names.
    """
    if not dataset_meta or "classes" not in dataset_meta:
        raise UserError(
            "the metric does not know its classes; use it in mmdataseg.MultiSourceEvaluator, or set its dataset_meta"
        )
    return tuple(dataset_meta["classes"])


def thing_flags_of(dataset_meta: Mapping[str, Any]) -> Tensor:
    """Return the thing flags of the classes.

    Args:
        dataset_meta: Metainfo with ``classes``, and ``is_thing`` or, as in mmdet's datasets, ``thing_classes``.

    Returns:
        (K,) bool, True for things.

    Raises:
        UserError: The metainfo has neither key.
    """
    if "is_thing" in dataset_meta:
        return torch.tensor(dataset_meta["is_thing"], dtype=torch.bool)
    if "thing_classes" in dataset_meta:
        return torch.tensor([c in dataset_meta["thing_classes"] for c in dataset_meta["classes"]])
    raise UserError("the metric does not know which classes are things; add 'is_thing' to its dataset_meta")
