"""The source and the images of each training iteration, as pure functions of (seed, iteration)."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from mmdataseg.datasets.seeding import BLOCK_ORDER, EPOCH_ORDER, random_state

MAX_BLOCK = 100_000
MAX_DENOMINATOR = 1_000


def block_counts(ratios: Sequence[float]) -> tuple[int, ...]:
    """Convert ratios to the number of draws of each source in one block of iterations.

    The result has the smallest whole numbers in the ratio as written (0.1 is one tenth). If the block would be longer
    than 100,000 iterations, the ratios, relative to the smallest one, are rounded to fractions with denominators up to
    1,000 (so 1/3 written as a float is one third again). If the block is still too long, the shares are rounded to
    parts of 100,000, at least one part each.

    Args:
        ratios: S finite numbers above 0.

    Returns:
        S whole numbers of at least 1, without a common divisor.
    """
    exact = [Fraction(str(r)) for r in ratios]
    to_smallest = [f / min(exact) for f in exact]
    for fractions in (to_smallest, [f.limit_denominator(MAX_DENOMINATOR) for f in to_smallest]):
        scale = math.lcm(*(f.denominator for f in fractions))
        counts = [int(f * scale) for f in fractions]
        if sum(counts) <= MAX_BLOCK:
            break
    else:
        counts = [max(1, round(f / sum(exact) * MAX_BLOCK)) for f in exact]
    divisor = math.gcd(*counts)
    return tuple(c // divisor for c in counts)


class SourceSchedule:
    """The source of every iteration.

    The iterations are divided into blocks of ``sum(counts)``. Each block draws source ``s`` exactly ``counts[s]``
    times, in an order that depends on (seed, block) only. So a source is never left out for long, and the number of
    its draws before iteration t can be computed directly.

    Args:
        counts: S whole numbers from `block_counts`.
        seed: Seed of the run.
    """

    def __init__(self, *, counts: Sequence[int], seed: int) -> None:
        self.counts = tuple(counts)
        self.block_length = sum(counts)
        self._seed = seed
        self._sorted = np.repeat(np.arange(len(self.counts), dtype=np.int32), self.counts)
        self._cached: tuple[int, np.ndarray] = (-1, self._sorted)

    def at(self, iteration: int) -> tuple[int, int]:
        """Return the source of an iteration and the number of its earlier draws."""
        block, place = divmod(iteration, self.block_length)
        order = self._order(block)
        source = int(order[place])
        return source, block * self.counts[source] + int(np.count_nonzero(order[:place] == source))

    def _order(self, block: int) -> np.ndarray:
        if self._cached[0] != block:
            self._cached = (block, random_state(BLOCK_ORDER, self._seed, block).permutation(self._sorted))
        return self._cached[1]


class EpochStream:
    """The endless stream of one source's images, divided into batches.

    Every epoch is a permutation of all ``size`` images that depends on (seed, source, epoch). Batch k covers the
    positions [k * batch, (k + 1) * batch) of the concatenated epochs.

    A batch that crosses the end of an epoch must not contain an image twice. So, within the first ``batch`` images of
    the new epoch, those that the batch already took from the old epoch move to the end. Nothing else changes. So the
    end of an epoch does not depend on the epoch before it, and any batch can be computed alone if size >= 2 * batch.

    A smaller source keeps one permutation until an epoch and a batch end together; there it takes the next one. So any
    ``size`` consecutive images under one permutation are distinct. A source smaller than a batch must repeat images.

    Args:
        size: Number of images, at least 1.
        batch: Number of images per batch over all ranks, at least 1.
        seed: Seed of the run.
        source: Position of the source among the sources.
    """

    def __init__(self, *, size: int, batch: int, seed: int, source: int) -> None:
        self.size = size
        self.batch = batch
        self._seed = seed
        self._source = source
        self._period = 1 if size >= 2 * batch else batch // math.gcd(size, batch)  # number of epochs per permutation
        self._orders: dict[int, np.ndarray] = {}

    def at(self, draw: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the images of a batch.

        Args:
            draw: Number of earlier draws of the source.

        Returns:
            Epochs (batch,) int64 and indices (batch,) int64 within the source.
        """
        epochs, places = np.divmod(np.arange(draw * self.batch, (draw + 1) * self.batch, dtype=np.int64), self.size)
        indices = np.empty(self.batch, dtype=np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            indices[here] = self._order(int(epoch))[places[here]]
        return epochs, indices

    def _order(self, epoch: int) -> np.ndarray:
        epoch -= epoch % self._period
        if epoch not in self._orders:
            order = self._permutation(epoch)
            taken = epoch * self.size % self.batch  # images before the boundary, of the batch that crosses it
            if epoch > 0 and taken > 0:
                previous = self._orders[epoch - 1] if epoch - 1 in self._orders else self._permutation(epoch - 1)
                head = order[: self.batch].copy()
                collides = np.isin(head, previous[-taken:])
                order[: self.batch] = np.concatenate([head[~collides], head[collides]])
            # a batch spans at most two epochs (or one permutation)
            self._orders = {e: o for e, o in self._orders.items() if e == epoch - 1} | {epoch: order}
        return self._orders[epoch]

    def _permutation(self, epoch: int) -> np.ndarray:
        dtype = np.int32 if self.size < 2**31 else np.int64
        return random_state(EPOCH_ORDER, self._seed, self._source, epoch).permutation(np.arange(self.size, dtype=dtype))
