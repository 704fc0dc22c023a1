import copy
from functools import partial
from pathlib import Path

import pytest
import torch
from timm.models.vision_transformer_sam import VisionTransformerSAM
from torch import Tensor, nn

from mmdataseg.models.backbones.vitdet import ARCHS, FusedAttention, ViTDet, global_blocks
from mmdataseg.registry import MODELS
from tests.tolerances import THROUGH_LAYERS

ARCH = {"embed_dim": 32, "depth": 6, "num_heads": 4}


def build(**overrides: object) -> ViTDet:
    """A tiny ViTDet with a native grid of 5 x 5 tokens, windows of 3, and relative positions that are not zero."""
    torch.manual_seed(0)
    settings = {"arch": ARCH, "img_size": 80, "window_size": 3, "drop_path_rate": 0.0, "out_channels": 8, **overrides}
    model = ViTDet(**settings)
    model.init_weights()
    with torch.no_grad():
        for block in model.vit.blocks:
            nn.init.normal_(block.attn.rel_pos_h, std=0.5)
            nn.init.normal_(block.attn.rel_pos_w, std=0.5)
    return model


def timm_twin(model: ViTDet) -> VisionTransformerSAM:
    """timm's own model with the same weights, without the layers after its blocks."""
    twin = VisionTransformerSAM(
        **ARCH,
        img_size=80,
        patch_size=16,
        num_classes=0,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=3,
        global_attn_indexes=(0, 2, 3, 5),
        neck_chans=None,
    )
    twin.neck = nn.Identity()
    twin.load_state_dict(model.vit.state_dict(), strict=True)
    return twin.eval()


def gradients(model: ViTDet, images: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    torch.manual_seed(1)
    sum((features * torch.randn_like(features)).sum() for features in model(images)).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


class TestAgainstTimm:
    @pytest.mark.parametrize("size", [(80, 80), (160, 48), (64, 112)], ids=["native", "tall", "other"])
    def test_same_map_and_gradient_as_timm(self, size: tuple[int, int]) -> None:
        model = build().eval()
        twin = timm_twin(model)
        images = torch.randn(2, 3, *size, requires_grad=True)
        ours, theirs = model.forward_vit(images), twin.forward_features(images)
        torch.testing.assert_close(ours, theirs, **THROUGH_LAYERS)
        weights = torch.randn_like(ours)
        (ours * weights).sum().backward()
        (theirs * weights).sum().backward()
        for (name, mine), (_, other) in zip(model.vit.named_parameters(), twin.named_parameters(), strict=True):
            torch.testing.assert_close(mine.grad, other.grad, atol=2e-4, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")

    def test_relative_positions_matter(self) -> None:
        # Otherwise the parity above could not see them.
        model = build().eval()
        images = torch.randn(1, 3, 80, 80)
        before = model.forward_vit(images)
        nn.init.zeros_(model.vit.blocks[0].attn.rel_pos_h)
        assert (model.forward_vit(images) - before).abs().max() > 1e-3

    def test_attention_has_four_dimensions_as_fused_kernels_require(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = []
        original = nn.functional.scaled_dot_product_attention

        def spy(*args: Tensor, **kwargs: Tensor) -> Tensor:
            seen.append((args[0].shape, kwargs["attn_mask"].shape))
            return original(*args, **kwargs)

        monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", spy)
        build().forward_vit(torch.randn(2, 3, 80, 80))
        whole, windows = ((2, 4, 25, 8), (2, 4, 25, 25)), ((8, 4, 9, 8), (8, 4, 9, 9))
        assert seen == [whole, windows, whole, whole, windows, whole]

    @pytest.mark.parametrize(
        ("arch", "name", "depth", "where"),
        [("base", "samvit_base_patch16", 12, (2, 5, 8, 11)), ("large", "samvit_large_patch16", 24, (5, 11, 17, 23))],
    )
    def test_base_and_large_have_timms_sizes(self, arch: str, name: str, depth: int, where: tuple[int, ...]) -> None:
        import timm

        with torch.device("meta"):
            ours, theirs = ViTDet(arch=arch), timm.create_model(name, num_classes=0)
        expected = {k: v.shape for k, v in theirs.state_dict().items() if not k.startswith("neck.")}
        assert {k: v.shape for k, v in ours.vit.state_dict().items()} == expected
        assert [block.window_size for block in ours.vit.blocks] == [block.window_size for block in theirs.blocks]
        assert global_blocks(depth) == where
        assert ours.depth == depth == ARCHS[arch]["depth"]


class TestForward:
    def test_registered(self) -> None:
        assert isinstance(MODELS.build({"type": "mmdataseg.ViTDet", "arch": ARCH, "img_size": 32}), ViTDet)

    @pytest.mark.parametrize("size", [(80, 80), (81, 50), (33, 130), (7, 5)])
    def test_any_size_in_train_and_test(self, size: tuple[int, int]) -> None:
        model = build()
        expected = [(2, 8, -(-size[0] // s), -(-size[1] // s)) for s in (4, 8, 16, 32)]
        images = torch.randn(2, 3, *size)
        for training in (True, False):
            maps = model.train(training)(images)
            assert [tuple(features.shape) for features in maps] == expected
            assert all(features.isfinite().all() for features in maps)

    def test_padding_to_whole_patches_is_padding_with_zeros(self) -> None:
        model = build().eval()
        images = torch.randn(1, 3, 70, 66)
        padded = nn.functional.pad(images, (0, 14, 0, 10))
        for cropped, whole in zip(model(images), model(padded), strict=True):
            torch.testing.assert_close(cropped, whole[..., : cropped.shape[-2], : cropped.shape[-1]])
        assert model(images)[0].shape[-2:] == (18, 17)

    def test_other_grids_stretch_the_position_embedding(self) -> None:
        # Twice the native grid: on a linear ramp, a token's position is the ramp at its own centre, away from the edge.
        model = build().eval()
        ramp = torch.arange(5.0)
        with torch.no_grad():
            model.vit.pos_embed.copy_(ramp[:, None, None].expand(1, 5, 5, 32))
            nn.init.zeros_(model.vit.patch_embed.proj.weight)
            nn.init.zeros_(model.vit.patch_embed.proj.bias)
        model.vit.blocks = nn.Sequential()
        rows = model.forward_vit(torch.zeros(1, 3, 160, 80))[0, 0, :, 2]
        torch.testing.assert_close(rows[3:7], torch.tensor([1.25, 1.75, 2.25, 2.75]))

    def test_checkpointing_changes_nothing_but_the_memory(self) -> None:
        plain, thrifty = build(drop_path_rate=0.5).train(), build(drop_path_rate=0.5, with_cp=True).train()
        images = torch.randn(4, 3, 50, 80)
        saved = {}
        results = {}
        for name, model in (("plain", plain), ("thrifty", thrifty)):
            sizes: list[int] = []
            with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t):
                results[name] = gradients(model, images)
            saved[name] = sum(sizes)
        for name, gradient in results["plain"].items():
            torch.testing.assert_close(results["thrifty"][name], gradient, atol=0, rtol=0)
        assert saved["thrifty"] < 0.7 * saved["plain"]

    def test_drop_path_grows_linearly_and_acts_in_training_only(self) -> None:
        model = build(drop_path_rate=0.5)
        rates = [getattr(block.drop_path1, "drop_prob", 0.0) for block in model.vit.blocks]
        assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
        images = torch.randn(4, 3, 80, 80)
        assert not torch.equal(model.train().forward_vit(images), model.forward_vit(images))
        assert torch.equal(model.eval().forward_vit(images), model.forward_vit(images))

    def test_every_parameter_gets_a_gradient(self) -> None:
        grads = gradients(build().train(), torch.randn(2, 3, 80, 64))
        assert [name for name, gradient in grads.items() if not gradient.any()] == []

    def test_bf16_autocast(self) -> None:
        model = build().eval()
        images = torch.randn(1, 3, 80, 100)
        exact = model(images)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = model(images)
        for features, expected in zip(rough, exact, strict=True):
            torch.testing.assert_close(features.float(), expected, atol=0.2, rtol=0.1)

    def test_initial_values_are_those_of_vitdet(self) -> None:
        torch.manual_seed(0)
        model = ViTDet(arch=ARCH, img_size=80, window_size=3)
        model.init_weights()
        assert model.vit.pos_embed.std().item() == pytest.approx(0.02, rel=0.1)
        assert model.vit.blocks[3].mlp.fc1.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert not model.vit.blocks[3].mlp.fc1.bias.any()
        assert not any(block.attn.rel_pos_h.any() for block in model.vit.blocks)
        assert all(isinstance(block.attn, FusedAttention) for block in model.vit.blocks)


class TestBadInput:
    @pytest.mark.parametrize(
        ("overrides", "message"),
        [
            ({"arch": "huge"}, r"one of \['base', 'large'\] .* got 'huge'"),
            ({"arch": {"embed_dim": 32}}, "a dict with"),
            ({"arch": {**ARCH, "num_heads": 5}}, "multiple of num_heads, got 32 and 5"),
            ({"img_size": 100}, "multiple of 16, got 100"),
            ({"window_size": 0}, "window_size must be positive, got 0"),
            ({"init_cfg": {"type": "Kaiming"}}, "type='Pretrained'"),
        ],
    )
    def test_bad_settings_are_refused(self, overrides: dict[str, object], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            build(**overrides)

    def test_an_unknown_keyword_is_refused(self) -> None:
        with pytest.raises(TypeError, match="pretrained"):
            ViTDet(arch=ARCH, pretrained="mae.pth")


def test_pretrained_by_config(tmp_path: Path) -> None:
    """A published checkpoint's names are loaded through init_cfg; test_vit_checkpoint.py tests the details."""
    donor = build()
    state = copy.deepcopy(donor.vit.state_dict())
    torch.save(state, tmp_path / "sam.pth")
    model = build(init_cfg={"type": "Pretrained", "checkpoint": str(tmp_path / "sam.pth")}).eval()
    torch.manual_seed(5)
    model.init_weights()
    images = torch.randn(1, 3, 80, 80)
    torch.testing.assert_close(model.forward_vit(images), donor.eval().forward_vit(images), atol=0, rtol=0)


def test_a_missing_file_is_reported_when_weights_are_initialised() -> None:
    model = ViTDet(arch=ARCH, img_size=80, init_cfg={"type": "Pretrained", "checkpoint": "nowhere/mae.pth"})
    with pytest.raises(FileNotFoundError, match=r"nowhere/mae\.pth.* (no such file|does not exist)"):
        model.init_weights()
