"""Progress bars for terminals and log files, and text for counts and long lists of names."""

import sys
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

_SECONDS = 60.0


def progress_bar(*args: Any, unit: str = "", **options: Any) -> tqdm:
    """Return a tqdm bar. Outside a terminal, where every update is a new line, it updates at most once per minute.

    Args:
        args: tqdm's positional arguments, such as the iterable.
        unit: Unit of the count, in the plural.
        options: tqdm's keyword arguments.
    """
    if not sys.stderr.isatty():
        options = {"mininterval": _SECONDS, "maxinterval": _SECONDS, "ascii": True, **options}
    return tqdm(*args, unit=f" {unit}" if unit else "", **options)


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun. Without ``many``, the plural takes an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def first_names(names: Sequence[str], number: int = 8) -> str:
    """Return the first names of a list, and how many others there are: ``a, b and 3 more``."""
    more = f" and {len(names) - number} more" if len(names) > number else ""
    return f"{', '.join(names[:number])}{more}"
