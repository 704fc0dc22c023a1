"""Copies results from the device to the CPU."""

from typing import Any

from mmengine.structures import BaseDataElement
from torch import Tensor


def to_cpu(value: Any) -> Any:
    """Copy a metric's results to the CPU.

    Args:
        value: A tensor, a data element, or lists, tuples and dicts of these. Any other value is kept as it is.

    Returns:
        The same structure on the CPU.
    """
    if isinstance(value, Tensor | BaseDataElement):
        return value.to("cpu")
    if isinstance(value, dict):
        return {key: to_cpu(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [to_cpu(entry) for entry in value]
    if isinstance(value, tuple):
        return tuple(to_cpu(entry) for entry in value)
    return value
