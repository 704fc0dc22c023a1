"""The losses of a training's first iterations in double precision: does a change of the code change a result?

    python tools/first_losses.py projects/toy/configs/dataseg_toy_3ds.py before.json
    python tools/first_losses.py projects/toy/configs/dataseg_toy_3ds.py after.json --against before.json

In single precision, another order of sums changes a loss in the seventh digit. Within a few iterations, that changes
which proposals are matched and which points are drawn, and the losses differ by percents. In double precision the
rounding is too small for that: code that computes the same gives the same losses to about nine digits. A change that
draws the points of the masks in another order is compared with --same-points in both runs: every mask then has the same
points.

The training is that of the config, from the weights of its seed, on the CPU, without saving or validation. With
PYTHONPATH=FOLDER, the package in the clone of another commit is used.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

ROOMS = ("models", "datasets", "evaluation", "engine")
LIMIT = 1e-5  # largest relative difference that is called the same


class _Recorder(Hook):
    """Gives the model boxes in double precision, and keeps its losses."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:  # noqa: ARG002
        for sample in data_batch["data_samples"]:
            if "bboxes" in sample.gt_instances:
                sample.gt_instances.bboxes = sample.gt_instances.bboxes.double()

    def after_train_iter(
        self,
        runner: Runner,  # noqa: ARG002
        batch_idx: int,
        data_batch: Any = None,  # noqa: ARG002
        outputs: Any = None,
    ) -> None:
        self.losses.append(float(outputs["loss"].detach()))
        print(f"{batch_idx:4d}  {self.losses[-1]!r}", flush=True)


def first_losses(config: Config, iterations: int, *, same_points: bool = False) -> list[float]:
    """Train for some iterations in double precision, and return the sum of the losses of each.

    Args:
        config: Of the training; changed.
        iterations: How many.
        same_points: Whether every mask is read at the same points, in place of points that are drawn for it.
    """
    for room in ROOMS:
        import_module(f"mmdataseg.{room}")
    recorder = _Recorder()
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner.from_cfg(_short(config, folder, iterations))
        runner.register_hook(recorder)
        _seed(runner.seed)
        runner.model.init_weights()  # in single precision, with the random numbers of the training
        to_single, fill, dtype, draw = Tensor.float, Tensor.new_full, torch.get_default_dtype(), torch.rand
        try:
            if same_points:
                torch.rand = points_for_all
            torch.set_default_dtype(torch.float64)
            Tensor.float, Tensor.new_full = Tensor.double, _with_doubles(fill)
            runner.model.double()
            runner.train()
        finally:
            Tensor.float, Tensor.new_full, torch.rand = to_single, fill, draw
            torch.set_default_dtype(dtype)
    return recorder.losses


def _with_doubles(fill: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``Tensor.new_full`` that makes doubles where float32 is asked for."""

    def new_full(like: Tensor, *arguments: Any, dtype: torch.dtype | None = None, **options: Any) -> Tensor:
        return fill(like, *arguments, dtype=torch.float64 if dtype == torch.float32 else dtype, **options)

    return new_full


def points_for_all(*size: int, **_: Any) -> Tensor:
    """Return (..., P, 2) points, the same P for all masks, in place of ``torch.rand``, which draws them for each."""
    *leading, points, coordinates = size
    generator = torch.Generator().manual_seed(0)
    one = torch.empty(points, coordinates).uniform_(generator=generator)
    return one.expand(*leading, -1, -1).clone()


def differences(before: Sequence[float], after: Sequence[float]) -> list[float]:
    """The relative difference in each iteration.

    Raises:
        ValueError: The numbers of iterations differ.
    """
    if len(before) != len(after):
        raise ValueError(f"expected losses of {len(after)} iterations, got {len(before)}; give the same --iterations")
    return [abs(new - old) / abs(old) for old, new in zip(before, after, strict=True)]


def _short(config: Config, folder: str, iterations: int) -> Config:
    config.work_dir, config.log_level = folder, "ERROR"
    config.train_cfg.update(max_iters=iterations, val_begin=iterations + 1, val_interval=iterations + 1)
    config.train_dataloader.update(num_workers=0, persistent_workers=False)
    config.update(default_hooks={"checkpoint": None, "logger": None}, custom_hooks=[])
    config.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    config.update(test_cfg=None, test_dataloader=None, test_evaluator=None)
    config.randomness = {"seed": config.get("randomness", {}).get("seed") or 0}
    return config


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="a config that mmdataseg trains")
    parser.add_argument("out", type=Path, help="JSON file to write: a list of losses")
    parser.add_argument("--against", type=Path, help="JSON file of an earlier run, to compare with")
    parser.add_argument("--iterations", type=int, default=40, help="iterations to train (default: %(default)s)")
    parser.add_argument("--same-points", action="store_true", help="read every mask at the same points")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns 1 if the losses differ."""
    options = parse_args(arguments)
    losses = first_losses(Config.fromfile(options.config), options.iterations, same_points=options.same_points)
    options.out.write_text(json.dumps(losses))
    if options.against is None:
        return 0
    largest = np.max(differences(json.loads(options.against.read_text()), losses))  # NaN if one is NaN
    same = largest <= LIMIT
    print(f"largest relative difference: {largest:.1e} ({'the same' if same else 'another result'})")
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
