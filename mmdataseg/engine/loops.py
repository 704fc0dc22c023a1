"""A training loop whose resumed runs equal uninterrupted ones."""

import logging
import random
from bisect import bisect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.logging import print_log
from mmengine.runner import IterBasedTrainLoop
from torch.utils.data import DataLoader

from mmdataseg.registry import LOOPS

DATA_SEED = "data_seed"


@LOOPS.register_module()
class ResumableTrainLoop(IterBasedTrainLoop):
    """mmengine's ``IterBasedTrainLoop``, but a resume is exact and starts at once.

    If the batch sampler can start anywhere (it has ``set_iteration``, ``seed`` and ``reseed``, like
    `mmdataseg.RatioBatchSampler`), data loading starts at the iteration of the resume. mmengine would draw, and partly
    load, all batches before it. One iterator serves the whole run, so workers are started once. The sampler's seed is
    saved with the checkpoint (message hub, ``data_seed``), so a run without a configured seed resumes, too. Other batch
    samplers are handled as in the parent class.

    In every iteration ``random``, numpy and torch (CPU and devices) are seeded by (seed of the run, iteration, rank).
    So the random numbers of the model, e.g. the points of the mask losses or dropout, do not depend on where the run
    was stopped or on what validation drew. The generators keep the seed of the last iteration when the run ends.

    The parent's ``run`` is replaced, not extended: it always starts by replaying batches, in different ways in mmengine
    0.10.7 and onedl-mmengine 0.10.12. The hooks and their order are those of the parent.

    Args:
        runner: The runner.
        dataloader: The dataloader or its config.
        max_iters: Number of iterations of the whole run, with those before a resume.
        val_begin: First iteration with a validation; 0: the untrained model is also validated, for comparison.
        val_interval: Number of iterations between validations. The last iteration is also validated.
        dynamic_intervals: Pairs (iteration, val_interval from there on).
    """

    def __init__(
        self,
        *,
        runner: Any,
        dataloader: DataLoader | dict[str, Any],
        max_iters: int,
        val_begin: int = 1,
        val_interval: int = 1000,
        dynamic_intervals: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        # mmengine 0.10.7 starts the dataloader here, which draws a number before the weights are initialised
        with torch.random.fork_rng(devices=[]):
            super().__init__(runner, dataloader, max_iters, val_begin, val_interval, dynamic_intervals)

    def run(self) -> torch.nn.Module:
        """Train until ``max_iters``."""
        if not hasattr(self.dataloader.batch_sampler, "set_iteration"):
            return super().run()
        self._take_data_seed()
        if self.iter >= self.max_iters:
            print_log(
                f"Already at iteration {self.iter} of {self.max_iters}: nothing to train; increase train_cfg.max_iters",
                logger="current",
                level=logging.WARNING,
            )
        # mmengine 0.10.7 starts the dataloader in its constructor: release its workers before ours start
        self.dataloader_iterator = None
        self.dataloader_iterator = self._batches()
        self.runner.call_hook("before_train")
        self.runner.call_hook("before_train_epoch")
        if self.iter == 0 == self.val_begin and self.runner.val_loop is not None:
            self.runner.val_loop.run()
        while self.iter < self.max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._take_val_interval()
            if self._is_validation_due():
                self.runner.val_loop.run()
        self.dataloader_iterator.close()
        self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_iter(self, data_batch: Any) -> None:
        """Train on one batch, after seeding all generators for this iteration and rank."""
        _seed_generators(self.runner.seed, self.iter, get_rank())
        super().run_iter(data_batch)

    def _batches(self) -> Iterator[Any]:
        while True:  # once, unless max_iters grows during the run
            self.dataloader.batch_sampler.set_iteration(self.iter, stop=self.max_iters)
            yield from self.dataloader

    def _take_data_seed(self) -> None:
        sampler, hub = self.dataloader.batch_sampler, self.runner.message_hub
        if self.iter > 0:
            resumed = hub.runtime_info.get(DATA_SEED, sampler.seed)
            if resumed != sampler.seed:
                print_log(
                    f"Data are drawn with seed {resumed} of the checkpoint, not with {sampler.seed}",
                    logger="current",
                    level=logging.WARNING,
                )
                sampler.reseed(resumed)
        hub.update_info(DATA_SEED, sampler.seed)

    def _take_val_interval(self) -> None:
        """Set the validation interval that applies from the next iteration on."""
        self.val_interval = self.dynamic_intervals[bisect(self.dynamic_milestones, self.iter + 1) - 1]

    def _is_validation_due(self) -> bool:
        if self.runner.val_loop is None or self.iter < self.val_begin:
            return False
        return self.iter % self.val_interval == 0 or self.iter == self.max_iters


def _seed_generators(seed: int, iteration: int, rank: int) -> None:
    state = int(np.random.SeedSequence((seed, iteration, rank)).generate_state(1, np.uint64)[0])
    random.seed(state)
    np.random.seed(state % 2**32)
    torch.manual_seed(state)
