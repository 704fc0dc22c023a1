"""Compare our code with an alternative on the same inputs: alternating runs in a process for each row, peak memory in
fresh processes."""

import ctypes
import gc
import json
import logging
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from tools.benchmarks.apart import Died, apart, died

SIDES = ("ours", "theirs")
MIB = 1 << 20
# how often a row is run, if --rounds is not given
SECONDS = 3.0  # its counted runs take at least this long together,
MOST_ROUNDS = 50  # if this number is enough
_CLEAR_REFS = Path("/proc/self/clear_refs")


class Missing(Exception):
    """An alternative is not installed, or cannot run here; the message is the reason."""


@dataclass(frozen=True)
class Setting:
    """The sizes and options that a preset and the command line give.

    Attributes:
        size: Side of a training image, in pixels.
        batch: Images per training batch.
        queries: Number of proposals.
        targets: Annotated segments per image.
        answer: (height, width) of the image on disk, for post-processing and metrics.
        images: Images of the benchmarks of data and metrics.
        annotations: (images, boxes) of the generated annotation file.
        rounds: Alternating pairs of runs, after one that is not counted. None: as many as take `SECONDS`, at least one.
        device: ``cpu`` or ``cuda``.
        threads: torch's number of threads. None: its own choice.
    """

    size: int = 512
    batch: int = 1
    queries: int = 100
    targets: int = 20
    answer: tuple[int, int] = (512, 1024)
    images: int = 8
    annotations: tuple[int, int] = (2_000, 30_000)
    rounds: int | None = None
    device: str = "cpu"
    threads: int | None = None


PRESETS = {
    "tiny": Setting(size=64, queries=8, targets=3, answer=(48, 64), images=2, annotations=(60, 500), rounds=1),
    "small": Setting(),
    "paper": Setting(size=1024, batch=2, answer=(1024, 2048), images=32, annotations=(200_000, 3_000_000)),
}


@dataclass(frozen=True)
class Comparison:
    """Two functions that compute the same.

    Attributes:
        name: Name of the row.
        yardstick: Name of the alternative.
        prepare: Makes both functions, ``ours`` and ``theirs``, on the same inputs.
        sizes: Description of the inputs, for the table.
        in_all: Whether ``all`` has this row, too.

    Raises:
        Missing: Raised by ``prepare`` if the alternative is not available.
    """

    name: str
    yardstick: str
    prepare: Callable[[], Mapping[str, Callable[[], Any]]]
    sizes: str
    in_all: bool = True


@dataclass(frozen=True)
class Result:
    """A row of the table: the seconds of each run, and the MiB that a call adds to the process.

    Without seconds, nothing was measured: the row was skipped or failed.

    Attributes:
        name: As in `Comparison`.
        yardstick: As in `Comparison`.
        sizes: As in `Comparison`.
        seconds: For each side the seconds of each round: on a CPU, processor time with that of workers; otherwise
            wall-clock time.
        memory: For each side MiB; empty if not measured.
        skipped: Why the alternative is missing; otherwise empty.
        failed: Why the process of the row ended; otherwise empty.
        wall_seconds: Wall-clock time of the row's process, with the preparation and all runs.
    """

    name: str
    yardstick: str
    sizes: str
    seconds: Mapping[str, Sequence[float]] = field(default_factory=dict)
    memory: Mapping[str, float] = field(default_factory=dict)
    skipped: str = ""
    failed: str = ""
    wall_seconds: float = 0.0

    @property
    def ratio(self) -> float:
        """Ratio of our median to theirs."""
        ours, theirs = (statistics.median(self.seconds[side]) for side in SIDES)
        return ours / theirs

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest ratio of a round."""
        ratios = [a / b for a, b in zip(*(self.seconds[side] for side in SIDES), strict=True)]
        return min(ratios), max(ratios)

    @property
    def memory_ratio(self) -> float | None:
        """Ratio of our memory to theirs; None if it was not measured, or theirs was too small to measure."""
        return self.memory["ours"] / self.memory["theirs"] if self.memory.get("theirs", 0) >= 1 else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        measured = {"ratio": self.ratio, "spread": self.spread, "peak": self.memory_ratio} if self.seconds else {}
        return {**asdict(self), **measured}


def temporary_folder() -> Path:
    """Return a new folder, for use inside of `folder_of_temporary_files`, which removes it."""
    return Path(tempfile.mkdtemp())


@contextmanager
def folder_of_temporary_files() -> Iterator[None]:
    """Put all temporary files, also those of forked processes, into one folder, which is removed at the end."""
    usual = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="mmdataseg-benchmark-") as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = usual


def measure(comparison: Comparison, setting: Setting) -> Result:
    """Compare in a process of its own: memory that other rows have freed would change the times.

    Returns:
        The row, with a reason if the alternative is missing or the process failed.
    """
    start = time.perf_counter()
    try:
        result = apart(_compare_quietly, comparison, setting)
    except Died as reason:
        result = Result(comparison.name, comparison.yardstick, comparison.sizes, failed=str(reason))
    return replace(result, wall_seconds=time.perf_counter() - start)


def _compare_quietly(comparison: Comparison, setting: Setting) -> Result:
    """`compare` without the warnings that each row's process would repeat."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    return compare(comparison, setting)


def compare(comparison: Comparison, setting: Setting) -> Result:
    """Time both sides alternately: in even rounds ours first, in odd rounds theirs.

    The first round is not counted, because some things are made only then.

    Args:
        comparison: The functions to run.
        setting: Gives the rounds, the device and the threads.

    Returns:
        The row, with a reason if the alternative is missing.
    """
    set_threads(setting)
    try:
        sides = comparison.prepare()
    except Missing as reason:
        return Result(comparison.name, comparison.yardstick, comparison.sizes, skipped=str(reason))
    for side in SIDES:
        sides[side]()
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    while not _enough(seconds, setting.rounds):
        turn = len(seconds["ours"])
        for side in SIDES if turn % 2 == 0 else reversed(SIDES):
            seconds[side].append(_seconds(sides[side], setting.device))
    return Result(comparison.name, comparison.yardstick, comparison.sizes, seconds)


def set_threads(setting: Setting) -> None:
    """Set torch's number of threads. Not before a fork: it may start threads, which do not survive it."""
    if setting.threads is not None:
        torch.set_num_threads(setting.threads)


def _enough(seconds: Mapping[str, Sequence[float]], rounds: int | None) -> bool:
    done = len(seconds["ours"])
    if rounds is not None:
        return done == rounds
    return done == MOST_ROUNDS or sum(map(sum, seconds.values())) >= SECONDS


def _processor_time() -> float:
    """Seconds of this process and of the processes that it has waited for, such as workers of a loader."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _seconds(call: Callable[[], Any], device: str) -> float:
    clock = _processor_time if device == "cpu" else time.perf_counter
    if device != "cpu":
        torch.cuda.synchronize()
    start = clock()
    call()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def peak_memory(call: Callable[[], Any], device: str) -> float:
    """The MiB that a call adds at its peak. Use a new process for each call: the peak of an earlier call would count
    too.

    Args:
        call: Called once, for the first time.
        device: The device whose memory is measured.

    Returns:
        MiB.
    """
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - before) / MIB
    _return_free_memory()
    try:
        _CLEAR_REFS.write_text("5")  # reset the peak
    except OSError as error:
        raise Missing(f"the peak memory cannot be reset: {error}") from error
    before = _status("VmRSS")
    call()
    return max(0, _status("VmHWM") - before) / 1024


def _return_free_memory() -> None:
    """Return freed memory to the system; the call would use it again without adding to the process."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)


def _status(field_name: str) -> int:
    """A field of this process's status, in KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field_name}:"):
            return int(line.split()[1])
    raise Missing(f"this system does not report {field_name} of a process")


def memory_of(name: str, subcommand: str, arguments: Sequence[str], script: Path) -> dict[str, float]:
    """Peak memory of both sides of a comparison, each in a fresh process.

    A forked process is not used: it maps the libraries' pages anew, and those that the call needs would count.

    Args:
        name: Name of the comparison.
        subcommand: Subcommand that has the comparison.
        arguments: Arguments of the command line that give the same sizes.
        script: Path of the command.

    Returns:
        MiB of each side; empty if it cannot be measured.
    """
    found = {}
    for side in SIDES:
        command = [sys.executable, str(script), subcommand, *arguments, "--memory-of", name, side]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
        lines = done.stdout.splitlines()
        if done.returncode or not lines:
            why = died(done.returncode) if done.returncode < 0 else (done.stderr.splitlines() or ["?"])[-1]
            print(f"{name}: no peak memory of {side}: {why}", file=sys.stderr)
            return {}
        found[side] = json.loads(lines[-1])["peak"]
    return found
