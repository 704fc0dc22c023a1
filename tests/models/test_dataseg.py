"""Invariants of the network."""

import pytest
import torch
from mmdet.models.backbones import ResNet

from mmdataseg.errors import UserError
from mmdataseg.models import criterion
from mmdataseg.ops import merge
from mmdataseg.registry import MODELS
from tests.models.conftest import LABEL_SPACE, QUERIES, SIZE, head_config, make_batch, make_sample, model_config
from tests.models.distributed_rank import same_points
from tests.tolerances import THROUGH_LAYERS

SOURCES = ("semantic", "panoptic", "instances", "boxes")


def total_loss(model, *samples):
    data = model.data_preprocessor(make_batch(*samples), training=True)
    losses = model.loss(data["inputs"], data["data_samples"])
    losses = {name: value for name, value in losses.items() if "loss" in name}
    return sum(losses.values()), losses


@pytest.mark.parametrize("source", SOURCES)
def test_every_parameter_gets_a_gradient_from_every_kind_of_annotation(model, source):
    loss, losses = total_loss(model, make_sample(source), make_sample(source, empty=True, seed=1))
    loss.backward()
    expected = {"loss_class", "loss_projection"} if source == "boxes" else {"loss_class", "loss_focal", "loss_dice"}
    assert {name.split("/")[1] for name in losses} == expected
    without = [
        n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.abs().sum() > 0)
    ]
    assert without == []


@pytest.mark.parametrize("label", [0, 3])
@pytest.mark.parametrize("source", SOURCES)
def test_every_parameter_gets_a_gradient_when_all_proposals_predict_one_class(model, source, label):
    """As at the start of a training: with MERGE first they are one row."""
    with torch.no_grad():
        last = model.panoptic_head.class_embed[-1]
        last.weight.mul_(1e-3)
        last.bias.copy_(model.classifier.matrix(source)[label])
    data = model.data_preprocessor(make_batch(make_sample(source)), training=True)
    proposals = model.propose(data["inputs"], data["data_samples"])
    logits = model.classifier(proposals.class_embeds_LBQD, model.classifier.matrix(source), source)
    assert (logits.argmax(-1) == label).all()
    losses = model.loss(data["inputs"], data["data_samples"])
    sum(value for name, value in losses.items() if "loss" in name).backward()
    without = [n for n, p in model.named_parameters() if p.requires_grad and not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize("source", SOURCES)
def test_a_batch_without_targets_trains_and_touches_every_parameter(model, source):
    loss, losses = total_loss(model, make_sample(source, empty=True))
    loss.backward()
    assert all(value == 0 for name, value in losses.items() if not name.endswith("loss_class"))
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_the_loss_has_no_other_values_whatever_the_name_of_the_source(model):
    terms = {"loss_class": torch.tensor(2.0, requires_grad=True), "loss_dice": torch.tensor(3.0, requires_grad=True)}
    values = {f"hair_loss/{name}": value for name, value in {**terms, "rows_per_target": torch.tensor(7.0)}.items()}
    loss, logged = model.parse_losses(values)
    assert {name: float(value) for name, value in logged.items()} == {
        "loss": 5.0, "hair_loss/loss_class": 2.0, "hair_loss/loss_dice": 3.0, "hair_loss/rows_per_target": 7.0
    }  # fmt: skip
    assert next(iter(logged)) == "loss"
    loss.backward()
    assert all(value.grad == 1 for value in terms.values())


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
        torch.testing.assert_close(together.mask_embeds_LBQC[:, b], proposals.mask_embeds_LBQC[:, 0], **THROUGH_LAYERS)


def test_proposals_do_not_depend_on_source_or_task(model):
    """Nothing in the network depends on the task or the dataset."""
    parameters = [name.replace("panoptic_head.", "head.") for name, _ in model.named_parameters()]
    assert not any(source in name for name in parameters for source in SOURCES)
    assert model.panoptic_head.query_feat.num_embeddings == QUERIES


@pytest.mark.parametrize("source", SOURCES)
def test_training_in_bfloat16_is_close_to_float32(model, monkeypatch, source):
    """With the same rows and pairs: classes and costs of an untrained model are nearly equal, so that rounding could
    swap them."""
    monkeypatch.setattr(torch, "rand", same_points)
    rows, merge_rows = [], merge.merge_rows
    pairs, match = [], criterion.match
    monkeypatch.setattr(merge, "merge_rows", lambda *a: (rows.append(merge_rows(*a)), rows[0])[1])
    monkeypatch.setattr(criterion, "match", lambda *a: (pairs.append(match(*a)), pairs[0])[1])
    samples = make_sample(source), make_sample(source, empty=True, seed=1)
    expected = {name: value.item() for name, value in total_loss(model, *samples)[1].items()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, losses = total_loss(model, *samples)
    loss.backward()
    assert len(rows) == (2 if source in ("semantic", "panoptic") else 0)
    assert all(value.dtype == torch.float32 for value in losses.values())
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(expected, rel=0.05, abs=0.02)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.requires_grad)


def test_proposals_in_bfloat16_are_close_to_float32(model):
    data = model.data_preprocessor(make_batch(make_sample("panoptic"), make_sample("boxes", seed=1)))
    model.eval()
    with torch.no_grad():
        full = model.propose(data["inputs"], data["data_samples"])
        model.inference_dtype = torch.bfloat16
        half = model.propose(data["inputs"], data["data_samples"])
    for found, expected in zip(half, full, strict=True):
        assert found.dtype == expected.dtype == torch.float32
        assert 0 < (found - expected).norm() < 0.03 * expected.norm()


def test_bfloat16_of_inference_does_not_change_a_training(embeddings_file, monkeypatch):
    monkeypatch.setattr(torch, "rand", same_points)
    losses = []
    for dtype in ("float32", "bfloat16"):
        torch.manual_seed(0)
        model = MODELS.build(model_config(embeddings_file, inference_dtype=dtype)).train()
        losses.append(total_loss(model, make_sample("panoptic"))[0].item())
    assert losses[0] == losses[1]


@pytest.mark.parametrize("neck", [False, True])
def test_channels_last_memory_changes_proposals_and_gradients_by_rounding_only(embeddings_file, neck):
    """Also from weights that were saved with the other layout."""
    config = {}
    if neck:  # the maps of the backbone are read by another module than the head
        config["neck"] = {"type": "mmdataseg.PositionChannels", "num_frequencies": 1}
        config["panoptic_head"] = {**head_config(), "in_channels": [64 + 6, 128 + 6, 256 + 6, 512 + 6]}
    found = []
    for channels_last in (False, True):
        model = MODELS.build(model_config(embeddings_file, channels_last=channels_last, **config))
        model.load_state_dict(found[0][2] if found else model.state_dict())
        formats = []
        model.backbone.register_forward_pre_hook(
            lambda _, inputs, seen=formats: seen.append(inputs[0].is_contiguous(memory_format=torch.channels_last))
        )
        data = model.data_preprocessor(make_batch(make_sample("panoptic"), make_sample("boxes", seed=1)))
        proposals = model.eval().propose(data["inputs"], data["data_samples"])
        sum(part.square().mean() for part in proposals).backward()
        gradients = {name: p.grad.clone() for name, p in model.backbone.named_parameters()}
        found.append((proposals, gradients, model.state_dict()))
        weights = [p for p in model.parameters() if p.dim() == 4 and p.shape[1] > 1 and p.shape[2] > 1]
        assert formats == [channels_last]
        assert all(p.is_contiguous(memory_format=torch.channels_last) is channels_last for p in weights)
    (expected, expected_gradients, _), (actual, gradients, _) = found
    for part, expected_part in zip(actual, expected, strict=True):
        torch.testing.assert_close(part, expected_part, **THROUGH_LAYERS)
    for name, gradient in gradients.items():
        assert (gradient - expected_gradients[name]).norm() <= 1e-3 * expected_gradients[name].norm(), name


def test_a_seed_gives_the_same_weights_in_both_layouts(embeddings_file):
    weights = []
    for channels_last in (False, True):
        torch.manual_seed(0)
        model = MODELS.build(model_config(embeddings_file, channels_last=channels_last))
        model.init_weights()
        weights.append(model.state_dict())
        assert model.backbone.conv1.weight.is_contiguous(memory_format=torch.channels_last) is channels_last
    for name, expected in weights[0].items():
        assert torch.equal(weights[1][name], expected), name


def test_weights_of_other_than_four_dimensions_keep_their_layout(embeddings_file):
    """Torch's `Module.to` refuses channels-last memory for a 3D convolution."""

    @MODELS.register_module(force=True)
    class ResNetWithVolume(ResNet):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.volume = torch.nn.Conv3d(2, 3, 2)

    torch.manual_seed(0)
    config = model_config(embeddings_file, channels_last=True)
    model = MODELS.build({**config, "backbone": {**config["backbone"], "type": "mmdataseg.ResNetWithVolume"}})
    model.init_weights()
    assert model.backbone.volume.weight.is_contiguous()
    assert model.backbone.conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_an_unknown_dtype_of_inference_is_refused(embeddings_file):
    with pytest.raises(UserError, match=r"inference_dtype: expected one of \('float32', 'bfloat16'\), got 'half'"):
        MODELS.build(model_config(embeddings_file, inference_dtype="half"))


def test_a_missing_embedding_file_is_found_at_the_first_step_of_any_source(model):
    """Not hours later, at the first validation of the source without the file."""
    model.classifier._absent.add("instances")
    model.classifier.get_buffer("embeddings_instances").zero_()
    with pytest.raises(FileNotFoundError, match=r"source 'instances': text embeddings .*no such file"):
        total_loss(model, make_sample("boxes"))


class OneMap(torch.nn.Module):
    """A plain backbone: one map of stride 16."""

    def __init__(self):
        super().__init__()
        self.patches = torch.nn.Conv2d(3, 16, 16, stride=16)

    def forward(self, images):
        return self.patches(images)


def test_a_neck_makes_maps_for_a_plain_backbone(embeddings_file):
    MODELS.register_module(module=OneMap, force=True)
    neck = {"type": "mmdataseg.SimpleFeaturePyramid", "in_channels": 16, "out_channels": 8}
    config = model_config(
        embeddings_file,
        backbone={"type": "mmdataseg.OneMap"},
        neck=neck,
        panoptic_head=head_config(in_channels=(8, 8, 8, 8)),
    )
    model = MODELS.build(config)
    maps = model.extract_feat(torch.zeros(1, 3, *SIZE))
    assert [tuple(features.shape[1:]) for features in maps] == [(8, 16, 24), (8, 8, 12), (8, 4, 6), (8, 2, 3)]
    loss, _ = total_loss(model, make_sample("panoptic"))
    loss.backward()
    assert model.backbone.patches.weight.grad.abs().sum() > 0


def test_an_unknown_task_and_a_task_without_post_processor_are_refused(embeddings_file):
    postprocessors = dict(model_config(embeddings_file)["postprocessors"])
    with pytest.raises(ValueError, match="postprocessors: unknown task 'depth'; expected one of"):
        MODELS.build(
            model_config(embeddings_file, postprocessors={**postprocessors, "depth": postprocessors["instance"]})
        )
    del postprocessors["instance"]
    with pytest.raises(ValueError, match="source 'instances': no post-processor for task 'instance' among"):
        MODELS.build(model_config(embeddings_file, postprocessors=postprocessors))


@pytest.mark.parametrize("what", ["gt_instances", "gt_id_map", "bboxes"])
def test_a_sample_without_its_annotation_is_refused(model, what):
    sample = make_sample("boxes" if what == "bboxes" else "panoptic")
    if what == "bboxes":
        del sample["data_samples"].gt_instances.bboxes
    else:
        delattr(sample["data_samples"], what)
    message = {
        "gt_instances": r"source 'panoptic': panoptic\.jpg has no gt_instances",
        "gt_id_map": r"source 'panoptic': expected masks .* of panoptic\.jpg, got neither",
        "bboxes": r"source 'boxes': expected boxes in gt_instances of boxes\.jpg, got none",
    }
    with pytest.raises(ValueError, match=message[what]):
        total_loss(model, sample)


@pytest.mark.parametrize("source", ["panoptic", "instances"])
def test_an_annotation_of_another_size_than_the_image_is_refused(model, source):
    sample = make_sample(source)
    sample["data_samples"].set_metainfo({"img_shape": (64, 90)})
    with pytest.raises(ValueError, match=rf"{source}\.jpg is \(64, 96\) pixels, its image \(64, 90\)"):
        model.loss(torch.zeros(1, 3, 64, 96), [sample["data_samples"]])


def affinity_model(embeddings_file, **preprocessor):
    config = model_config(embeddings_file)
    config["data_preprocessor"].update(preprocessor)
    config["criterion"]["targets"]["boxes"]["affinity_weight"] = 5.0
    return MODELS.build(config)


def test_the_colour_affinity_reads_what_its_preprocessor_writes(embeddings_file):
    model = affinity_model(embeddings_file, type="mmdataseg.ColorSimilarityPreprocessor")
    sample = make_sample("boxes")
    sample["inputs"][:] = torch.tensor([0, 100, 200], dtype=torch.uint8)[:, None, None]  # one colour
    data = model.data_preprocessor(make_batch(sample), training=True)
    losses = model.loss(data["inputs"], data["data_samples"])
    assert set(losses) == {"boxes/loss_class", "boxes/loss_projection", "boxes/loss_affinity"}
    assert losses["boxes/loss_affinity"] > 0
    tested = model.data_preprocessor(make_batch(make_sample("boxes")), training=False)
    assert "gt_color_similarity" not in tested["data_samples"][0]


def test_the_colour_affinity_without_its_preprocessor_is_refused(embeddings_file):
    with pytest.raises(
        ValueError, match=r"of boxes\.jpg, got none; set model\.data_preprocessor\.type='mmdataseg\.Col"
    ):
        total_loss(affinity_model(embeddings_file), make_sample("boxes"))


def test_boxes_train_instances_only(embeddings_file):
    sources = [dict(s) for s in model_config(embeddings_file)["sources"]]
    sources[-1].update(task="panoptic", train={})
    with pytest.raises(ValueError, match=r"source 'boxes': supervision 'boxes' .* got task 'panoptic'; set task='inst"):
        MODELS.build(model_config(embeddings_file, sources=sources))


def test_a_supervision_without_targets_is_refused(embeddings_file):
    sources = [dict(s) for s in model_config(embeddings_file)["sources"]]
    sources[-1]["supervision"] = "scribbles"
    tested_only = MODELS.build(model_config(embeddings_file, sources=sources))
    with pytest.raises(ValueError, match="source 'boxes': no targets for supervision 'scribbles'"):
        total_loss(tested_only, make_sample("boxes"))
    sources[-1]["train"] = {}
    with pytest.raises(
        ValueError, match=r"source 'boxes': no targets for supervision 'scribbles' among \['masks', 'bo"
    ):
        MODELS.build(model_config(embeddings_file, sources=sources))
