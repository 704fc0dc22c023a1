"""The pixel decoder gives mmdet's numbers, whichever operator computes its attention."""

import sys
from types import SimpleNamespace

import pytest
import torch
from mmcv.ops import MultiScaleDeformableAttention
from mmdet.models.layers import MSDeformAttnPixelDecoder as Theirs

from mmdataseg.errors import UserError
from mmdataseg.models import DeformableAttention, MSDeformAttnPixelDecoder
from mmdataseg.models.heads import pixel_decoder as module
from mmdataseg.registry import MODELS
from tests.models.conftest import CHANNELS, head_config
from tests.tolerances import THROUGH_LAYERS

IN_CHANNELS = (16, 24, 32, 48)


def options(layers: int = 2):
    config = head_config().pixel_decoder
    config.pop("type")
    config.encoder.num_layers = layers
    config.update(in_channels=list(IN_CHANNELS), feat_channels=CHANNELS, out_channels=CHANNELS)
    return config


@pytest.fixture
def decoders():
    """mmdet's decoder and ours, built with the same seed."""
    built = []
    for kind in (Theirs, MSDeformAttnPixelDecoder):
        torch.manual_seed(0)
        decoder = kind(**options())
        decoder.init_weights()
        built.append(decoder)
    return built


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(2)
    return [
        torch.randn(2, c, 64 // s, 96 // s, generator=generator)
        for c, s in zip(IN_CHANNELS, (4, 8, 16, 32), strict=True)
    ]


def test_a_seed_gives_the_same_weights_as_in_mmdets_decoder(decoders):
    theirs, ours = (decoder.state_dict() for decoder in decoders)
    assert list(theirs) == list(ours)
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)
    draws = []
    for kind in (Theirs, MSDeformAttnPixelDecoder):
        torch.manual_seed(0)
        kind(**options())
        draws.append(torch.rand(1))
    assert torch.equal(*draws)  # and the same numbers for modules that are built later


def test_maps_and_gradients_equal_mmdets(decoders, features):
    results = []
    for decoder in decoders:
        with torch.no_grad():
            torch.manual_seed(3)
            for parameter in decoder.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        mask_feature, levels = decoder(features)
        (mask_feature.square().mean() + sum(level.square().mean() for level in levels)).backward()
        results.append((mask_feature, *levels))
    torch.testing.assert_close(results[1], results[0], **THROUGH_LAYERS)
    theirs = dict(decoders[0].named_parameters())
    for name, parameter in decoders[1].named_parameters():
        expected = theirs[name].grad
        torch.testing.assert_close(
            parameter.grad, expected, rtol=1e-4, atol=1e-5 * max(1e-3, float(expected.abs().max())), msg=name
        )


def test_every_layer_of_the_encoder_has_our_attention():
    decoder = MODELS.build({"type": "mmdataseg.MSDeformAttnPixelDecoder", **options()})
    attentions = [m for m in decoder.modules() if isinstance(m, MultiScaleDeformableAttention)]
    assert [type(attention) for attention in attentions] == [DeformableAttention] * 2


@pytest.mark.parametrize(
    ("gpu_attention", "dtype", "with_cuda", "with_deformops", "with_neither"),
    [
        ("auto", torch.float16, "mmcv", "deformops", "grid_sample"),
        ("auto", torch.bfloat16, "deformops", "deformops", "grid_sample"),  # mmcv's operator does not support it
        ("grid_sample", torch.float32, "grid_sample", "grid_sample", "grid_sample"),
        ("triton", torch.bfloat16, "triton", "triton", "triton"),
        ("deformops", torch.float32, "deformops", "deformops", "deformops"),
    ],
)
def test_the_way_on_a_gpu(gpu_attention, dtype, with_cuda, with_deformops, with_neither, monkeypatch):
    """With mmcv built for CUDA and deformops, with deformops alone, with neither; on a CPU, it changes nothing."""
    attention = DeformableAttention(embed_dims=16, num_heads=2, gpu_attention=gpu_attention)
    cases = (("12.6", True, with_cuda), ("not available", True, with_deformops), ("not available", False, with_neither))
    for version, installed, expected in cases:
        monkeypatch.setattr(module, "get_compiling_cuda_version", lambda version=version: version)
        monkeypatch.setattr(module, "deformops_is_installed", lambda installed=installed: installed)
        assert attention.way(SimpleNamespace(is_cuda=True, dtype=dtype)) == expected
        assert attention.way(torch.zeros(1, dtype=dtype)) == "auto"


def test_the_decoder_gives_its_option_to_every_layer():
    decoder = MSDeformAttnPixelDecoder(**options(), gpu_attention="triton")
    assert [layer.self_attn.gpu_attention for layer in decoder.encoder.layers] == ["triton"] * 2
    with pytest.raises(UserError, match=r"gpu_attention: expected one of .*, got 'cuda'; correct it"):
        MSDeformAttnPixelDecoder(**options(), gpu_attention="cuda")


@pytest.mark.parametrize(
    ("package", "imported"),
    [("triton", "mmdataseg.ops.deformable_attention_triton"), ("deformops", "deformops.registry")],
)
def test_a_package_that_is_missing_is_named(package, imported, monkeypatch):
    attention = DeformableAttention(embed_dims=16, num_heads=2, num_levels=1, batch_first=True, gpu_attention=package)
    monkeypatch.setattr(attention, "way", lambda _: package)
    monkeypatch.setitem(sys.modules, imported, None)
    points = {"reference_points": torch.rand(1, 6, 1, 2), "spatial_shapes": torch.tensor([[2, 3]])}
    with pytest.raises(
        UserError, match=rf"^gpu_attention='{package}' cannot be used \(.*install {package}.*'grid_sample'$"
    ):
        attention(torch.randn(1, 6, 16), **points)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("reference", [2, 4])
def test_one_attention_equals_mmcvs_in_all_its_forms(batch_first, reference):
    torch.manual_seed(0)
    config = {"embed_dims": 16, "num_heads": 2, "num_levels": 2, "batch_first": batch_first, "dropout": 0.0}
    theirs, ours = MultiScaleDeformableAttention(**config), DeformableAttention(**config)
    ours.load_state_dict(theirs.state_dict())
    shapes = torch.tensor([[2, 3], [4, 6]])
    query, position = torch.randn(2, 2, 30, 16) if batch_first else torch.randn(2, 30, 2, 16)
    others = {
        "query_pos": position,
        "key_padding_mask": torch.rand(2, 30) > 0.8,
        "reference_points": torch.rand(2, 30, 2, reference),
        "spatial_shapes": shapes,
        "level_start_index": torch.tensor([0, 6]),
    }
    torch.testing.assert_close(ours(query, **others), theirs(query, **others), **THROUGH_LAYERS)
    value, identity = 2 * query, 3 * query
    torch.testing.assert_close(
        ours(query, value=value, identity=identity, **others),
        theirs(query, value=value, identity=identity, **others),
        **THROUGH_LAYERS,
    )


def test_the_way_is_chosen_by_the_dtype_that_autocast_gives(monkeypatch):
    """mmcv's compiled operator refuses bfloat16, and the cells are float32 until they are projected."""
    asked = []
    monkeypatch.setattr(DeformableAttention, "way", lambda _, value: asked.append(value.dtype) or "auto")
    attention = DeformableAttention(embed_dims=16, num_heads=2, num_levels=1, batch_first=True)
    inputs = {"reference_points": torch.rand(1, 6, 1, 2), "spatial_shapes": torch.tensor([[2, 3]])}
    attention(torch.randn(1, 6, 16), **inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        attention(torch.randn(1, 6, 16), **inputs)
    assert asked == [torch.float32, torch.bfloat16]
