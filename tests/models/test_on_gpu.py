"""Training steps and answers on a GPU. By default the GPU is `tests.fake_cuda`, which knows devices but has no kernels;
``-m gpu`` takes a real one.
"""

from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper

from mmdataseg.engine import Bfloat16OptimWrapper
from mmdataseg.models import MMDetPanopticPreprocessor
from mmdataseg.models.targets import box_targets
from mmdataseg.registry import MODELS
from tests.models.conftest import LABEL_SPACE, build_model, make_batch, make_sample, model_config
from tests.models.per_source_model import build_model as build_per_source

SOURCES = ("semantic", "panoptic", "instances", "boxes")
FIELDS = {"semantic": "pred_sem_seg", "panoptic": "pred_panoptic_seg"}


def losses_of(model: torch.nn.Module, *samples: dict[str, Any]) -> dict[str, torch.Tensor]:
    return model.forward(**model.data_preprocessor(make_batch(*samples), True), mode="loss")


def answer_of(model: torch.nn.Module, source: str) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        (sample,) = model.eval().test_step(make_batch(make_sample(source)))
    return dict(sample.get(FIELDS.get(source, "pred_instances")).items())


@pytest.mark.parametrize("wrapper", [OptimWrapper, Bfloat16OptimWrapper])
@pytest.mark.parametrize("source", SOURCES)
def test_a_training_step_changes_all_parameters(device, source, wrapper, embeddings_file):
    model = build_model(embeddings_file).to(device).train()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    step = wrapper(optimizer=torch.optim.AdamW(model.parameters(), lr=1e-4))
    losses = model.train_step(make_batch(make_sample(source), make_sample(source, seed=1)), step)
    assert all(value.is_cuda and value.isfinite() for value in losses.values())
    assert all(parameter.is_cuda for parameter in model.parameters())
    assert [name for name, parameter in model.named_parameters() if parameter.equal(before[name])] == []


@pytest.mark.parametrize("source", SOURCES)
def test_a_batch_without_targets(device, source, embeddings_file):
    model = build_model(embeddings_file).to(device).train()
    losses = losses_of(model, make_sample(source, empty=True))
    sum(losses.values()).backward()
    assert all(value.is_cuda and value.isfinite() for value in losses.values())


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("panoptic", {"criterion.merge": "after_matching", "criterion.targets.masks.num_points": None}),
        ("panoptic", {"criterion.merge": "none", "criterion.targets.masks.bce_weight": 5.0}),
        ("boxes", {"criterion.targets.boxes.cost": None}),
    ],
)
def test_other_criteria(device, source, options, embeddings_file):
    torch.manual_seed(0)
    model = MODELS.build(changed(embeddings_file, options)).to(device).train()
    losses = losses_of(model, make_sample(source))
    assert all(value.is_cuda and value.isfinite() for value in losses.values())


def test_the_colour_affinity(device, embeddings_file, monkeypatch):
    # what is recomputed in the backward pass asks the GPU for its random state, and the fake one has none
    monkeypatch.setattr(box_targets, "checkpoint", lambda loss, *inputs, use_reentrant: loss(*inputs))  # noqa: ARG005
    options = {
        "data_preprocessor.type": "mmdataseg.ColorSimilarityPreprocessor",
        "criterion.targets.boxes.affinity_weight": 1.0,
    }
    losses = losses_of(MODELS.build(changed(embeddings_file, options)).to(device), make_sample("boxes"))
    assert losses["boxes/loss_affinity"].is_cuda
    assert losses["boxes/loss_affinity"].isfinite()


@pytest.mark.parametrize("source", SOURCES)
def test_answers(device, source, embeddings_file):
    fields = answer_of(build_model(embeddings_file).to(device), source)
    assert all(value.is_cuda for value in fields.values())
    assert fields["masks" if source in ("instances", "boxes") else "sem_seg"].shape[-2:] == (128, 192)


@pytest.mark.parametrize(
    ("source", "processor"),
    [
        ("panoptic", {"type": "mmdataseg.FusionPanopticPostProcessor", "score_threshold": 0.0, "kept_share": 0.1}),
        ("semantic", {"type": "mmdataseg.SemanticPostProcessor", "merge": "probability"}),
    ],
)
def test_other_post_processors(device, source, processor, embeddings_file):
    config = model_config(embeddings_file)
    config.postprocessors[source] = processor
    assert answer_of(MODELS.build(config).to(device), source)["sem_seg"].is_cuda


def test_queries_and_backgrounds_per_source_and_a_weight_for_new_words(device, embeddings_file):
    model = build_per_source(embeddings_file).to(device)
    assert all(value.is_cuda for value in losses_of(model, make_sample("boxes")).values())
    model.classifier.new_words_weight = 2.0
    text_KD = model.classifier.matrix("panoptic")
    model.classifier.class_layer_words.set(text_KD.cpu(), torch.cat([text_KD, text_KD[:1]]).cpu())
    assert all(value.is_cuda for value in answer_of(model, "boxes").values())
    model.classifier.load_state_dict(model.classifier.state_dict())


@pytest.mark.parametrize(
    "config",
    [
        {
            "type": "mmdataseg.ViTDet", "arch": {"embed_dim": 16, "depth": 4, "num_heads": 2}, "img_size": 64,
            "window_size": 2, "out_channels": 8,
        },
        {"type": "mmdataseg.TimmBackbone", "model": "resnet10t", "out_indices": (1, 2, 3, 4)},
    ],
)  # fmt: skip
def test_other_backbones(device, config):
    maps = MODELS.build(config).to(device)(torch.ones(1, 3, 80, 64, device=device))
    maps = MODELS.build({"type": "mmdataseg.PositionChannels"}).to(device)(maps)
    sum(level.sum() for level in maps).backward()
    assert all(level.is_cuda for level in maps)


def test_samples_for_mmdets_heads(device):
    sources = [{"name": "panoptic", "task": "panoptic", "label_space": LABEL_SPACE}]
    preprocessor = MMDetPanopticPreprocessor(sources=sources, pad_size_divisor=32, pad_mask=True, pad_seg=True)
    packed = preprocessor.to(device)(make_batch(make_sample("panoptic")), training=True)
    (sample,) = packed["data_samples"]
    assert packed["inputs"].is_cuda
    assert sample.gt_sem_seg.sem_seg.is_cuda
    assert sample.gt_instances.labels.is_cuda


def changed(embeddings: str, options: dict[str, Any]) -> Any:
    """The config of the small model with some values changed, by their dotted names."""
    config = model_config(embeddings)
    for name, value in options.items():
        *parents, last = name.split(".")
        place = config
        for parent in parents:
            place = place[parent]
        place[last] = value
    return config
