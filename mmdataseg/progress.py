"""Progress bars that suit a terminal and a log file."""

import sys
from typing import Any

from tqdm import tqdm

_SECONDS = 60.0


def progress_bar(*args: Any, unit: str = "", **options: Any) -> tqdm:
    """tqdm's bar on a terminal; elsewhere, where each of its states stays, at most one a minute.

    Args:
        args: As for tqdm: what to walk over.
        unit: Of what is counted, in the plural.
        options: As for tqdm.
    """
    if not sys.stderr.isatty():
        options = {"mininterval": _SECONDS, "maxinterval": _SECONDS, "ascii": True, **options}
    return tqdm(*args, unit=f" {unit}" if unit else "", **options)
