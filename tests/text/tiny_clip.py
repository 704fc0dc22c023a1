"""A CLIP model small enough for a test to build."""

import json
from pathlib import Path
from typing import NamedTuple

import open_clip
import torch


class TinyClip(NamedTuple):
    """An architecture that is registered with open_clip, and random weights of it on disk."""

    model: str
    weights: Path
    network: torch.nn.Module


def make_tiny_clip(folder: Path, *, name: str = "tiny-clip", embed_dim: int = 16) -> TinyClip:
    """Register a tiny architecture with open_clip and save random weights of it in ``folder``."""
    config = {
        "embed_dim": embed_dim,
        "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    }
    (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / f"{name}.json")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = open_clip.create_model(name)
        # With the initial weights, all texts are nearly alike, and activations are too small to show a difference of
        # functions.
        with torch.no_grad():
            network.token_embedding.weight.mul_(50)
            for parameter in network.transformer.parameters():
                parameter.mul_(4)
    weights = folder / f"{name}.pt"
    torch.save({"state_dict": network.state_dict()}, weights)
    return TinyClip(name, weights, network.eval())
