"""A small model with queries and backgrounds for each training source."""

import torch

from mmdataseg.registry import MODELS
from tests.models.conftest import TEXT_DIM, model_config, sources

TRAINED = ("panoptic", "boxes")


def configs(embeddings: str, **changes: dict) -> list[dict]:
    """Two of the four sources are trained on; the others have the same classes."""
    train = {name: {"train": {}} for name in TRAINED}
    return [
        {**config, **train.get(config["name"], {}), **changes.get(config["name"], {})} for config in sources(embeddings)
    ]


def build_model(embeddings: str, *, background: str = "per_source", queries: str = "per_source", **changes: dict):
    torch.manual_seed(0)
    classifier = {"type": "mmdataseg.TextClassifier", "embed_dim": TEXT_DIM, "background": background}
    settings = {"sources": configs(embeddings, **changes), "classifier": classifier, "queries": queries}
    model = MODELS.build(model_config(embeddings, **settings))
    model.init_weights()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model
