"""Tables of counts per class. For each image, only the classes in it are stored."""

from collections.abc import Iterable

import torch
from torch import Tensor

from mmdataseg.errors import UserError

PackedCounts = tuple[Tensor, Tensor]
"""Labels (P,) of the classes in an image, and their counts (R, P, C): R versions of the prediction, C columns."""


def pack_counts(counts: Tensor) -> PackedCounts:
    """Keep the classes that have a count.

    Args:
        counts: (R, K, C): R versions of the prediction (as it is, then chance draws), K classes, C columns.

    Returns:
        Labels (P,) int64 and counts (R, P, C), on the CPU.
    """
    counts = counts.cpu()
    labels = (counts != 0).any(dim=2).any(dim=0).nonzero().flatten()
    return labels, counts[:, labels].clone()


def sum_counts(packed: Iterable[PackedCounts], *, num_classes: int) -> Tensor:
    """Sum the counts of all images.

    Args:
        packed: Results of `pack_counts`, at least one, all with the same R and C.
        num_classes: K.

    Returns:
        (R, K, C).

    Raises:
        UserError: There is no image.
    """
    total = None
    for labels, counts in packed:
        if total is None:
            total = counts.new_zeros(counts.shape[0], num_classes, counts.shape[2])
        total.index_add_(1, labels, counts)
    if total is None:
        raise UserError("expected the counts of at least one image, got none")
    return total


def mean_percent(values: Tensor) -> float:
    """Return the mean of qualities in 0 .. 1, of any shape, in percent, without those that are nan; nan if all are."""
    return float(values.nanmean() * 100) if values.numel() else float("nan")


def chance_generator(sample: dict, number: int) -> torch.Generator:
    """Return the generator of an image's chance draws. It does not depend on the rank or on the order of the images.

    Args:
        sample: Data sample as a dict, with metainfo ``sample_idx`` if it comes from `MultiSourceDataset`.
        number: Used if ``sample_idx`` is missing.
    """
    return torch.Generator().manual_seed(int(sample.get("sample_idx", number)))
