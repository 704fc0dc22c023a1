"""Values of COCO-style files in the variants that exporters write.

A variant with a certain meaning is converted. Any other value raises a ValueError that names its ``key`` in the file.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

_LONGEST_SIDE = 1 << 30  # pixels
_FLAGS = {"": False, "0": False, "false": False, "1": True, "true": True}


def as_id(value: Any, key: str) -> int:
    """Convert an id, an integer that may be written as text or as a float.

    Raises:
        ValueError: The value is not an integer in any of these forms.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        return int(value)
    raise ValueError(f"'{key}': expected an integer, got {_shown(value)}")


def id_key(value: Any) -> Any:
    """Return an id for comparisons: 5 and "5" are equal. Other text, such as an image name in Cityscapes, is kept."""
    try:
        return as_id(value, "id")
    except ValueError:
        return value


def as_flag(value: Any, key: str) -> bool:
    """Convert a flag: 0 or 1, true or false, which may be written as text. null is False.

    Raises:
        ValueError: The value is none of these.
    """
    if value is None:
        return False
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _FLAGS:
        return _FLAGS[value.strip().lower()]
    raise ValueError(f"'{key}': expected 0 or 1, got {_shown(value)}")


def as_number(value: Any, key: str) -> float:
    """Convert a number, which may be written as text.

    Raises:
        ValueError: The value is not a number.
    """
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise ValueError(f"'{key}': expected a number, got {_shown(value)}")


def as_file_name(value: Any) -> str:
    r"""Convert a file name. ``a\b.jpg``, as Windows writes it, becomes ``a/b.jpg``.

    Raises:
        ValueError: The value is not text, or it is empty.
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"'file_name': expected a file name, got {_shown(value)}")
    return value.replace("\\", "/")


def id_column(values: Sequence[Any], key: str) -> np.ndarray:
    """Convert N ids to (N,) int64.

    Raises:
        ValueError: A value is not an id; see `as_id`.
    """
    read = values if all(type(value) is int for value in values) else [as_id(value, key) for value in values]
    try:
        return np.array(read, np.int64)
    except OverflowError:
        raise ValueError(f"'{key}': expected integers of at most 64 bits, got {_shown(max(read, key=abs))}") from None


def flag_column(values: Sequence[Any], key: str) -> np.ndarray:
    """Convert N flags to (N,) bool.

    Raises:
        ValueError: A value is not a flag; see `as_flag`.
    """
    return np.array([value if value is True else as_flag(value, key) if value else False for value in values], bool)


def box_column(values: Sequence[Any], key: str) -> np.ndarray:
    """Convert N boxes, lists of four numbers, to (N, 4) float32.

    Raises:
        ValueError: A value is not a list of four numbers.
    """
    wrong = [value for value in values if not isinstance(value, list | tuple) or len(value) != 4]
    if wrong:
        raise ValueError(f"'{key}': expected four numbers x, y, width, height, got {_shown(wrong[0])}")
    try:
        return np.array(values, np.float32).reshape(len(values), 4)
    except (TypeError, ValueError) as error:
        raise ValueError(f"'{key}': expected four numbers x, y, width, height ({error})") from None


def size_column(images: Sequence[dict[str, Any]]) -> np.ndarray:
    """Convert ``height`` and ``width`` of N entries of ``images`` to (N, 2) int32, in pixels.

    Raises:
        KeyError: An image has no ``height`` or no ``width``.
        ValueError: A value is not an integer, or not a possible size of an image.
    """
    columns = [id_column([image[key] for image in images], key) for key in ("height", "width")]
    sizes = np.stack(columns, axis=1)
    wrong = np.flatnonzero(np.any((sizes < 1) | (sizes > _LONGEST_SIDE), axis=1))
    if len(wrong):
        height, width = sizes[wrong[0]].tolist()
        raise ValueError(f"'height' and 'width': expected the size of an image in pixels, got {height} and {width}")
    return sizes.astype(np.int32)


def _shown(value: Any) -> str:
    """Return a value nearly as in JSON, shortened."""
    return {"None": "null"}.get(repr(value), repr(value)[:80])
