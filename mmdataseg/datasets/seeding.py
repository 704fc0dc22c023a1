"""Randomness as a function of where a sample stands in the run, not of which process drew it or what ran before."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from mmdataseg.errors import UserError

SEED_LIMIT = 2**32
# First word of every derived seed, so that no two uses share a stream; seeds of one use have equally many parts.
BLOCK_ORDER, EPOCH_ORDER, SAMPLE, ATTEMPT = range(4)


class SeededIndex(int):
    """An index into a dataset that carries the seed its augmentation is drawn from.

    It is an ``int`` everywhere an ``int`` is expected, so datasets that know nothing of it work with it; it keeps its
    seed when it is sent to a data-loading worker.

    Attributes:
        seed: Of the sample's augmentation, 0 <= seed < 2**64.
    """

    seed: int

    def __new__(cls, value: int, seed: int) -> "SeededIndex":
        """Make an index.

        Args:
            value: The index.
            seed: Of the sample's augmentation, 0 <= seed < 2**64.
        """
        index = super().__new__(cls, value)
        index.seed = seed
        return index

    def __reduce__(self) -> tuple[type, tuple[int, int]]:
        return SeededIndex, (int(self), self.seed)

    def __repr__(self) -> str:
        return f"SeededIndex({int(self)}, seed={self.seed})"


def derive_seed(*parts: int) -> int:
    """A seed in [0, 2**64) that depends on every one of ``parts`` (non-negative, in this order)."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])


def random_state(*parts: int) -> np.random.RandomState:
    """A generator that depends on every one of ``parts``.

    numpy promises that a ``RandomState`` yields the same numbers in all its versions, which it does not of
    ``Generator``: a run may be resumed after an update.
    """
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(parts)))


def check_seed(seed: int, owner: str) -> int:
    """Return ``seed`` if it is one.

    Raises:
        UserError: It is not a whole number in [0, 2**32).
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < SEED_LIMIT:
        raise UserError(f"{owner}: expected a seed that is a whole number in [0, 2**32), got {seed!r}")
    return int(seed)


@contextmanager
def seeded_generators(seed: int) -> Iterator[None]:
    """Run a block with the generators that transforms draw from (``random``, numpy, torch on the CPU) at ``seed``.

    Their states are put back afterwards, also when the block raises.

    Args:
        seed: 0 <= seed < 2**64.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % SEED_LIMIT)
    # not torch.manual_seed: that would also seed the devices, whose states are not put back
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
