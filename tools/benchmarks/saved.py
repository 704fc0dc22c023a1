"""`saved`: the bytes that a training step of a config keeps for its backward pass, by part of the network.

They are the largest part of the memory of a training. Not counted: temporary tensors, gradients, workspaces, and memory
that is lost between blocks. The forward pass runs on the given device, with random weights and drawn annotations of one
image, and each tensor is forgotten as soon as it is counted. On a CPU, deformable attention is computed as on a GPU
without mmcv's compiled operator.
"""

import argparse
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from torch.multiprocessing.reductions import StorageWeakRef

from mmdataseg.apis.parsers import Parser
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.models.heads import pixel_decoder
from mmdataseg.ops.deformable_attention import deformable_attention
from mmdataseg.registry import MODELS

PARTS = ("backbone", "panoptic_head.pixel_decoder", "panoptic_head", "criterion")
GIB = 2**30


def add_arguments(parser: Parser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument("config", type=Path, help="config of a training")
    parser.add_argument("--source", help="one of the config's sources (default: the first that is trained on)")
    parser.add_argument("--size", type=int, default=1024, help="side of the image in pixels (default: 1024)")
    parser.add_argument("--targets", type=int, default=12, help="targets of the image (default: 12)")
    parser.add_argument("--bfloat16", action="store_true", help="under autocast")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")


def check_arguments(args: argparse.Namespace, parser: Parser) -> None:
    """End with a message if a number is below 1, or the config does not exist."""
    if min(args.size, args.targets) < 1:
        parser.error("--size and --targets must be at least 1")
    if not args.config.is_file():
        parser.error(f"{args.config}: no such config")


def run(args: argparse.Namespace) -> None:
    """Print the table."""
    model = build(args.config, args.device)
    trained = [name for name, source in model.sources.items() if source.train is not None]
    name = args.source or trained[0]
    if name not in trained:
        raise SystemExit(f"--source {name}: expected one of {trained}")
    found = saved_bytes(model, sample(model, name, args.size, args.targets, args.device), bfloat16=args.bfloat16)
    parameters = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    print(f"{args.config}, one image of {name}: {args.size} x {args.size} pixels, {args.targets} targets")
    for part, number in [*found.items(), ("kept for the backward pass", found.total())]:
        print(f"{part:30} {number / GIB:8.2f} GiB")
    print(f"{'weights, gradients, AdamW':30} {4 * parameters / GIB:8.2f} GiB, whatever the batch")


def build(config: Path, device: str) -> torch.nn.Module:
    """Build the model of a config in training mode, with random weights and text embeddings."""
    register_all_modules()
    init_default_scope("mmdet")
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model)
    for name, rows in model.classifier.named_buffers(recurse=False):
        if name.startswith("embeddings_"):
            rows.copy_(torch.nn.functional.normalize(torch.randn_like(rows), dim=1))
    return model.to(device).train()


def sample(
    model: torch.nn.Module, source: str, size: int, targets: int, device: str
) -> tuple[torch.Tensor, list[DetDataSample]]:
    """Return a batch of one image with drawn annotations: stripes, or boxes of a third of its side.

    Args:
        model: The model, for the supervision and the classes of the source.
        source: Name of the source.
        size: Side of the image in pixels.
        targets: Number of its targets.
        device: Device of all tensors.

    Returns:
        (1, 3, size, size) float32 noise, and the sample of the image.
    """
    annotated = DetDataSample(metainfo={"source": source, "img_path": "drawn", "img_shape": (size, size)})
    labels = torch.arange(targets, device=device) % len(model.sources[source].label_space)
    annotated.gt_instances = InstanceData(labels=labels)
    if model.sources[source].supervision == "boxes":
        corners = torch.rand(targets, 2, device=device) * size * 2 / 3
        annotated.gt_instances.bboxes = torch.cat([corners, corners + size / 3], dim=1)
    else:
        stripes = torch.arange(size, device=device, dtype=torch.int32) * targets // size
        annotated.gt_id_map = PixelData(data=stripes.expand(1, size, size).contiguous())
    return torch.randn(1, 3, size, size, device=device), [annotated]


def saved_bytes(
    model: torch.nn.Module, batch: tuple[torch.Tensor, list[DetDataSample]], *, bfloat16: bool = False
) -> Counter[str]:
    """Count the bytes that are kept for the backward pass.

    Args:
        model: The model.
        batch: As `sample` returns it.
        bfloat16: Run the forward pass under autocast.

    Returns:
        Innermost part of `PARTS` that was running, or "rest" -> bytes.
    """
    running, found = ["rest"], Counter()
    # by storage, as views share one; a weak reference keeps its address from being used again
    known = {StorageWeakRef(tensor.untyped_storage()) for tensor in (*model.parameters(), *model.buffers())}

    def count(tensor: torch.Tensor) -> None:
        storage = StorageWeakRef(tensor.untyped_storage())
        if storage not in known:
            known.add(storage)
            found[running[-1]] += tensor.untyped_storage().nbytes()

    def enter(part: str, *_: Any) -> None:
        running.append(part)

    def leave(*_: Any) -> None:
        running.pop()

    handles = []
    for part in PARTS:
        module = model.get_submodule(part)
        handles.append(module.register_forward_pre_hook(partial(enter, part)))
        handles.append(module.register_forward_hook(leave))
    usual = pixel_decoder.deformable_attention
    pixel_decoder.deformable_attention = lambda *inputs, **_: deformable_attention(*inputs, way="grid_sample")
    device = batch[0].device.type
    try:
        with (
            torch.autograd.graph.saved_tensors_hooks(count, lambda kept: kept),
            torch.autocast(device, torch.bfloat16, enabled=bfloat16),
        ):
            model.loss(*batch)
    finally:
        pixel_decoder.deformable_attention = usual
        for handle in handles:
            handle.remove()
    return found
