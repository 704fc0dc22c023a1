"""One of two processes of a training whose save fails. Run by test_whole_checkpoints.py."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import mmengine.runner.runner
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.runner import Runner

import mmdataseg.engine  # noqa: F401
from mmdataseg.errors import UserError
from tests.engine.breaking_model import BreaksAtFive, one_by_one


class Weight(BreaksAtFive):
    """All losses are finite, and it can be validated."""

    def forward(self, inputs: Any, data_samples: Any, mode: str) -> Any:  # noqa: ARG002
        return dict(loss=self.weight * 1.0) if mode == "loss" else data_samples


class Growing(BaseMetric):
    """Each validation is better than the one before it."""

    default_prefix = ""
    calls = 0

    def process(self, data_batch: Any, data_samples: Any) -> None:  # noqa: ARG002
        self.results.append(0)

    def compute_metrics(self, results: list) -> dict[str, float]:  # noqa: ARG002
        self.calls += 1
        return {"score": float(self.calls)}


def train(folder: Path, case: str) -> None:
    """The disk is full in the third iteration, or from the second validation on, which comes before it."""
    best = case == "best"
    validated = dict(val_dataloader=one_by_one(), val_cfg=dict(), val_evaluator=Evaluator([Growing()])) if best else {}
    runner = Runner(
        model=Weight(),
        work_dir=str(folder),
        launcher="pytorch",
        cfg=Config(dict(model_wrapper_cfg=dict(type="MMDistributedDataParallel", device_ids=None))),
        train_dataloader=one_by_one(),
        train_cfg=dict(by_epoch=False, max_iters=4, val_interval=2, val_begin=1),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        default_hooks=dict(
            checkpoint=dict(
                type="mmdataseg.WholeCheckpoints", interval=1, by_epoch=False, save_best="score" if best else None,
                rule="greater" if best else None,
            )
        ),
        **validated,
    )  # fmt: skip
    runner.train()


def main(rank: int, folder: Path, case: str) -> None:
    """Train, and write down how it ended. Both processes are then at the same place."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    save = mmengine.runner.runner.save_checkpoint

    def full_disk(checkpoint: Any, filename: str, *args: Any, **kwargs: Any) -> None:
        if ("best_" if case == "best" else "iter_3") in filename:
            raise OSError(28, "No space left on device")
        save(checkpoint, filename, *args, **kwargs)

    end = "trained"
    with patch("mmengine.runner.runner.save_checkpoint", full_disk):
        try:
            train(folder / "work", case)
        except (UserError, OSError, RuntimeError) as error:
            end = f"{type(error).__name__}: {error}"
    (folder / f"{rank}.end").write_text(end)
    torch.distributed.barrier()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
