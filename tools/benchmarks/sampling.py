"""`sampler`: batches of a training, and the start at a late iteration."""

from collections.abc import Callable
from itertools import islice
from typing import Any

from mmdet.datasets.samplers import MultiDataSampler
from mmengine.dataset import DefaultSampler
from torch.utils.data import BatchSampler

from mmdataseg.datasets import RatioBatchSampler
from tools.benchmarks.comparing import Comparison, Setting

SIZES = (20_210, 118_287, 1_742_289)  # ADE20K, COCO, Objects365
RATIOS = (1, 4, 4)
BATCH = 16
BATCHES = 2_000
LATE = 20_000


class _Sizes:
    """A dataset of which only the sizes are asked."""

    def __init__(self) -> None:
        self.datasets = [range(size) for size in SIZES]
        self.cumulative_sizes = [sum(SIZES[: i + 1]) for i in range(len(SIZES))]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


def samplers(_: Setting) -> list[Comparison]:
    """Rows of `sampler`."""
    sizes = f"{len(SIZES)} sources, {sum(SIZES):,} images, batches of {BATCH}"
    first = f"{sizes}, first {BATCHES}"
    return [
        Comparison("batches by ratio", "mmdet MultiDataSampler", lambda: _sides(0, BATCHES), first),
        Comparison("resumed sampler", "mmdet MultiDataSampler", lambda: _sides(LATE, 1), f"{sizes}, number {LATE}"),
    ]


def _sides(start: int, number: int) -> dict[str, Callable[[], Any]]:
    """mmdet's has no other way to a late batch than through those before it."""
    dataset = _Sizes()

    def ours() -> list[Any]:
        sampler = RatioBatchSampler(sampler=DefaultSampler(dataset, seed=0), batch_size=BATCH, ratios=RATIOS)
        sampler.set_iteration(start)
        return list(islice(sampler, number))

    def theirs() -> list[Any]:
        sampler = MultiDataSampler(dataset, dataset_ratio=list(RATIOS), seed=0)
        return list(islice(BatchSampler(sampler, BATCH, drop_last=True), start, start + number))

    return {"ours": ours, "theirs": theirs}
