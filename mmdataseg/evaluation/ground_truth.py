"""Ground truth of a data sample: id map, classes of its rows, crowd flags."""

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
        ids (H, W) int64, value = row, -1 = void; labels (N,) int64; is_crowd (N,) bool, None where not given.

    Raises:
        UserError: No id map; a size other than the prediction's; an id without a row.
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
            f"{describe(sample)}: ground truth is {tuple(ids.shape)}, the prediction {tuple(size)} (height, width); "
            "load annotations after Resize in the test pipeline, so that they keep the original size"
        )
    if ids.numel() and (int(ids.min()) < -1 or int(ids.max()) >= len(labels)):
        raise UserError(
            f"{describe(sample)}: ids {int(ids.min())} .. {int(ids.max())} in 'gt_id_map', 'gt_instances' has rows "
            f"0 .. {len(labels) - 1} (-1 is void)"
        )
    crowd = sample["gt_instances"].get("is_crowd")
    return ids, labels, None if crowd is None else crowd.bool()


def describe(sample: Mapping[str, Any]) -> str:
    """Where a sample is from, for messages."""
    image = str(sample.get("img_path", sample.get("img_id", "an image")))
    return f"source {sample['source']!r}, {image}" if "source" in sample else image


def classes_of(dataset_meta: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Class names of a metric's dataset.

    Raises:
        UserError: The metric was not told of its dataset.
    """
    if not dataset_meta or "classes" not in dataset_meta:
        raise UserError(
            "the metric does not know its classes; use it under mmdataseg.MultiSourceEvaluator or set its dataset_meta"
        )
    return tuple(dataset_meta["classes"])


def thing_flags_of(dataset_meta: Mapping[str, Any]) -> Tensor:
    """Which classes are things.

    Args:
        dataset_meta: With ``classes``, and ``is_thing`` or, as mmdet's datasets have it, ``thing_classes``.

    Returns:
        (K,) bool.

    Raises:
        UserError: Neither is given.
    """
    if "is_thing" in dataset_meta:
        return torch.tensor(dataset_meta["is_thing"], dtype=torch.bool)
    if "thing_classes" in dataset_meta:
        return torch.tensor([c in dataset_meta["thing_classes"] for c in dataset_meta["classes"]])
    raise UserError("the metric does not know which classes are things; dataset_meta needs 'is_thing'")
