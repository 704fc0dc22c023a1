"""What a GPU would notice in the losses, checked without one: waits of the host, and tensors on the wrong device."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from mmdataseg.models import criterion as module
from mmdataseg.models.targets.base import Annotation
from mmdataseg.models.targets.proposal_masks import Members
from tests.models.criterion_cases import (
    BACKGROUND,
    HEIGHT,
    SIZE,
    WIDTH,
    boxes,
    criterion_of,
    losses_of,
    proposals_of,
    regions,
)

COPIES = {torch.tensor, torch.Tensor.new_tensor, torch.Tensor.cpu, torch.Tensor.item, torch.Tensor.tolist}
WAITS = {*COPIES, torch.Tensor.nonzero, torch.Tensor.__bool__, torch.Tensor.__int__, torch.Tensor.__float__}


class Waits(TorchFunctionMode):
    """Collects the names of calls for which the host waits until a GPU has done all its work."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in WAITS or (function is torch.Tensor.__getitem__ and _is_mask(args[1])):
            self.names.append(function.__name__)
        return function(*args, **(kwargs or {}))


def _is_mask(index) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, torch.Tensor) and part.dtype == torch.bool for part in parts)


def case(annotated: str, batch: int):
    """Proposals, class logits and annotations of a batch of different images, the last without a target."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(batch, 5, HEIGHT, WIDTH, generator=generator)
    classes = torch.randn(3, batch, 5, BACKGROUND + 1, generator=generator)
    if annotated == "boxes":
        targets = [
            boxes(SIZE, [[1.0, 2.0, 17.0, 29.0], [3.0, 3.0, 26.5, 11.0]][: 1 + n % 2], [0, 1][: 1 + n % 2])
            for n in range(batch - 1)
        ]
        return proposals_of(logits, 3), classes, [*targets, boxes(SIZE, [], [])]
    maps = torch.randint(-1, 2, (batch - 1, SIZE[0] // 4, SIZE[1] // 4), generator=generator)
    targets = [regions(part.repeat_interleave(4, 0).repeat_interleave(4, 1), 0, 1) for part in maps]
    return proposals_of(logits, 3), classes, [*targets, regions(torch.full(SIZE, -1))]


@pytest.mark.parametrize("annotated", ["regions", "boxes"])
def test_the_waits_do_not_grow_with_the_batch(annotated):
    found = []
    for batch in (2, 5):
        batch_of_images = case(annotated, batch)
        with Waits() as waits:
            losses_of(criterion_of(), *batch_of_images)
        found.append(waits.names)
    assert found[0] == found[1]
    # the classes that MERGE joins (not of boxes); the costs; the members of the matched rows
    assert found[0] == ["tensor"] * (annotated == "regions") + ["cpu", "tolist", "nonzero"]


@pytest.mark.skipif(
    torch.__version__ < "2.13" and not torch.cuda.is_available(),
    reason="torch 2.1.2 and 2.5.1 start CUDA for fake tensors, torch 2.13.0 does not",
)
@pytest.mark.parametrize("annotated", ["regions", "boxes"])
def test_all_tensors_are_on_the_device_of_the_proposals(annotated, monkeypatch):
    """Fake tensors have a device and a shape but no values, and refuse two devices in one operation."""
    proposals, classes, targets = case(annotated, 2)
    mode = FakeTensorMode()

    def on_gpu(tensor):
        fake = mode.from_tensor(tensor)
        with mode:
            return fake.to("cuda")

    def some_targets(costs, _):
        return torch.zeros(len(costs), *costs[0].shape[:2], dtype=torch.int64, device=costs[0].device)

    def some_members(rows_BLQ, _, rows_per_image):
        some = torch.zeros(9, dtype=torch.int64, device=rows_BLQ.device)
        return Members(some, some, some, some, some, (5, 4), rows_per_image)

    monkeypatch.setattr(module, "match", some_targets)  # both read values
    monkeypatch.setattr(module, "members_of", some_members)
    proposals = type(proposals)(None, *(on_gpu(part) for part in proposals[1:]))
    targets = [_with_tensors(target, on_gpu) for target in targets]
    classes, criterion = on_gpu(classes), criterion_of()
    with mode:
        losses = losses_of(criterion, proposals, classes, targets)
    assert {str(value.device) for value in losses.values()} == {"cuda:0"}


def _with_tensors(annotation: Annotation, change) -> Annotation:
    values = {name: change(v) if isinstance(v, torch.Tensor) else v for name, v in vars(annotation).items()}
    return type(annotation)(**values)
