"""The results of a study in one small file beside its page, from which the study continues on another machine."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmdataseg.errors import UserError
from mmdataseg.formats.whole_files import write_whole
from projects.study.run import SETTINGS, Run

Archive = dict[str, dict[str, dict[str, Any]]]
"""Name of a row -> seed -> result."""


def load(file: Path) -> Archive:
    """Read the file; the result is empty if there is no file.

    Raises:
        UserError: The file is not valid JSON.
    """
    if not file.is_file():
        return {}
    try:
        return json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise UserError(
            f"not valid JSON ({error})", file=file, remedy="delete the file, or give another --page"
        ) from error


def save(file: Path, runs: Sequence[Run]) -> Archive:
    """Add the finished runs to the file, without paths of this machine. Results of other runs in the file are kept.

    Args:
        file: The JSON file.
        runs: All runs of the study.

    Returns:
        The content of the file.

    Raises:
        UserError: As in `load`.
    """
    results = load(file)
    for run in runs:
        found = run.result()
        if found is not None:
            asked = {key: found["asked"][key] for key in SETTINGS}
            results.setdefault(run.name, {})[str(run.seed)] = {**found, "asked": asked}
    write_whole(file, json.dumps(results, indent=1) + "\n")
    return results


def check(file: Path, runs: Sequence[Run]) -> None:
    """Check that a study may continue from the file, so that no page mixes settings.

    Args:
        file: The file that `save` wrote; nothing is checked if there is none.
        runs: All runs of the study.

    Raises:
        UserError: The file is not valid JSON, or has a result with other settings, of any seed.
    """
    results = load(file)
    for run in runs:
        for seed, found in results.get(run.name, {}).items():
            for key, (there, wanted) in run.differences(found).items():
                raise UserError(
                    f"{run.name}, seed {seed}, was run with {key} {there!r}, but this study has {wanted!r}",
                    file=file,
                    remedy=f"use the same {key}, or give another --page",
                )


def restore(file: Path, runs: Sequence[Run]) -> int:
    """Copy results from the file to the runs that have none here.

    A run whose weights are still needed to test another run gets no result and is trained again, because the file has
    no weights.

    Args:
        file: The file that `save` wrote; nothing happens if there is none.
        runs: The requested runs.

    Returns:
        The number of runs that got a result.

    Raises:
        UserError: As in `load`.
    """
    results = load(file)
    missing = [run for run in runs if run.result() is None]
    archived = {run: results.get(run.name, {}).get(str(run.seed)) for run in missing}
    needed = {run.weights_of for run, found in archived.items() if found is None}
    taken = [run for run, found in archived.items() if found is not None and run.folder not in needed]
    for run in taken:
        run.write(archived[run])
    return len(taken)
