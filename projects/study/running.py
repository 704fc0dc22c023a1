"""Executes many runs, several at a time, each in its own process. Finished runs are not repeated."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from mmdataseg.progress import progress_bar
from projects.study.run import Run

LOG = "log.txt"


def run_all(
    runs: Sequence[Run],
    *,
    jobs: int = 1,
    env: Mapping[str, str] | None = None,
    finished: Callable[[], None] = lambda: None,
) -> list[Run]:
    """Execute the runs that have no result yet, in order.

    A progress bar counts the iterations of all runs. The output of a run goes to ``log.txt`` in its folder. An
    interruption stops the processes; the next call continues from their last checkpoints.

    Args:
        runs: All runs of the study.
        jobs: Number of runs at a time.
        env: Environment variables for the runs, in addition to those of this process.
        finished: Called after each run that ends with a result.

    Returns:
        The runs that failed.

    Raises:
        UserError: A folder has a run with other settings.
    """
    waiting = [run for run in runs if run.result() is None]
    print(f"{len(runs)} runs, {len(runs) - len(waiting)} of them finished")
    before = {run: run.step() for run in waiting}
    total = sum(max(run.iterations - step, 0) for run, step in before.items())
    failed: list[Run] = []
    active: dict[Run, subprocess.Popen] = {}
    done = 0
    with progress_bar(total=total, unit="iterations", disable=not waiting) as bar:
        try:
            while waiting or active:
                for run in _startable(waiting, active)[: jobs - len(active)]:
                    waiting.remove(run)
                    active[run] = _start(run, env or {})
                time.sleep(0.5)
                for run in [run for run, process in active.items() if process.poll() is not None]:
                    code = active.pop(run).returncode
                    done += run.iterations - before[run]
                    if code or run.result() is None:
                        failed.append(run)
                        bar.write(f"{run.name}, seed {run.seed}: FAILED, see {Path(run.folder, LOG)}")
                    else:
                        bar.write(f"{run.name}, seed {run.seed}: finished")
                        finished()
                bar.set_postfix_str(", ".join(f"{run.name} seed {run.seed}" for run in active), refresh=False)
                bar.update(done + sum(max(run.step() - before[run], 0) for run in active) - bar.n)
        finally:
            for process in active.values():
                process.terminate()
            for process in active.values():
                process.wait()
    return failed


def _startable(waiting: Sequence[Run], active: Iterable[Run]) -> list[Run]:
    """Return the runs that do not wait for another run's weights."""
    unfinished = {run.folder for run in (*waiting, *active)}
    return [run for run in waiting if run.weights_of not in unfinished]


def _start(run: Run, env: Mapping[str, str]) -> subprocess.Popen:
    folder = Path(run.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "projects.study.run", json.dumps(asdict(run))],
            env={**os.environ, **env},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
