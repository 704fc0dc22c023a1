"""Draws each batch from one source, by ratio: the same batches on every rank and after every resume."""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from numbers import Real
from typing import Any

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.logging import print_log
from torch.utils.data import Sampler

from mmdataseg.datasets.sample_stream import EpochStream, SourceSchedule, block_counts
from mmdataseg.datasets.seeding import SAMPLE, SEED_LIMIT, SeededIndex, derive_seed
from mmdataseg.errors import UserError
from mmdataseg.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class RatioBatchSampler(Sampler[list[int]]):
    """Draw each iteration's whole batch, over all ranks, from one source (Gu et al., 2023, co-training).

    The batch of an iteration depends on (seed, iteration), the ratios, the sizes of the sources and the global batch
    sizes only. So all ranks agree without communication, a start at any iteration costs the same, and the batch over
    all ranks, with its order, does not depend on the number of ranks. Rank r of W takes the r-th of W equal slices.

    The paper draws a source at random by ratio. Here (our choice), every block of iterations draws each source exactly
    as often as the ratio says, in a random order (`SourceSchedule`). The mean is the same, no source is left out for
    long, and the number of earlier draws of a source can be computed directly. Each source is read in its own shuffled
    epochs, without replacement (`EpochStream`).

    The sampler yields `SeededIndex` objects. Their seed depends on (seed, source, epoch, index), and
    `MultiSourceDataset` seeds the sample's augmentation with it. Any other dataset uses them as an ``int``.

    One iteration over the sampler is a *pass*: the smallest number of whole blocks in which every source completes at
    least one epoch. ``len`` is the exact number of batches of a pass. The next pass continues where the last one ended.
    `set_iteration` starts anywhere. If mmengine has set another epoch on ``sampler`` (by ``set_epoch``, as its loops do
    when they resume), the pass with that number starts.

    It works over any dataset with ``cumulative_sizes``, e.g. mmengine's ``ConcatDataset``.

    Args:
        sampler: The sampler that mmengine builds. It gives the dataset (``sampler.dataset``) and, if ``seed`` is None,
            the seed of the run (``sampler.seed``, which ``DefaultSampler`` has). Its order of indices is not used.
        batch_size: Number of images per batch on one rank.
        ratios: S finite numbers above 0: how often each source is drawn, relative to the others.
        batch_sizes: S whole numbers, one per source, which replace ``batch_size``.
        seed: Seed of the order of sources and images and of the augmentation, the same on every rank. None: the
            sampler's seed or, if it has none, one that the ranks agree on.

    Raises:
        UserError: There is not one ratio or batch size per source, or one of them is not finite and above 0; or the
            dataset has no ``cumulative_sizes``, or an empty source.
    """

    def __init__(
        self,
        *,
        sampler: Any,
        batch_size: int,
        ratios: Sequence[float],
        batch_sizes: Sequence[int] | None = None,
        seed: int | None = None,
    ) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        self.rank, self.world_size = get_dist_info()
        self.source_names, self.sizes = _sources_of(getattr(sampler, "dataset", None))
        self.ratios = _one_each("ratio", ratios, self.source_names, Real, "ratios of the batch_sampler")
        given = [batch_size] * len(self.sizes) if batch_sizes is None else batch_sizes
        option = "batch_size of the data loader" if batch_sizes is None else "batch_sizes of the batch_sampler"
        self.batch_sizes = _one_each("batch size", given, self.source_names, int, option)
        self._offsets = np.cumsum([0, *self.sizes])
        self._iteration = 0
        self._stop: int | None = None
        self._epoch = getattr(sampler, "epoch", 0)
        self._was_set = False
        if seed is None:
            seed = getattr(sampler, "seed", None)
        self.reseed(sync_random_seed() if seed is None else seed)
        self._log()

    def reseed(self, seed: int) -> None:
        """Set another seed, e.g. that of the run that is resumed.

        Raises:
            UserError: It is not a whole number in [0, 2**32).
        """
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < SEED_LIMIT:
            raise UserError(f"RatioBatchSampler: expected seed to be a whole number in [0, 2**32), got {seed!r}")
        self.seed = int(seed)
        self.schedule = SourceSchedule(counts=block_counts(self.ratios), seed=self.seed)
        self.streams = tuple(
            EpochStream(size=size, batch=batch * self.world_size, seed=self.seed, source=i)
            for i, (size, batch) in enumerate(zip(self.sizes, self.batch_sizes, strict=True))
        )

    @property
    def mix(self) -> dict[str, tuple[int, int, int]]:
        """What the draws depend on, besides the seed: source name -> number of images, images per batch over all ranks,
        and draws per block of iterations. A checkpoint keeps it."""
        return {
            name: (stream.size, stream.batch, count)
            for name, stream, count in zip(self.source_names, self.streams, self.schedule.counts, strict=True)
        }

    def set_iteration(self, iteration: int, *, stop: int | None = None) -> None:
        """Let the next ``iter()`` start at an iteration. Every iteration costs the same.

        Args:
            iteration: Iteration of the run, counted from 0.
            stop: Iteration before which that ``iter()`` ends; None: it ends after ``len(self)`` batches.

        Raises:
            UserError: ``iteration`` is negative.
        """
        if iteration < 0:
            raise UserError(f"RatioBatchSampler: expected an iteration of at least 0, got {iteration}")
        self._iteration = iteration
        self._stop = stop
        self._was_set = True

    def global_batch(self, iteration: int) -> tuple[int, np.ndarray, np.ndarray]:
        """Return the batch of an iteration over all ranks.

        Returns:
            Position of the source; epochs (B,) int64 and indices (B,) int64 within the source.
        """
        source, draw = self.schedule.at(iteration)
        return source, *self.streams[source].at(draw)

    def batch(self, iteration: int) -> list[SeededIndex]:
        """Return the batch of an iteration on this rank, as indices into the dataset."""
        source, epochs, indices = self.global_batch(iteration)
        size = self.batch_sizes[source]
        mine = slice(self.rank * size, (self.rank + 1) * size)
        offset = int(self._offsets[source])
        return [
            SeededIndex(offset + index, derive_seed(SAMPLE, self.seed, source, epoch, index))
            for epoch, index in zip(epochs[mine].tolist(), indices[mine].tolist(), strict=True)
        ]

    def __iter__(self) -> Iterator[list[SeededIndex]]:  # type: ignore[override]
        epoch = getattr(self.sampler, "epoch", 0)
        if epoch != self._epoch and not self._was_set:
            self._iteration = epoch * len(self)
        self._epoch, self._was_set = epoch, False
        first = self._iteration
        stop = first + len(self) if self._stop is None else self._stop
        self._stop = None
        for iteration in range(first, stop):
            self._iteration = iteration + 1
            yield self.batch(iteration)

    def __len__(self) -> int:
        """Return the number of batches of one pass."""
        blocks = (
            math.ceil(math.ceil(stream.size / stream.batch) / count)
            for stream, count in zip(self.streams, self.schedule.counts, strict=True)
        )
        return self.schedule.block_length * max(blocks)

    def _log(self) -> None:
        block = self.schedule.block_length
        rows = [("source", "images", "ratio", "iterations", "images/batch", "iterations/epoch")]
        for name, ratio, count, stream in zip(
            self.source_names, self.ratios, self.schedule.counts, self.streams, strict=True
        ):
            epoch = stream.size / stream.batch * block / count
            rows.append(
                (name, str(stream.size), f"{ratio:g}", f"{count / block:.2%}", str(stream.batch), f"{epoch:.1f}")
            )
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
        title = f"Data mix: blocks of {block} iterations, {self.world_size} rank(s), seed {self.seed}"
        print_log("\n".join([title, *lines]), logger="current")
        for name, stream in zip(self.source_names, self.streams, strict=True):
            if stream.size < stream.batch:
                print_log(
                    f"source {name!r} has {stream.size} images, fewer than the {stream.batch} of one batch over all "
                    "ranks: each of its batches repeats images",
                    logger="current",
                    level=logging.WARNING,
                )


def _sources_of(dataset: Any) -> tuple[list[str], list[int]]:
    cumulative = getattr(dataset, "cumulative_sizes", None)
    if cumulative is None:
        raise UserError(
            "RatioBatchSampler: expected a sampler over a dataset with cumulative_sizes (mmdataseg.MultiSourceDataset "
            f"or mmengine's ConcatDataset), got {type(dataset).__name__}"
        )
    if len(dataset) != cumulative[-1]:
        raise UserError(
            f"RatioBatchSampler: the dataset's sources have {cumulative[-1]} images, but its length is {len(dataset)}; "
            "remove the option that shortens it (num_batch_per_epoch)"
        )
    sizes = np.diff([0, *cumulative]).tolist()
    names = list(getattr(dataset, "source_names", [str(i) for i in range(len(sizes))]))
    for name, size in zip(names, sizes, strict=True):
        if size < 1:
            raise UserError("expected at least one image, got none", source=name, remedy="check its paths and filters")
    return names, sizes


def _one_each(what: str, values: Any, names: Sequence[str], kind: type, option: str) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise UserError(
            f"RatioBatchSampler: expected a list with one {what} for each of the sources {list(names)}, got {values!r}",
            remedy=f"correct {option}",
        )
    values = list(values)
    if len(values) != len(names):
        raise UserError(
            f"RatioBatchSampler: expected one {what} for each of the {len(names)} sources {list(names)}, got "
            f"{len(values)}: {values}; correct {option}"
        )
    for name, value in zip(names, values, strict=True):
        number = isinstance(value, kind) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value <= 0:
            whole = "whole " if kind is int else ""
            raise UserError(
                f"expected a {what} that is a finite {whole}number above 0, got {value!r}",
                source=name,
                remedy=f"correct {option}",
            )
    return values
