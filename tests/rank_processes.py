"""Starts several processes that work together, and waits for them."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def run_ranks(module: str, world_size: int, arguments: Sequence[str], repo_root: Path, **environment: str) -> None:
    """Run a module once for each rank, with the rank and the arguments. A hang or another exit code than 0 fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", **environment}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", module, str(rank), *arguments],
            cwd=repo_root, env=environment, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(world_size)
    ]  # fmt: skip
    try:
        errors = [process.communicate(timeout=400)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * world_size, "\n".join(errors)[-4000:]
