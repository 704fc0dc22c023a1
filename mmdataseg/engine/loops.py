"""A training loop whose resumed runs equal uninterrupted ones."""

import logging
import random
from bisect import bisect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank
from mmengine.hooks import EMAHook
from mmengine.logging import print_log
from mmengine.runner import IterBasedTrainLoop
from torch.utils.data import DataLoader

from mmdataseg.errors import UserError
from mmdataseg.registry import LOOPS

DATA_SEED = "data_seed"
DATA_MIX = "data_mix"


@LOOPS.register_module()
class ResumableTrainLoop(IterBasedTrainLoop):
    """mmengine's ``IterBasedTrainLoop``, but a resume is exact and starts at once.

    If the batch sampler can start anywhere (it has ``set_iteration``, ``seed`` and ``reseed``, like
    `mmdataseg.RatioBatchSampler`), data loading starts at the iteration of the resume. mmengine would draw, and partly
    load, all batches before it. One iterator serves the whole run, so workers are started once. The sampler's seed is
    saved with the checkpoint (message hub, ``data_seed``), so a run without a configured seed resumes, too. If the
    sampler has a ``mix``, it is saved, and a warning says if it differs, e.g. since the number of GPUs changed. Other
    batch samplers are handled as in the parent class.

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
        """Train until ``max_iters``.

        Raises:
            UserError: The ranks have different numbers of images.
        """
        if not hasattr(self.dataloader.batch_sampler, "set_iteration"):
            return super().run()
        self._take_data_seed()
        self._compare_mix()
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
            self._start_averages()
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

    def _start_averages(self) -> None:
        """Give mmengine's EMAHook the weights that the training starts from: it copied the model before they were
        set, and takes them over in the first iteration only."""
        for hook in self.runner.hooks:
            if isinstance(hook, EMAHook):
                hook.ema_model.module.load_state_dict(hook.src_model.state_dict())

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

    def _compare_mix(self) -> None:
        mix, hub = getattr(self.dataloader.batch_sampler, "mix", None), self.runner.message_hub
        if mix is None:  # of another batch sampler, on all ranks
            return
        _refuse_different_data(all_gather_object(mix))
        before = hub.runtime_info.get(DATA_MIX)
        if self.iter > 0 and before is not None and before != mix:
            print_log(
                f"The data mix differs from that of the checkpoint. It was {_described(before)}; now it is "
                f"{_described(mix)}. Batches are drawn as if the whole run had the new one, so current epochs "
                "repeat some images and leave others out",
                logger="current",
                level=logging.WARNING,
            )
        hub.update_info(DATA_MIX, mix)

    def _take_val_interval(self) -> None:
        """Set the validation interval that applies from the next iteration on."""
        self.val_interval = self.dynamic_intervals[bisect(self.dynamic_milestones, self.iter + 1) - 1]

    def _is_validation_due(self) -> bool:
        if self.runner.val_loop is None or self.iter < self.val_begin:
            return False
        return self.iter % self.val_interval == 0 or self.iter == self.max_iters


def _refuse_different_data(mixes: Sequence[Any]) -> None:
    """Raise a `UserError` if the ranks have different mixes: each would draw its part of a batch by its own."""
    other = [rank for rank, mix in enumerate(mixes) if mix != mixes[0]]
    if other:
        raise UserError(
            f"the ranks read different data: rank 0 has {_described(mixes[0])}, and rank {other[0]} has "
            f"{_described(mixes[other[0]])}",
            remedy="complete the copy of the data on each machine",
        )


def _described(mix: dict[str, tuple[int, int, int]]) -> str:
    return ", ".join(
        f"{name!r} ({size} images, {batch} per batch, ratio {count})" for name, (size, batch, count) in mix.items()
    )


def _seed_generators(seed: int, iteration: int, rank: int) -> None:
    state = int(np.random.SeedSequence((seed, iteration, rank)).generate_state(1, np.uint64)[0])
    random.seed(state)
    np.random.seed(state % 2**32)
    torch.manual_seed(state)
