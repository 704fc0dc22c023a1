"""Progress bars for terminals and log files."""

import sys
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
