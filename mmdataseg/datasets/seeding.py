"""Randomness that depends on a sample's position in the run, not on the process or on what ran before."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

SEED_LIMIT = 2**32
# First part of every derived seed, so that no two uses share a stream. Seeds of one use have the same number of parts.
BLOCK_ORDER, EPOCH_ORDER, SAMPLE, ATTEMPT = range(4)


class SeededIndex(int):
    """An index into a dataset that carries the seed of the sample's augmentation.

    It is an ``int``, so it works with any dataset. It keeps its seed when it is sent to a data loader worker.

    Attributes:
        seed: Seed of the sample's augmentation, 0 <= seed < 2**64.
    """

    seed: int

    def __new__(cls, value: int, seed: int) -> "SeededIndex":
        index = super().__new__(cls, value)
        index.seed = seed
        return index

    def __reduce__(self) -> tuple[type, tuple[int, int]]:
        return SeededIndex, (int(self), self.seed)

    def __repr__(self) -> str:
        return f"SeededIndex({int(self)}, seed={self.seed})"


def derive_seed(*parts: int) -> int:
    """Return a seed in [0, 2**64) that depends on all ``parts`` (non-negative) and their order."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])


def random_state(*parts: int) -> np.random.RandomState:
    """Return a generator that depends on all ``parts``.

    numpy guarantees the same numbers in all its versions for ``RandomState``, but not for ``Generator``. A run may be
    resumed after an update.
    """
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(parts)))


@contextmanager
def seeded_generators(seed: int) -> Iterator[None]:
    """Seed the generators that transforms use (``random``, numpy, torch on the CPU) while a block runs.

    Their states are restored afterwards, even if the block raises.

    Args:
        seed: 0 <= seed < 2**64.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % SEED_LIMIT)
    # not torch.manual_seed: it would also seed the devices, whose states are not restored
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
