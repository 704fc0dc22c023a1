"""Ranks that are real processes."""

import json
import subprocess
import sys

import numpy as np
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

sampler = RatioBatchSampler(sampler=SimpleNamespace(dataset=Sizes()), batch_size=3, ratios=[1, 2])
stream = [(sampler.global_batch(t)[0], [(int(i), i.seed) for i in sampler.batch(t)]) for t in range(40)]
with open(f"{folder}/{rank}.json", "w") as file:
    json.dump({"seed": sampler.seed, "stream": stream}, file)
dist.destroy_process_group()
"""


class Sizes:
    cumulative_sizes = (13, 60)

    def __len__(self):
        return 60


def test_two_processes_share_the_batches_of_one(tmp_path, repo_root):
    ranks = [
        subprocess.Popen([sys.executable, "-c", RANK, str(rank), "2", str(tmp_path)], cwd=repo_root)
        for rank in range(2)
    ]
    assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first["seed"] == second["seed"]
    sampler = torch.utils.data.SequentialSampler([])
    sampler.dataset = Sizes()
    alone = RatioBatchSampler(sampler=sampler, batch_size=6, ratios=[1, 2], seed=first["seed"])
    for t, ((source, left), (other_source, right)) in enumerate(zip(first["stream"], second["stream"], strict=True)):
        assert source == other_source
        assert not {index for index, _ in left} & {index for index, _ in right}
        assert [tuple(sample) for sample in left + right] == [(int(i), i.seed) for i in alone.batch(t)]
    drawn = np.bincount([source for source, _ in first["stream"][:39]])
    assert drawn.tolist() == [13, 26]
