"""One of several ranks on the CPU: takes its image of each batch and writes the gradients. Run by
test_distributed.py."""

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmdataseg.models.compilation import compile_parts
from tests.models import test_per_source
from tests.models.conftest import build_model, make_batch, make_sample

# (source, indices of the images that are empty)
CASES = {
    "shared": [
        ("panoptic", ()),
        ("semantic", ()),
        ("boxes", ()),
        ("panoptic", (1,)),
        ("semantic", (1,)),
        ("boxes", (0,)),
        ("instances", (0, 1)),
    ],
    "per_source": [("panoptic", ()), ("boxes", ()), ("boxes", (0,)), ("panoptic", (0, 1))],
    "compiled": [("panoptic", ()), ("boxes", (0,))],
}
_BASE = torch.rand(4096, 2, generator=torch.Generator().manual_seed(3))


def same_points(*size: Any, **_: Any) -> Tensor:
    """Replaces ``torch.rand``: the same points at each draw, for any number of maps."""
    shape = tuple(size[0]) if len(size) == 1 else size
    return _BASE[: shape[1]].expand(shape).clone()


def samples(source: str, empty: tuple[int, ...], world_size: int) -> list[dict[str, Any]]:
    """The batch of all ranks: images with four targets and three in turn (with boxes: two and one), or none."""
    batch = [make_sample(source, empty=i in empty, seed=i) for i in range(world_size)]
    for image in batch[1::2]:
        targets = image["data_samples"].gt_instances
        if not len(targets):
            continue
        if source in ("panoptic", "semantic"):
            id_map = image["data_samples"].gt_id_map.data
            id_map[id_map == len(targets) - 1] = -1
        image["data_samples"].gt_instances = targets[: len(targets) - 1]
    return batch


def build(design: str, embeddings: str) -> nn.Module:
    """The paper's model, with a compiled backbone or not, or the one with queries and backgrounds per source; the same
    weights at each call."""
    if design == "per_source":
        return test_per_source.build_model(embeddings)
    network = build_model(embeddings)
    if design == "compiled":
        compile_parts(network, {"parts": ["backbone"], "backend": "eager"})
    return network


def gradients(network: nn.Module, forward: Callable[..., dict[str, Tensor]], batch: list[dict[str, Any]]) -> Any:
    """Gradients by name, None where a parameter has none."""
    network.zero_grad(set_to_none=True)
    data = network.data_preprocessor(make_batch(*batch), training=True)
    losses = forward(data["inputs"], data["data_samples"], mode="loss")
    sum(value for name, value in losses.items() if "loss" in name).backward()
    return {name: p.grad for name, p in network.named_parameters() if p.requires_grad}


def main(rank: int, world_size: int, folder: Path, embeddings: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world_size, timeout=timedelta(seconds=90)
    )
    torch.rand = same_points
    found = {}
    for design, cases in CASES.items():
        network = build(design, embeddings)
        parallel = nn.parallel.DistributedDataParallel(network, find_unused_parameters=design == "per_source")
        found[design] = [gradients(network, parallel, [samples(*case, world_size)[rank]]) for case in cases]
    torch.save(found, folder / f"{rank}.pth")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
