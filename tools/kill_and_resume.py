"""Kill a training at random times, resume it, and compare its losses with those of a run that was never killed.

    python -m projects.toy.make_toy data/toy
    python tools/kill_and_resume.py dataseg_toy_3ds.py --iterations 60 --kills 30

Each kill sends SIGKILL to all processes of the training. About a third of the kills come at a random time, a third
while a checkpoint is written, and a third while the cache of an annotation file is built, if the config has such
sources. The exit code is 1 if a loss is missing or differs, or if a run cannot be resumed.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmdataseg.apis.parsers import Parser
from mmdataseg.apis.runs import load_config

MOMENTS = ("any time", "saving", "building the cache")
POLL = 0.002  # seconds
LOST = 600  # seconds until a process is killed that neither ends nor reaches its moment


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        moment: One of `MOMENTS`, or "none" if the training ended first.
        iteration: Last iteration that was logged before the kill.
        seconds: Time since the start of the process, in seconds.
    """

    moment: str
    iteration: int
    seconds: float


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = build_parser().parse_args(argv)
    folder = Path(args.work_dir)
    config = write_config(args, folder)
    print(f"reference: {args.iterations} iterations without a kill", flush=True)
    start = time.monotonic()
    train(config, folder / "reference")
    seconds = time.monotonic() - start
    expected = losses(folder / "reference")
    if len(expected) != args.iterations:
        sys.exit(f"the reference logged {len(expected)} of {args.iterations} iterations; see {folder}/reference.log")
    kills: list[Kill] = []
    faults: list[str] = []
    rng = random.Random(args.seed)
    trial = 0
    while len(kills) < args.kills:
        work_dir = folder / f"trial_{trial}"
        left = min(args.kills - len(kills), rng.randint(2, 5))
        kills += kill_and_resume(config, work_dir, left, seconds, rng)
        faults += [f"{work_dir.name}: {fault}" for fault in differences(expected, losses(work_dir))]
        trial += 1
        print(f"{len(kills)} of {args.kills} kills in {trial} trainings, {len(faults)} faults", flush=True)
    print(report(kills, trial, args.iterations, faults))
    sys.exit(1 if faults else 0)


def build_parser() -> Parser:
    """Build the parser of the command."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="path of a config, or the file name of one of mmdataseg's own")
    parser.add_argument("--iterations", type=int, default=60, help="length of the training (default: %(default)s)")
    parser.add_argument("--interval", type=int, default=5, help="iterations between checkpoints (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=30, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes that load data (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the kill times (default: %(default)s)")
    parser.add_argument("--work-dir", default="work_dirs/kill_and_resume", help="(default: %(default)s)")
    return parser


def write_config(args: argparse.Namespace, folder: Path) -> Path:
    """Write the config of all runs: few iterations, a fixed seed, checkpoints, a log per iteration, and caches."""
    cfg = load_config(args.config)
    cfg.randomness = {"seed": 0}
    cfg.train_cfg.max_iters = args.iterations
    cfg.train_cfg.val_interval = args.iterations + 1
    cfg.train_dataloader.num_workers = args.workers
    cfg.train_dataloader.persistent_workers = args.workers > 0
    cfg.train_dataloader.batch_sampler.batch_size = args.batch_size
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    cfg.default_hooks.checkpoint.update(interval=args.interval, max_keep_ckpts=2)
    cfg.default_hooks.logger.interval = 1
    cfg.log_processor = {"type": "LogProcessor", "window_size": 1, "by_epoch": False}
    cfg.work_dir = None
    for source in cfg.train_dataloader.dataset.sources:
        if "InstanceSegDataset" in source.train.type:
            source.train.cache_dir = os.path.relpath(folder / "cache", source.train.get("data_root", ""))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.py"
    Config(cfg.to_dict()).dump(path)
    return path


def start(config: Path, work_dir: Path) -> subprocess.Popen[bytes]:
    """Start or resume a training in its own process group."""
    command = [sys.executable, "-m", "mmdataseg", "train", str(config), "--work-dir", str(work_dir), "--resume"]
    with work_dir.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def train(config: Path, work_dir: Path) -> None:
    """Train to the end.

    Raises:
        SystemExit: The training failed.
    """
    process = start(config, work_dir)
    if process.wait():
        sys.exit(f"the training in {work_dir} failed; see {work_dir.with_suffix('.log')}")


def kill_and_resume(config: Path, work_dir: Path, count: int, seconds: float, rng: random.Random) -> list[Kill]:
    """Kill and resume a training several times, then let it finish.

    Args:
        config: Config of the training.
        work_dir: New work_dir for the training.
        count: Number of kills.
        seconds: Duration of the training without a kill.
        rng: Random generator for the moments and times of the kills.

    Returns:
        The kills.

    Raises:
        SystemExit: The training cannot be resumed.
    """
    kills = []
    cache = config.parent / "cache"
    for _ in range(count):
        moment = rng.choice(MOMENTS)
        if moment == "building the cache":
            for file in [file for file in cache.rglob("*") if file.is_file()]:
                file.unlink()
        began = time.monotonic()
        process = start(config, work_dir)
        waits = {
            "any time": _until(began + rng.uniform(0, seconds)),
            "saving": _change_of(lambda: sorted((p.name, p.stat().st_size) for p in work_dir.glob("*.pth*"))),
            "building the cache": _change_of(lambda: sorted(str(file) for file in cache.rglob("*"))),
        }
        wait = waits[moment]
        while process.poll() is None and not next(wait):
            if time.monotonic() - began > LOST:
                break
            time.sleep(POLL)
        ended = process.poll()
        if ended is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        elif ended != 0:
            sys.exit(f"the training in {work_dir} cannot be resumed; see {work_dir.with_suffix('.log')}")
        logged = max(losses(work_dir), default=0)
        kills.append(Kill(moment if ended is None else "none", logged, time.monotonic() - began))
    train(config, work_dir)
    return kills


def _until(when: float) -> Iterator[bool]:
    while True:
        yield time.monotonic() >= when


def _change_of(state: Callable[[], Any]) -> Iterator[bool]:
    """Yield True once the state differs from the state at the first call."""
    first = None
    while True:
        try:
            now = state()
        except FileNotFoundError:  # renamed or removed while it was listed: a change
            now = None
        if first is None:
            first = now if now is not None else ()
            yield False
            continue
        yield now != first


def losses(work_dir: Path) -> dict[int, set[str]]:
    """Read the losses of each iteration from the logs of a training.

    Args:
        work_dir: The work_dir of the training, which may have been resumed any number of times.

    Returns:
        Iteration -> all different losses that were logged for it, as JSON. There is one if all attempts agree.
    """
    found: dict[int, set[str]] = {}
    for file in work_dir.glob("*/vis_data/scalars.json"):
        for line in file.read_text().splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:  # cut by a kill
                continue
            values = {key: value for key, value in entry.items() if "loss" in key or key == "grad_norm"}
            if values:
                found.setdefault(entry["step"], set()).add(json.dumps(values, sort_keys=True))
    return found


def differences(expected: dict[int, set[str]], found: dict[int, set[str]]) -> Iterator[str]:
    """Compare the losses of two runs, bit for bit.

    Args:
        expected: `losses` of the run without a kill.
        found: `losses` of the other run.

    Yields:
        One sentence per iteration that differs.
    """
    for iteration, wanted in expected.items():
        if iteration not in found:
            yield f"iteration {iteration} is missing"
        elif found[iteration] != wanted:
            yield f"iteration {iteration}: expected {sorted(wanted)}, got {sorted(found[iteration])}"


def report(kills: Sequence[Kill], trainings: int, iterations: int, faults: Sequence[str]) -> str:
    """Return a summary of the kills and the faults, in a few lines."""
    counts = {moment: sum(kill.moment == moment for kill in kills) for moment in (*MOMENTS, "none")}
    lines = [
        f"{len(kills) - counts['none']} kills in {trainings} trainings of {iterations} iterations: "
        + ", ".join(f"{counts[moment]} {moment}" for moment in MOMENTS)
        + (f"; {counts['none']} trainings ended before their kill" if counts["none"] else ""),
        f"killed after iteration {', '.join(str(kill.iteration) for kill in kills)}",
        f"{len(faults)} faults" if faults else "every loss of every iteration equals that of the run without a kill",
    ]
    return "\n".join([*lines, *faults])


if __name__ == "__main__":
    main()
