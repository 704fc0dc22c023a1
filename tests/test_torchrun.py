"""A training as users start it on several processes: it is killed on one of them, and goes on afterwards."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.layouts import ROOT
from tests.toy import make_toy

SECONDS = 600  # this much for what takes about 30 seconds alone on the machine


def command(work_dir: Path, iterations: int, *options: str) -> list[str]:
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]
    train = ["mmdataseg", "train", "dataseg_toy_3ds.py", "--launcher", "pytorch", "--work-dir", str(work_dir)]
    settings = [
        *("train_dataloader.batch_size=1", "train_dataloader.num_workers=1", "randomness.seed=0"),
        *("default_hooks.checkpoint.interval=3", "default_hooks.logger.interval=1"),
        *("train_cfg.val_interval=10000", f"train_cfg.max_iters={iterations}"),
    ]
    return [*start, *train, *options, "--cfg-options", *settings]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT)}


def wait_for(found, what: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + SECONDS
    while not found():
        assert process.poll() is None, f"ended before {what}"
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.2)


def process_of_rank(launcher: int, rank: int) -> int:
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    (found,) = (p for p in children if f"\0RANK={rank}\0".encode() in b"\0" + Path(f"/proc/{p}/environ").read_bytes())
    return int(found)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="the processes would take GPUs")
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the process of a rank in /proc")
def test_a_killed_rank_ends_the_others_in_one_sentence_and_the_run_resumes(tmp_path: Path) -> None:
    make_toy([str(tmp_path / "data/toy"), "--train-images", "4", "6", "6", "--val-images", "1"])
    work_dir, log = tmp_path / "work", tmp_path / "log.txt"
    with log.open("w") as output:
        run = subprocess.Popen(
            command(work_dir, 1000), cwd=tmp_path, env=environment(), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_for((work_dir / "last_checkpoint").is_file, "first checkpoint", run)
        os.kill(process_of_rank(run.pid, 1), signal.SIGKILL)
        code = run.wait(120)
    finally:
        run.kill()
    said = log.read_text()
    (line,) = (line for line in said.splitlines() if line.startswith("error: "))
    assert code != 0
    assert "rank 1 is gone (no sign of life for 10 seconds), so rank 0 of 2 stops" in line
    assert line.endswith("; then run the same command with --resume")

    step = int(Path((work_dir / "last_checkpoint").read_text()).stem.removeprefix("iter_"))
    resumed = subprocess.run(
        command(work_dir, step + 2, "--resume"), cwd=tmp_path, env=environment(), capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert f"Iter(train) [{step + 1}/{step + 2}]" in resumed.stdout + resumed.stderr
    assert (work_dir / f"iter_{step + 2}.pth").is_file()
