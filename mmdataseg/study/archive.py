"""The results of a study in one small file, to be kept with the page: on another machine the study goes on from it."""

import json
from collections.abc import Sequence
from pathlib import Path

from mmdataseg.study.run import SETTINGS, Run


def save(file: Path, runs: Sequence[Run]) -> None:
    """Write what is finished; no path of this machine is in it.

    Args:
        file: JSON: name of a config -> seed -> result.
        runs: All runs of the study.
    """
    results: dict[str, dict[str, dict]] = {}
    for run in runs:
        found = run.result()
        if found is not None:
            asked = {key: found["asked"][key] for key in SETTINGS}
            results.setdefault(run.name, {})[str(run.seed)] = {**found, "asked": asked}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results, indent=1) + "\n")


def restore(file: Path, runs: Sequence[Run]) -> int:
    """Give the runs that have no result here the ones of the file.

    Args:
        file: As `save` writes it; nothing happens if there is none.
        runs: All runs of the study.

    Returns:
        How many runs got a result.

    Raises:
        ValueError: The file is no JSON, or a result in it was made with other settings.
    """
    if not file.is_file():
        return 0
    try:
        results = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{file}: no results of a study: {error}; delete the file, or give another --page") from error
    missing = [run for run in runs if run.result() is None]
    archived = {run: results.get(run.name, {}).get(str(run.seed)) for run in missing}
    # the file has no weights: what others are still to be tested with has to be trained again
    needed = {run.weights_of for run, found in archived.items() if found is None}
    count = 0
    for run, found in archived.items():
        if found is None or run.folder in needed:
            continue
        for key, (there, wanted) in run.differences(found).items():
            raise ValueError(
                f"{file}: {run.name}, seed {run.seed}, made with {key} {there!r}, asked for {wanted!r}; "
                "give another --page, or delete the file"
            )
        run.write(found)
        count += 1
    return count
