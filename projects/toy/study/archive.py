"""The results of a study in one small file, to be kept with the page: on another machine the study goes on from it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmdataseg.formats.whole_files import write_whole
from projects.toy.study.run import SETTINGS, Run

Archive = dict[str, dict[str, dict[str, Any]]]
"""Name of a config -> seed -> result."""


def load(file: Path) -> Archive:
    """Read the file; nothing if there is none.

    Raises:
        ValueError: It is no JSON.
    """
    if not file.is_file():
        return {}
    try:
        return json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{file}: no results of a study: {error}; delete the file, or give another --page") from error


def save(file: Path, runs: Sequence[Run]) -> Archive:
    """Add what is finished; what stands in the file and is not finished here stays. No path of this machine is in it.

    Args:
        file: JSON.
        runs: All runs of the study.

    Returns:
        What stands in the file now.

    Raises:
        ValueError: As `load`.
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
    """Check that a study may go on from the file, so that no page mixes settings.

    Args:
        file: As `save` writes it; nothing to check if there is none.
        runs: All runs of the study.

    Raises:
        ValueError: As `load`; or a result in it was made with other settings, of these or of other seeds.
    """
    results = load(file)
    for run in runs:
        for seed, found in results.get(run.name, {}).items():
            for key, (there, wanted) in run.differences(found).items():
                raise ValueError(
                    f"{file}: {run.name}, seed {seed}, made with {key} {there!r}, asked for {wanted!r}; "
                    "ask for that, or give another --page"
                )


def restore(file: Path, runs: Sequence[Run]) -> int:
    """Give the runs that have no result here the ones of the file.

    Those whose weights another of the runs still has to be tested with get none: the file has no weights, they are
    trained again.

    Args:
        file: As `save` writes it; nothing happens if there is none.
        runs: Those that are asked for.

    Returns:
        How many runs got a result.

    Raises:
        ValueError: As `load`.
    """
    results = load(file)
    missing = [run for run in runs if run.result() is None]
    archived = {run: results.get(run.name, {}).get(str(run.seed)) for run in missing}
    needed = {run.weights_of for run, found in archived.items() if found is None}
    taken = [run for run, found in archived.items() if found is not None and run.folder not in needed]
    for run in taken:
        run.write(archived[run])
    return len(taken)
