"""One of two processes of trainings that break. Run by test_finite_training.py."""

import sys
from datetime import timedelta
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner

import mmdataseg.engine  # noqa: F401
from mmdataseg.errors import UserError
from tests.engine.breaking_model import BreaksAtFive, GradientBreaksAtFive, one_by_one

CASES = {"loss": BreaksAtFive, "gradient": GradientBreaksAtFive}


def train(folder: Path, model: BaseModel) -> None:
    """Sample 5 is drawn in iteration 3, by the second process."""
    runner = Runner(
        model=model,
        work_dir=str(folder),
        launcher="pytorch",
        cfg=Config(dict(model_wrapper_cfg=dict(type="MMDistributedDataParallel", device_ids=None))),
        experiment_name=folder.name,
        train_dataloader=one_by_one(),
        train_cfg=dict(by_epoch=False, max_iters=4),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        default_hooks=dict(
            checkpoint=dict(type="mmdataseg.WholeCheckpoints", interval=1, by_epoch=False, max_keep_ckpts=1)
        ),
        custom_hooks=[dict(type="mmdataseg.FiniteTraining")],
    )
    runner.train()


def main(rank: int, folder: Path) -> None:
    """Train each case, and write down how it ended."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    for case, model in CASES.items():
        end = "trained"
        try:
            train(folder / case, model())
        except (UserError, RuntimeError) as error:
            end = f"{type(error).__name__}: {error}"
        (folder / case / f"{rank}.end").write_text(end)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
