"""Where we claim to compute what mmdet's Mask2Former computes: same weights, same points, same numbers."""

import pytest
import torch
from mmdet.models.dense_heads import Mask2FormerHead
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from mmdataseg.models import DaTaSegHead, Proposals
from mmdataseg.models.targets.mask_targets import MaskAnnotation
from mmdataseg.ops.id_map import masks_from_id_map
from mmdataseg.registry import MODELS
from mmdataseg.structures import Task
from tests.models.conftest import (
    LABEL_SPACE,
    QUERIES,
    TEXT_DIM,
    criterion_config,
    head_config,
    make_sample,
    model_config,
)
from tests.tolerances import THROUGH_LAYERS

IN_CHANNELS = (16, 24, 32, 48)
NUM_POINTS = 96


def mmdet_head(config):
    """The arguments of mmdet's head: those that ours shares with it, and its losses and matching."""
    num_classes = len(LABEL_SPACE)
    return ConfigDict(
        **config,
        num_things_classes=2,
        num_stuff_classes=num_classes - 2,
        loss_cls=ConfigDict(
            type="CrossEntropyLoss", loss_weight=2.0, reduction="mean", class_weight=[1.0] * num_classes + [0.1]
        ),
        loss_mask=ConfigDict(type="CrossEntropyLoss", use_sigmoid=True, reduction="mean", loss_weight=5.0),
        loss_dice=ConfigDict(
            type="DiceLoss",
            use_sigmoid=True,
            activate=True,
            reduction="mean",
            naive_dice=True,
            eps=1.0,
            loss_weight=5.0,
        ),
        train_cfg=ConfigDict(
            num_points=NUM_POINTS,
            assigner={
                "type": "HungarianAssigner",
                "match_costs": [
                    {"type": "ClassificationCost", "weight": 2.0},
                    {"type": "CrossEntropyLossCost", "weight": 5.0, "use_sigmoid": True},
                    {"type": "DiceCost", "weight": 5.0, "pred_act": True, "eps": 1.0},
                ],
            },
            sampler={"type": "MaskPseudoSampler"},
        ),
    )


@pytest.fixture
def heads():
    torch.manual_seed(1)
    config = head_config(in_channels=IN_CHANNELS)
    config.pop("type")
    theirs = Mask2FormerHead(**mmdet_head(config))
    theirs.init_weights()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    ours = DaTaSegHead(**config, class_embed_dim=TEXT_DIM)
    return ours, theirs


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(2)
    return [
        torch.randn(2, c, 64 // s, 96 // s, generator=generator)
        for c, s in zip(IN_CHANNELS, (4, 8, 16, 32), strict=True)
    ]


@pytest.fixture
def same_points(monkeypatch):
    """Every draw of points gives the same points, in both heads and for any number of maps."""
    base = torch.rand(4 * NUM_POINTS, 2, generator=torch.Generator().manual_seed(3))

    def rand(*size, **_):
        shape = tuple(size[0]) if len(size) == 1 else size
        return base[: shape[1]].expand(shape).clone()

    monkeypatch.setattr(torch, "rand", rand)


def test_a_mask2former_checkpoint_loads_except_for_the_classifier(heads):
    ours, theirs = heads
    report = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert {name.split(".")[0] for name in report.missing_keys} == {"class_embed"}
    assert {name.split(".")[0] for name in report.unexpected_keys} == {"cls_embed"}


def test_the_checkpoint_of_a_whole_mask2former_loads_except_for_the_classifier(model, embeddings_file):
    """With the backbone, and with equal values: the parts of the detector have mmdet's names, too."""
    head = {**head_config(), "type": "mmdet.Mask2FormerHead"}
    options = mmdet_head(head)
    train_cfg = options.pop("train_cfg")
    theirs = MODELS.build(
        ConfigDict(
            type="mmdet.Mask2Former",
            backbone=model_config(embeddings_file)["backbone"],
            panoptic_head=options,
            panoptic_fusion_head={
                "type": "mmdet.MaskFormerFusionHead", "num_things_classes": 2, "num_stuff_classes": 2,
            },
            train_cfg=train_cfg,
            test_cfg={},
        )
    )  # fmt: skip
    state = theirs.state_dict()
    report = model.load_state_dict(state, strict=False)
    assert {name.split(".")[1] for name in report.unexpected_keys} == {"cls_embed"}
    missing = {".".join(name.split(".")[:2]) for name in report.missing_keys if not name.startswith("classifier.")}
    assert missing == {"panoptic_head.class_embed"}
    loaded = model.state_dict()
    assert any(name.startswith("backbone.layer4.") for name in state)
    assert all(torch.equal(loaded[name], value) for name, value in state.items() if name in loaded)


def test_mask_logits_of_every_output_equal_mmdets(heads, features):
    ours, theirs = heads
    ours.load_state_dict(theirs.state_dict(), strict=False)
    ours.eval(), theirs.eval()
    _, expected = theirs(features, [None, None])
    proposals = ours(features)
    actual = torch.einsum("lbqc,bchw->lbqhw", proposals.mask_embeds_LBQC, proposals.mask_features_BCHW)
    torch.testing.assert_close(actual, torch.stack(expected), **THROUGH_LAYERS)


def test_gradients_of_the_shared_parameters_equal_mmdets(heads, features):
    ours, theirs = heads
    ours.load_state_dict(theirs.state_dict(), strict=False)
    _, expected = theirs(features, [None, None])
    torch.stack(expected).square().mean().backward()
    proposals = ours(features)
    torch.einsum(
        "lbqc,bchw->lbqhw", proposals.mask_embeds_LBQC, proposals.mask_features_BCHW
    ).square().mean().backward()
    theirs_grad = {name: p.grad for name, p in theirs.named_parameters() if p.grad is not None}
    ours_grad = {name: p.grad for name, p in ours.named_parameters() if p.grad is not None}
    assert set(theirs_grad) == set(ours_grad)
    for name, grad in theirs_grad.items():
        torch.testing.assert_close(
            ours_grad[name], grad, rtol=1e-3, atol=1e-4 * max(1.0, float(grad.abs().max())), msg=name
        )


@pytest.mark.usefixtures("same_points")
@pytest.mark.parametrize("num_images_with_targets", [0, 1, 2])
def test_losses_equal_mmdets(heads, num_images_with_targets):
    _, theirs = heads
    generator = torch.Generator().manual_seed(4)
    num_outputs, channels, size = 3, 8, (16, 24)
    embeds = torch.randn(num_outputs, 2, QUERIES, channels, generator=generator)
    mask_features = torch.randn(2, channels, *size, generator=generator)
    class_logits = torch.randn(num_outputs, 2, QUERIES, len(LABEL_SPACE) + 1, generator=generator)
    mask_logits = torch.einsum("lbqc,bchw->lbqhw", embeds, mask_features)
    targets, instances = [], []
    for image in range(2):
        sample = make_sample("panoptic", empty=image >= num_images_with_targets)["data_samples"]
        id_map = sample.gt_id_map.data[0]
        id_map[id_map == -1] = 3 if len(sample.gt_instances.labels) else -1  # mmdet has no void
        labels = sample.gt_instances.labels
        void = torch.zeros_like(id_map, dtype=torch.bool)
        targets.append(MaskAnnotation(labels, tuple(id_map.shape), void_HW=void, id_map_HW=id_map))
        instances.append(InstanceData(labels=labels, masks=masks_from_id_map(id_map, len(labels))))
    expected = [
        torch.as_tensor(sum(terms)).squeeze()
        for terms in zip(
            *(
                theirs._loss_by_feat_single(c, m, instances, [{}, {}])
                for c, m in zip(class_logits, mask_logits, strict=True)
            ),
            strict=True,
        )
    ]
    if num_images_with_targets == 1:  # mmdet counts an image without targets as one target; we count no target
        expected[1:] = [term * (4 + 1) / 4 for term in expected[1:]]
    # Mask2Former's losses and its matching of raw proposals
    masks = criterion_config(num_points=NUM_POINTS, focal_weight=0.0, bce_weight=5.0, dice_weight=5.0)
    criterion = MODELS.build({**masks, "merge": "none"})
    losses = criterion(
        Proposals(None, embeds, mask_features),
        class_logits,
        targets,
        supervision="masks",
        mergeable=LABEL_SPACE.mergeable(Task.PANOPTIC),
        padded_size=(64, 96),
    )
    actual = [losses["loss_class"], losses["loss_bce"], losses["loss_dice"]]
    torch.testing.assert_close(actual, expected, **THROUGH_LAYERS)
