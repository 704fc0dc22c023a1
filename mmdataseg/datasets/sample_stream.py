"""Which source, and which of its images, a training iteration sees: pure functions of (seed, iteration)."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from mmdataseg.datasets.seeding import BLOCK_ORDER, EPOCH_ORDER, random_state

MAX_BLOCK = 100_000
MAX_DENOMINATOR = 1_000


def block_counts(ratios: Sequence[float]) -> tuple[int, ...]:
    """Turn ratios into how often each source is drawn in one block of iterations.

    The smallest whole numbers in the ratio that is written (0.1 is one tenth). Where they would need a block of more
    than 100,000 iterations, ratios to the smallest one are first rounded to fractions with denominators up to 1,000
    (1/3 written as a float is a third again), and then, if need be, the shares to parts of 100,000, at least one
    each.

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

    The iterations are cut into blocks of ``sum(counts)``. Each block draws source ``s`` exactly ``counts[s]`` times,
    in an order that depends on (seed, block) alone. So a source is never left out for long, and how often it was
    drawn before iteration t is known without walking there.

    Args:
        counts: Of `block_counts`, S numbers.
        seed: Of the run.
    """

    def __init__(self, *, counts: Sequence[int], seed: int) -> None:
        self.counts = tuple(counts)
        self.block_length = sum(counts)
        self._seed = seed
        self._sorted = np.repeat(np.arange(len(self.counts), dtype=np.int32), self.counts)
        self._cached: tuple[int, np.ndarray] = (-1, self._sorted)

    def at(self, iteration: int) -> tuple[int, int]:
        """The source of an iteration, and how often it was drawn before."""
        block, place = divmod(iteration, self.block_length)
        order = self._order(block)
        source = int(order[place])
        return source, block * self.counts[source] + int(np.count_nonzero(order[:place] == source))

    def _order(self, block: int) -> np.ndarray:
        if self._cached[0] != block:
            self._cached = (block, random_state(BLOCK_ORDER, self._seed, block).permutation(self._sorted))
        return self._cached[1]


class EpochStream:
    """The endless stream of one source's images, cut into batches.

    Every epoch is a permutation of all ``size`` images that depends on (seed, source, epoch); batch k covers the
    positions [k * batch, (k + 1) * batch) of the epochs laid end to end. A batch over the end of an epoch must not
    see an image twice: the images among the first ``batch`` of the new epoch that the batch already took from the old
    one move behind the others of these ``batch``. This touches nothing else, so the end of an epoch is known without
    the one before it, and any batch can be computed alone as long as size >= 2 * batch. A smaller source keeps its
    permutation, and with it any ``size`` images in a row distinct, until an epoch ends where a batch does; there it
    takes the next one. A source that is smaller than a batch cannot do without repeats.

    Args:
        size: Number of images, at least 1.
        batch: Images of one batch over all ranks, at least 1.
        seed: Of the run.
        source: Position of the source among the sources.
    """

    def __init__(self, *, size: int, batch: int, seed: int, source: int) -> None:
        self.size = size
        self.batch = batch
        self._seed = seed
        self._source = source
        self._period = 1 if size >= 2 * batch else batch // math.gcd(size, batch)  # epochs of one permutation
        self._orders: dict[int, np.ndarray] = {}

    def at(self, draw: int) -> tuple[np.ndarray, np.ndarray]:
        """The images of a batch.

        Args:
            draw: How often the source was drawn before.

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
            taken = epoch * self.size % self.batch  # images of the batch over the boundary that lie before it
            if epoch > 0 and taken > 0:
                previous = self._orders[epoch - 1] if epoch - 1 in self._orders else self._permutation(epoch - 1)
                head = order[: self.batch].copy()
                collides = np.isin(head, previous[-taken:])
                order[: self.batch] = np.concatenate([head[~collides], head[collides]])
            # a batch lies in two epochs at most (or in one permutation)
            self._orders = {e: o for e, o in self._orders.items() if e == epoch - 1} | {epoch: order}
        return self._orders[epoch]

    def _permutation(self, epoch: int) -> np.ndarray:
        dtype = np.int32 if self.size < 2**31 else np.int64
        return random_state(EPOCH_ORDER, self._seed, self._source, epoch).permutation(np.arange(self.size, dtype=dtype))
