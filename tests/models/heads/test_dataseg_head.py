"""Invariants of the head; test_parity_with_mmdet.py shows that it equals mmdet's."""

import pytest
import torch
import torch.nn.functional as F

from mmdataseg.errors import UserError
from mmdataseg.models import DaTaSegHead
from mmdataseg.models.heads import dataseg_head as module
from tests.models.conftest import CHANNELS, LAYERS, QUERIES, TEXT_DIM, head_config
from tests.models.small_head import IN_CHANNELS, build, maps
from tests.tolerances import THROUGH_LAYERS


@pytest.fixture(scope="module")
def head() -> DaTaSegHead:
    return build()


@torch.no_grad()
def test_shapes_of_all_outputs(head):
    proposals = head(maps())
    assert proposals.class_embeds_LBQD.shape == (LAYERS + 1, 2, QUERIES, TEXT_DIM)
    assert proposals.mask_embeds_LBQC.shape == (LAYERS + 1, 2, QUERIES, CHANNELS)
    assert proposals.mask_features_BCHW.shape == (2, CHANNELS, 16, 24)


@torch.no_grad()
def test_an_image_does_not_depend_on_its_batch(head):
    together = head(maps())
    for b in range(2):
        alone = head([m[b : b + 1] for m in maps()])
        torch.testing.assert_close(together.class_embeds_LBQD[:, b], alone.class_embeds_LBQD[:, 0], **THROUGH_LAYERS)
        torch.testing.assert_close(together.mask_embeds_LBQC[:, b], alone.mask_embeds_LBQC[:, 0], **THROUGH_LAYERS)
        torch.testing.assert_close(together.mask_features_BCHW[b], alone.mask_features_BCHW[0], **THROUGH_LAYERS)


@torch.no_grad()
def test_the_first_output_does_not_depend_on_the_image(head):
    one, other = head(maps(1)), head([m + 1 for m in maps(1)])
    assert torch.equal(one.class_embeds_LBQD[0], other.class_embeds_LBQD[0])
    assert not torch.allclose(one.class_embeds_LBQD[1], other.class_embeds_LBQD[1])


@torch.no_grad()
def test_the_order_of_the_queries_does_not_matter(head):
    expected = head(maps(1))
    permuted, order = build(), torch.randperm(QUERIES, generator=torch.Generator().manual_seed(0))
    for embedding in (permuted.query_feat, permuted.query_embed):
        embedding.weight.copy_(embedding.weight[order])
    actual = permuted(maps(1))
    torch.testing.assert_close(actual.class_embeds_LBQD, expected.class_embeds_LBQD[:, :, order], **THROUGH_LAYERS)


@torch.no_grad()
def test_attention_masks_equal_those_of_resized_logits(head, monkeypatch):
    """Resizing the features once per level equals resizing every query's logits."""
    seen = []
    shrinker = module.masks_to_attention
    monkeypatch.setattr(
        module, "masks_to_attention", lambda e, f: (seen.append((e, f.shape[-2:], shrinker(e, f))), seen[-1][2])[1]
    )
    proposals = head(maps())
    assert [tuple(size) for _, size, _ in seen] == [(2, 3), (4, 6), (8, 12)]  # coarse to fine, one per layer
    for mask_embeds, size, masked in seen:
        logits = torch.einsum("bqc,bchw->bqhw", mask_embeds, proposals.mask_features_BCHW)
        small = F.interpolate(logits, size, mode="bilinear", align_corners=False).flatten(2)
        expected = (small < 0) & ~(small < 0).all(-1, keepdim=True)
        sure = small.abs() > 1e-4
        blind = (small < 0).sum(-1, keepdim=True) >= small.shape[-1] - (~sure).sum(-1, keepdim=True)
        assert torch.equal(masked[sure & ~blind], expected[sure & ~blind])
        assert (sure & ~blind).float().mean() > 0.2
        assert not masked.all(-1).any()


def test_a_head_keeps_no_state_between_calls(head):
    before = {name: value.clone() for name, value in head.state_dict().items()}
    attributes = set(vars(head))
    with torch.no_grad():
        first, _, again = head(maps(1)), head(maps(2, (32, 64))), head(maps(1))
    assert torch.equal(first.mask_embeds_LBQC, again.mask_embeds_LBQC)
    assert set(vars(head)) == attributes
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())


def test_channels_may_differ_between_the_decoders():
    """As in mmdet, a projection connects them, with mmdet's parameter names."""
    config = head_config(in_channels=IN_CHANNELS)
    wide = head_config(channels=2 * CHANNELS, in_channels=IN_CHANNELS)
    head = build(
        pixel_decoder=config["pixel_decoder"],
        transformer_decoder=wide["transformer_decoder"],
        positional_encoding=wide["positional_encoding"],
    )
    with torch.no_grad():
        assert head(maps(1)).mask_embeds_LBQC.shape == (LAYERS + 1, 1, QUERIES, CHANNELS)
    assert head.decoder_input_projs[0].weight.shape == (2 * CHANNELS, CHANNELS, 1, 1)


def test_unknown_keywords_are_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'num_classes'"):
        build(num_classes=80)
    with pytest.raises(TypeError, match="unexpected keyword argument 'num_layer'"):
        build(transformer_decoder={**head_config()["transformer_decoder"], "num_layer": 3})


@torch.no_grad()
def test_class_embeddings_of_one_layer_are_linear_in_the_queries():
    """The masks do not change: they are those of the head with three layers and the same weights."""
    one, three = build(class_embed_layers=1), build()
    shared = {name: value for name, value in three.state_dict().items() if not name.startswith("class_embed.")}
    one.load_state_dict(shared, strict=False)
    linear = one.class_embed[0]
    assert (len(one.class_embed), linear.in_features, linear.out_features) == (1, CHANNELS, TEXT_DIM)
    ours, theirs = one(maps()), three(maps())
    torch.testing.assert_close(ours.mask_embeds_LBQC, theirs.mask_embeds_LBQC)
    assert ours.class_embeds_LBQD.shape == theirs.class_embeds_LBQD.shape


def test_another_number_of_layers_is_refused():
    with pytest.raises(UserError, match="class_embed_layers: expected 1 or 3, got 2"):
        build(class_embed_layers=2)
