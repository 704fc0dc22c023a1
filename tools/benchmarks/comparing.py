"""Ours and a yardstick on the same inputs: alternating runs in one process, peak memory in a fresh one each."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

SIDES = ("ours", "theirs")
MIB = 1 << 20
_CLEAR_REFS = Path("/proc/self/clear_refs")


class Missing(Exception):
    """A yardstick that is not installed, or cannot run here; its message is the reason."""


@dataclass(frozen=True)
class Setting:
    """What a preset and the command line choose.

    Attributes:
        size: Pixels of the side of a training image.
        batch: Images of a training batch.
        queries: Proposals.
        targets: Annotated segments of an image.
        answer: (height, width) of the image on disk, for post-processing and metrics.
        images: Images of the benchmarks of data and metrics.
        annotations: (images, boxes) of the generated annotation file.
        rounds: Alternating pairs of runs.
        device: ``cpu`` or ``cuda``.
    """

    size: int = 512
    batch: int = 1
    queries: int = 100
    targets: int = 20
    answer: tuple[int, int] = (512, 1024)
    images: int = 8
    annotations: tuple[int, int] = (2_000, 30_000)
    rounds: int = 5
    device: str = "cpu"


PRESETS = {
    "tiny": Setting(size=64, queries=8, targets=3, answer=(48, 64), images=2, annotations=(60, 500), rounds=1),
    "small": Setting(),
    "paper": Setting(size=1024, batch=2, answer=(1024, 2048), images=32, annotations=(200_000, 3_000_000)),
}


@dataclass(frozen=True)
class Comparison:
    """Two functions that do the same.

    Attributes:
        name: Of the row.
        yardstick: Whose the other function is.
        prepare: Makes both functions, ``ours`` and ``theirs``, on the same inputs.
        sizes: What the inputs are, for the table.

    Raises:
        Missing: Of ``prepare``, where the yardstick is not there.
    """

    name: str
    yardstick: str
    prepare: Callable[[], Mapping[str, Callable[[], Any]]]
    sizes: str


@dataclass(frozen=True)
class Result:
    """A row: seconds of each run, and MiB above what the process had before it.

    Attributes:
        name: Of the comparison.
        yardstick: Of the comparison.
        sizes: Of the comparison.
        seconds: For each side the seconds of each round, of processors' time on a CPU, else of the clock.
        memory: For each side MiB; empty where it was not measured.
        skipped: Why there is nothing; else empty.
    """

    name: str
    yardstick: str
    sizes: str
    seconds: Mapping[str, Sequence[float]] = field(default_factory=dict)
    memory: Mapping[str, float] = field(default_factory=dict)
    skipped: str = ""

    @property
    def ratio(self) -> float:
        """Median of ours to median of theirs."""
        ours, theirs = (statistics.median(self.seconds[side]) for side in SIDES)
        return ours / theirs

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the largest ratio of one round."""
        ratios = [a / b for a, b in zip(*(self.seconds[side] for side in SIDES), strict=True)]
        return min(ratios), max(ratios)

    @property
    def memory_ratio(self) -> float | None:
        """Of ours to theirs; None where it was not measured, or theirs took nothing that can be seen."""
        return self.memory["ours"] / self.memory["theirs"] if self.memory.get("theirs", 0) >= 1 else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        measured = {} if self.skipped else {"ratio": self.ratio, "spread": self.spread, "peak": self.memory_ratio}
        return {**asdict(self), **measured}


def compare(comparison: Comparison, setting: Setting) -> Result:
    """Time both sides by turns: in even rounds ours first, in odd ones theirs.

    Args:
        comparison: What to run.
        setting: For the rounds and the device.

    Returns:
        The row; a reason, where the yardstick is missing.
    """
    try:
        sides = comparison.prepare()
    except Missing as reason:
        return Result(comparison.name, comparison.yardstick, comparison.sizes, skipped=str(reason))
    for side in SIDES:
        sides[side]()  # what is made at the first call is not counted
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    for turn in range(setting.rounds):
        for side in SIDES if turn % 2 == 0 else reversed(SIDES):
            seconds[side].append(_seconds(sides[side], setting.device))
    return Result(comparison.name, comparison.yardstick, comparison.sizes, seconds)


def _seconds(call: Callable[[], Any], device: str) -> float:
    clock = time.process_time if device == "cpu" else time.perf_counter
    if device != "cpu":
        torch.cuda.synchronize()
    start = clock()
    call()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def peak_memory(call: Callable[[], Any], device: str) -> float:
    """MiB that a call takes above what there was before it; in a process of its own, or the last call's is counted.

    Args:
        call: Called once, for the first time.
        device: Whose memory.

    Returns:
        MiB.
    """
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - before) / MIB
    try:
        _CLEAR_REFS.write_text("5")  # the peak begins anew
    except OSError as error:
        raise Missing(f"the peak memory cannot be reset: {error}") from error
    before = _status("VmRSS")
    call()
    return max(0, _status("VmHWM") - before) / 1024


def _status(field_name: str) -> int:
    """KiB, of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field_name}:"):
            return int(line.split()[1])
    raise Missing(f"this system does not tell {field_name} of a process")


def memory_of(name: str, subcommand: str, arguments: Sequence[str], script: Path) -> dict[str, float]:
    """Peak memory of both sides of a comparison, each in a fresh process.

    Args:
        name: Of the comparison.
        subcommand: Of the benchmark that has it.
        arguments: Of the command line, that choose the same sizes.
        script: The command.

    Returns:
        MiB of each side; empty where it cannot be measured.
    """
    found = {}
    for side in SIDES:
        command = [sys.executable, str(script), subcommand, *arguments, "--memory-of", name, side]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
        lines = done.stdout.splitlines()
        if done.returncode or not lines:
            print(f"{name}: no peak memory of {side}: {(done.stderr.splitlines() or ['?'])[-1]}", file=sys.stderr)
            return {}
        found[side] = json.loads(lines[-1])["peak"]
    return found
