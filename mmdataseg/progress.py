"""Progress bars that suit a terminal and a log file."""

import sys
from typing import Any

from tqdm import tqdm

_SECONDS = 60.0


def progress_bar(*args: Any, unit: str = "", **options: Any) -> tqdm:
    """tqdm's bar; where the output is not a terminal, and every update remains as a line, at most one update per
    minute.

    Args:
        args: tqdm's positional arguments, such as the iterable.
        unit: What is counted, in the plural.
        options: tqdm's keyword arguments.
    """
    if not sys.stderr.isatty():
        options = {"mininterval": _SECONDS, "maxinterval": _SECONDS, "ascii": True, **options}
    return tqdm(*args, unit=f" {unit}" if unit else "", **options)
