"""Sampling with ranks that are real processes."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from mmdataseg.datasets.ratio_sampler import RatioBatchSampler

# a rank: told nothing of the seed, it must agree with the others on one
RANK = """
import json, sys
from types import SimpleNamespace
import torch.distributed as dist
from mmdataseg.datasets.ratio_sampler import RatioBatchSampler

rank, world_size, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world_size)

class Sizes:
    cumulative_sizes = [13, 60]
    def __len__(self):
        return 60

sampler = RatioBatchSampler(sampler=SimpleNamespace(dataset=Sizes()), batch_size=12 // world_size, ratios=[1, 2])
stream = [(sampler.global_batch(t)[0], [(int(i), i.seed) for i in sampler.batch(t)]) for t in range(40)]
with open(f"{folder}/{rank}.json", "w") as file:
    json.dump({"seed": sampler.seed, "stream": stream}, file)
dist.destroy_process_group()
"""


class Sizes:
    cumulative_sizes = (13, 60)

    def __len__(self):
        return 60


@pytest.mark.parametrize("world_size", [2, *(pytest.param(count, marks=pytest.mark.slow) for count in (3, 4))])
def test_processes_share_the_batches_of_one(tmp_path, repo_root, world_size):
    """No number of ranks divides the 13 and the 47 images."""
    ranks = [
        subprocess.Popen([sys.executable, "-c", RANK, str(rank), str(world_size), str(tmp_path)], cwd=repo_root)
        for rank in range(world_size)
    ]
    assert [rank.wait(timeout=240) for rank in ranks] == [0] * world_size
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(world_size)]
    (seed,) = {rank["seed"] for rank in found}
    sampler = torch.utils.data.SequentialSampler([])
    sampler.dataset = Sizes()
    alone = RatioBatchSampler(sampler=sampler, batch_size=12, ratios=[1, 2], seed=seed)
    for t, shares in enumerate(zip(*(rank["stream"] for rank in found), strict=True)):
        assert len({source for source, _ in shares}) == 1
        together = [tuple(sample) for _, share in shares for sample in share]
        assert len({index for index, _ in together}) == 12
        assert together == [(int(i), i.seed) for i in alone.batch(t)]
    drawn = np.bincount([source for source, _ in found[0]["stream"][:39]])
    assert drawn.tolist() == [13, 26]
