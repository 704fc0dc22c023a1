"""Warn of more threads than idle cores.

PyTorch starts a thread per core. Where other programs use the cores, the threads wait for each other in every
operation, and an iteration can take ten times as long as on one thread (docs/getting_started.md).

The number of threads is not changed here. Sums on several threads are rounded in another order, so a number that
depends on the load would make runs of one seed differ, and a resumed run differ from one that was not stopped.
"""

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # that of the container
_IDLE, _WAITING = 4, 5  # columns of a core's line in _STAT: idle, and idle while a disk is read
_SECONDS = 0.2
_ENOUGH = 0.75  # idle cores per thread below which the user is warned


def crowded_threads(device: str) -> str | None:
    """Return a warning if torch has more threads than there are idle cores.

    Args:
        device: Where the network runs, such as ``cpu`` or ``cuda:0``.

    Returns:
        None if the cores suffice, on a GPU, if the user chose the number of threads, or if the system does not tell how
        busy it is.
    """
    import torch

    threads = torch.get_num_threads()
    if device != "cpu" or threads == 1 or "OMP_NUM_THREADS" in os.environ:
        return None
    idle = idle_cores()
    if idle is None or idle >= _ENOUGH * threads:
        return None
    return (
        f"PyTorch uses {threads} threads, but only {idle:.1f} cores are idle. While other programs use the cores, the "
        "threads wait for each other, and everything can take ten times as long. If they keep running, start this "
        f"command again with OMP_NUM_THREADS={max(1, int(idle))}. Results then differ by rounding."
    )


def idle_cores() -> float | None:
    """Measure for a fifth of a second how many of the cores that this process may use are idle.

    Returns:
        Their number, at most the limit of the container; None if the system does not tell.
    """
    before = _idle_ticks()
    if not before:
        return None
    start = time.monotonic()
    time.sleep(_SECONDS)
    after = _idle_ticks()
    ticks = (time.monotonic() - start) * os.sysconf("SC_CLK_TCK")
    idle = sum(min((after[core] - before[core]) / ticks, 1) for core in before if core in after)
    return min(idle, _core_limit())


def _idle_ticks() -> dict[int, int]:
    """Return core -> its idle time since the start of the system; empty where the system is not Linux."""
    if not _STAT.is_file():
        return {}
    usable = os.sched_getaffinity(0)
    lines = (line.split() for line in _STAT.read_text(encoding="utf-8").splitlines())
    cores = {int(line[0][3:]): line for line in lines if line and line[0][:3] == "cpu" and line[0][3:].isdecimal()}
    return {core: int(line[_IDLE]) + int(line[_WAITING]) for core, line in cores.items() if core in usable}


def _core_limit() -> float:
    if not _QUOTA.is_file():
        return float("inf")
    quota, period = _QUOTA.read_text(encoding="utf-8").split()
    return float("inf") if quota == "max" else int(quota) / int(period)
