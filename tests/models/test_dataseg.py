"""Invariants of the network."""

import pytest
import torch

from tests.models.conftest import LABEL_SPACE, QUERIES, SIZE, make_batch, make_sample

SOURCES = ("semantic", "panoptic", "instances", "boxes")


def total_loss(model, *samples):
    data = model.data_preprocessor(make_batch(*samples), training=True)
    losses = model.loss(data["inputs"], data["data_samples"])
    return sum(losses.values()), losses


@pytest.mark.parametrize("source", SOURCES)
def test_every_parameter_gets_a_gradient_from_every_kind_of_annotation(model, source):
    loss, losses = total_loss(model, make_sample(source), make_sample(source, empty=True, seed=1))
    loss.backward()
    expected = {"loss_class", "loss_projection"} if source == "boxes" else {"loss_class", "loss_mask", "loss_dice"}
    assert {name.split("/")[1] for name in losses} == expected
    without = [
        n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.abs().sum() > 0)
    ]
    assert without == []


@pytest.mark.parametrize("source", SOURCES)
def test_a_batch_without_targets_trains_and_touches_every_parameter(model, source):
    loss, losses = total_loss(model, make_sample(source, empty=True))
    loss.backward()
    assert all(value == 0 for name, value in losses.items() if not name.endswith("loss_class"))
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_a_training_batch_of_two_sources_is_refused(model):
    with pytest.raises(ValueError, match=r"one source, got \['boxes', 'panoptic'\]"):
        total_loss(model, make_sample("boxes"), make_sample("panoptic"))


def test_a_sample_of_an_unknown_source_is_refused(model):
    with pytest.raises(ValueError, match=r"elsewhere\.jpg.*'elsewhere'.*expected one of"):
        total_loss(model, make_sample("elsewhere"))


def test_each_image_of_a_batch_is_answered_by_its_own_task(model):
    model.eval()
    data = model.data_preprocessor(make_batch(*[make_sample(s) for s in SOURCES]))
    with torch.no_grad():
        semantic, panoptic, instances, boxes = model.predict(data["inputs"], data["data_samples"])
    original = (2 * SIZE[0], 2 * SIZE[1])
    assert semantic.pred_sem_seg.sem_seg.shape == (1, *original)
    assert "pred_panoptic_seg" not in semantic
    assert panoptic.pred_panoptic_seg.sem_seg.shape == (1, *original)
    for sample in (instances, boxes):
        assert sample.pred_instances.masks.shape[1:] == original
        assert set(sample.pred_instances.labels.tolist()) <= {0, 1}
    assert list(semantic.pred_sem_seg.label_names) == list(LABEL_SPACE.classes)


def test_the_answer_of_an_image_does_not_depend_on_its_batch(model):
    model.eval()
    samples = [make_sample("panoptic"), make_sample("semantic", seed=5)]
    alone, together = [], None
    with torch.no_grad():
        for sample in samples:
            data = model.data_preprocessor(make_batch(sample))
            alone.append(model._forward(data["inputs"]))
        data = model.data_preprocessor(make_batch(*samples))
        together = model._forward(data["inputs"])
    for b, proposals in enumerate(alone):
        torch.testing.assert_close(
            together.mask_embeds_LBQC[:, b], proposals.mask_embeds_LBQC[:, 0], atol=1e-4, rtol=1e-4
        )


def test_proposals_do_not_depend_on_source_or_task(model):
    """Nothing in the network depends on the task or the dataset."""
    parameters = [name.replace("panoptic_head.", "head.") for name, _ in model.named_parameters()]
    assert not any(source in name for name in parameters for source in SOURCES)
    assert model.panoptic_head.query_feat.num_embeddings == QUERIES
