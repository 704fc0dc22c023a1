"""timm's models as backbones, against timm's own `create_model`."""

import os
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mmdataseg.errors import UserError
from mmdataseg.models.backbones import timm_backbone
from mmdataseg.models.backbones.timm_backbone import TimmBackbone
from mmdataseg.models.necks.feature_pyramid import SimpleFeaturePyramid

# name of the model: its options, the levels, channels and strides that its paper or timm's page gives
MODELS = {
    "mobilenetv2_100": ({"pad_type": "same"}, (1, 2, 3, 4), (24, 32, 96, 320), (4, 8, 16, 32)),
    "resnet50": ({}, (1, 2, 3, 4), (256, 512, 1024, 2048), (4, 8, 16, 32)),
    "convnext_atto": ({}, (0, 1, 2, 3), (40, 80, 160, 320), (4, 8, 16, 32)),
    "swin_tiny_patch4_window7_224": ({"strict_img_size": False}, (0, 1), (96, 192), (4, 8)),
    "vit_small_patch14_dinov2": ({"dynamic_img_size": True, "img_size": 56}, (11,), (384,), (14,)),
    "vit_small_patch16_dinov3": ({}, (11,), (384,), (16,)),
}
SMALL = "resnet10t"


def build(model: str = SMALL, **overrides: object) -> TimmBackbone:
    torch.manual_seed(0)
    return TimmBackbone(**{"model": model, "out_indices": (1, 2), **overrides})


def state_of(model: str = SMALL, **options: object) -> dict[str, Tensor]:
    """Weights of the whole model with its classifier, as its authors publish them; no value is an initial one."""
    torch.manual_seed(1)
    state = timm.create_model(model, **options).state_dict()
    return {name: torch.rand_like(value) + 0.5 if value.is_floating_point() else value for name, value in state.items()}


def from_file(file: Path, model: str = SMALL, **overrides: object) -> TimmBackbone:
    return build(model, init_cfg={"type": "Pretrained", "checkpoint": str(file)}, **overrides)


@pytest.mark.parametrize("name", MODELS)
def test_features_are_timms_own(name: str) -> None:
    options, levels, channels, strides = MODELS[name]
    ours = build(name, out_indices=levels, options=options).eval()
    theirs = timm.create_model(name, features_only=True, out_indices=levels, **options).eval()
    theirs.load_state_dict(ours.net.state_dict())
    height, width = 8 * strides[-1], 12 * strides[-1]
    images = torch.randn(2, 3, height, width)
    with torch.no_grad():
        maps, expected = ours(images), theirs(images)
    assert (ours.out_channels, ours.strides) == (channels, strides)
    assert [tuple(m.shape) for m in maps] == [
        (2, c, height // s, width // s) for c, s in zip(channels, strides, strict=True)
    ]
    for own, their in zip(maps, expected, strict=True):
        theirs_first = their.permute(0, 3, 1, 2) if name.startswith("swin") else their
        torch.testing.assert_close(own, theirs_first, atol=0, rtol=0)


@pytest.mark.parametrize("name", [name for name in MODELS if name.startswith("vit")])
def test_a_plain_vit_becomes_four_maps_through_the_pyramid(name: str) -> None:
    options, levels, (channels,), (stride,) = MODELS[name]
    backbone = build(name, out_indices=levels, options=options)
    pyramid = SimpleFeaturePyramid(in_channels=channels, out_channels=8)
    maps = pyramid(backbone(torch.randn(1, 3, 4 * stride, 6 * stride)))
    assert [tuple(m.shape) for m in maps] == [(1, 8, 16, 24), (1, 8, 8, 12), (1, 8, 4, 6), (1, 8, 2, 3)]
    sum((m * torch.randn_like(m)).sum() for m in maps).backward()
    assert [name for name, p in backbone.named_parameters() if p.grad is None] == []


def test_the_pyramid_takes_one_map() -> None:
    pyramid = SimpleFeaturePyramid(in_channels=8, out_channels=4)
    features = torch.randn(1, 8, 2, 2)
    for own, expected in zip(pyramid((features,)), pyramid(features), strict=True):
        torch.testing.assert_close(own, expected, atol=0, rtol=0)
    with pytest.raises(UserError, match="expected one map, got 2; set the backbone's out_indices to one level"):
        pyramid([features, features])


def test_every_parameter_gets_a_gradient() -> None:
    """Levels beyond the last requested one are not built."""
    backbone = build()
    sum((m * torch.randn_like(m)).sum() for m in backbone(torch.randn(2, 3, 64, 64))).backward()
    assert [name for name, p in backbone.named_parameters() if p.grad is None] == []
    assert not any("layer3" in name for name, _ in backbone.named_parameters())


@pytest.mark.parametrize(
    ("name", "stages", "trained", "frozen"),
    [
        ("resnet50", 1, "net.layer1.0.conv1.weight", "net.bn1.weight"),
        ("resnet50", 2, "net.layer2.0.conv1.weight", "net.layer1.2.bn3.weight"),
        ("mobilenetv2_100", 2, "net.blocks.2.0.conv_pw.weight", "net.blocks.1.1.conv_pw.weight"),
        ("convnext_atto", 1, "net.stages_1.downsample.1.weight", "net.stages_0.blocks.1.norm.weight"),
        ("vit_small_patch16_dinov3", 2, "net.model.blocks.2.norm1.weight", "net.model.cls_token"),
        ("vit_small_patch16_dinov3", 2, "net.model.blocks.2.norm1.weight", "net.model.blocks.1.norm1.weight"),
    ],
)
def test_frozen_stages_are_those_up_to_a_level(name: str, stages: int, trained: str, frozen: str) -> None:
    needs_gradient = {n: p.requires_grad for n, p in build(name, frozen_stages=stages).named_parameters()}
    assert (needs_gradient[trained], needs_gradient[frozen]) == (True, False)
    flags = [flag for n, flag in needs_gradient.items() if not n.endswith(("cls_token", "reg_token", "pos_embed"))]
    assert flags == sorted(flags), "all frozen parameters come before all trained ones"


def test_all_stages_can_be_frozen() -> None:
    backbone = build(out_indices=(3, 4), frozen_stages=5)
    assert not any(p.requires_grad for p in backbone.parameters())
    assert not any(m.training for m in backbone.train().net.modules())


def statistics(backbone: TimmBackbone) -> dict[str, bool]:
    """Whether a training step changes the statistics of each norm."""
    before = {n: b.clone() for n, b in backbone.named_buffers() if n.endswith("running_mean")}
    backbone.train()(torch.randn(2, 3, 64, 64))
    return {n: not torch.equal(before[n], b) for n, b in backbone.named_buffers() if n in before}


def test_norms_in_eval_mode_keep_their_statistics_and_are_trained() -> None:
    assert all(statistics(build()).values())
    backbone = build(norm_eval=True)
    assert not any(statistics(backbone).values())
    assert all(p.requires_grad for p in backbone.parameters())
    assert backbone.net.training


def test_frozen_stages_keep_their_statistics() -> None:
    changed = statistics(build(frozen_stages=2))
    assert {name.split(".")[1] for name, flag in changed.items() if not flag} == {"conv1", "bn1", "layer1"}
    assert {name.split(".")[1] for name, flag in changed.items() if flag} == {"layer2"}


def test_evaluation_switches_all_off() -> None:
    assert not any(m.training for m in build(frozen_stages=1, norm_eval=True).train().eval().modules())


# ---- weights


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
@pytest.mark.parametrize(
    ("name", "levels"), [(SMALL, (1, 2)), ("convnext_atto", (0, 3)), ("vit_tiny_patch16_224", (5,))]
)
def test_a_file_of_the_whole_model_is_taken(tmp_path: Path, suffix: str, name: str, levels: tuple[int, ...]) -> None:
    """timm's own loading of the same values is the reference."""
    state, file = state_of(name), tmp_path / f"weights.{suffix}"
    if suffix == "pth":
        torch.save({"state_dict": state}, file)
    else:
        save_file(state, file)
    backbone = from_file(file, name, out_indices=levels)
    backbone.init_weights()
    found = {key.replace(".", "_"): value for key, value in state.items()}
    for key, value in backbone.net.state_dict().items():
        expected = found[key.removeprefix("model.").replace(".", "_")]
        torch.testing.assert_close(value, expected, atol=0, rtol=0)


def test_names_of_the_original_authors_are_converted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """ConvNeXt's own: ``downsample_layers.0`` is timm's ``stem``; timm converts the file."""
    state = state_of("convnext_atto")
    theirs = {}
    for name, value in state.items():
        name = name.replace("stem.", "downsample_layers.0.").replace(".mlp.fc", ".pwconv").replace("conv_dw", "dwconv")
        name = name.replace("head.norm.", "norm.").replace("head.fc.", "head.").replace(".blocks.", ".")
        for stage in (1, 2, 3):
            name = name.replace(f"stages.{stage}.downsample.", f"downsample_layers.{stage}.")
        theirs[name] = value
    save_file(theirs, tmp_path / "original.safetensors")
    backbone = from_file(tmp_path / "original.safetensors", "convnext_atto", out_indices=(3,))
    backbone.init_weights()
    assert not caplog.records, "timm's warnings of the classifier would frighten"
    own = backbone.net.state_dict()
    torch.testing.assert_close(own["stem_0.weight"], state["stem.0.weight"], atol=0, rtol=0)
    torch.testing.assert_close(own["stages_3.blocks.1.mlp.fc1.weight"], state["stages.3.blocks.1.mlp.fc1.weight"])


def test_position_embeddings_are_resized(tmp_path: Path) -> None:
    save_file(state_of("vit_tiny_patch16_224"), tmp_path / "vit.safetensors")
    options = {"img_size": 96, "dynamic_img_size": True}
    backbone = from_file(tmp_path / "vit.safetensors", "vit_tiny_patch16_224", out_indices=(0,), options=options)
    backbone.init_weights()
    assert backbone.net.model.pos_embed.shape[1] == 6 * 6 + 1
    assert backbone.net.model.pos_embed.min() > 0.4, "made of the file's values, all of which are positive"


def test_without_weights_timms_initial_values_stay() -> None:
    backbone = build()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    backbone.init_weights()
    for name, value in backbone.state_dict().items():
        torch.testing.assert_close(value, before[name], atol=0, rtol=0)


def test_published_weights_are_timms(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is replaced: timm's own function is asked for the pretrained features of the same levels."""
    real, seen = timm.create_model, []

    def create_model(name: str, **arguments: object) -> nn.Module:
        seen.append(arguments)
        net = real(name, **{**arguments, "pretrained": False})
        if arguments.get("pretrained"):
            for value in net.state_dict().values():
                value.fill_(3)
        return net

    monkeypatch.setattr(timm, "create_model", create_model)
    monkeypatch.setattr(timm_backbone, "why_unavailable", lambda _: None)
    backbone = build(pretrained=True)
    assert not any(arguments.get("pretrained") for arguments in seen), "the constructor works offline"
    backbone.init_weights()
    assert all(bool((value == 3).all()) for value in backbone.net.state_dict().values())
    assert seen[-1]["out_indices"] == (1, 2)


def test_published_weights_that_are_not_to_be_had_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = build("vit_tiny_patch16_384.augreg_in21k_ft_in1k", out_indices=(0,), pretrained=True)

    def no_network(*_: object, **__: object) -> None:
        raise OSError("the network is down\nand more")

    monkeypatch.setattr(timm, "create_model", no_network)
    monkeypatch.setattr(timm_backbone, "why_unavailable", lambda _: None)
    with pytest.raises(UserError, match=r"cannot be loaded \(OSError: the network is down\); check the name"):
        backbone.init_weights()


def test_without_a_hub_it_is_said_before_timm_retries_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, asked = build("vit_tiny_patch16_384.augreg_in21k_ft_in1k", out_indices=(0,), pretrained=True), []
    monkeypatch.setattr(timm_backbone, "why_unavailable", lambda repo: asked.append(repo) or "ConnectError: no route")
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: pytest.fail("timm asks the hub"))
    with pytest.raises(UserError, match=r"cannot be loaded \(ConnectError: no route\); .*checkpoint=PATH"):
        backbone.init_weights()
    assert asked == ["timm/vit_tiny_patch16_384.augreg_in21k_ft_in1k"]


def test_a_model_without_published_weights_is_a_sentence() -> None:
    """timm knows without asking the hub."""
    assert not timm.is_model_pretrained("nf_resnet26")
    with pytest.raises(
        UserError, match=r"timm's weights of 'nf_resnet26' cannot be loaded \(RuntimeError: No pretrained"
    ):
        build("nf_resnet26", out_indices=(1,), pretrained=True).init_weights()


@pytest.mark.parametrize("change", ["other model", "one missing", "other shape", "no weights", "other names"])
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, change: str) -> None:
    state = state_of()
    expected = "does not fit timm's 'resnet10t'|has no values for"
    if change == "other model":
        state = state_of("convnext_atto")
    elif change == "one missing":
        del state["layer2.0.bn1.running_var"]
        expected = r"has no values for 1 of the \d+ weights of timm's 'resnet10t': layer2\.0\.bn1\.running_var; give"
    elif change == "other shape":
        state["layer1.0.conv1.weight"] = torch.zeros(2, 2, 3, 3)
        expected = r"does not fit timm's 'resnet10t' \(RuntimeError: .*layer1\.0\.conv1\.weight"
    elif change == "no weights":
        state, expected = {}, "expected a checkpoint with tensors"
    else:
        state = {f"encoder.{name}": value for name, value in state.items()}
        expected = r"has no values for \d+ of the"
    torch.save(state, tmp_path / "weights.pth")
    backbone = from_file(tmp_path / "weights.pth")
    with pytest.raises(UserError, match=expected) as raised:
        backbone.init_weights()
    assert raised.value.file == str(tmp_path / "weights.pth")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere/weights\.pth"):
        from_file(Path("nowhere/weights.pth")).init_weights()


def test_the_weights_of_the_real_world_fit(real_world: Path) -> None:
    """A MobileNetV2 of TensorFlow's: the last map is that of the whole model."""
    file = real_world / "weights/mobilenetv2_100_imagenet.safetensors"
    backbone = from_file(file, "mobilenetv2_100", out_indices=(1, 2, 3, 4), options={"pad_type": "same"}).eval()
    backbone.init_weights()
    whole = timm.create_model("mobilenetv2_100", pad_type="same").eval()
    whole.load_state_dict(load_file(file))
    images = torch.rand(1, 3, 64, 96) * 2 - 1
    with torch.no_grad():
        last = backbone(images)[-1]
        expected = whole.forward_intermediates(images, indices=[4], intermediates_only=True)[0]
    torch.testing.assert_close(last, expected)


class Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("should-not-exist",)


def test_no_code_of_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": state_of(), "extra": Code()}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"its pickle calls .*mkdir"):
        from_file(tmp_path / "weights.pth").init_weights()
    assert not Path("should-not-exist").exists()


# ---- refusals


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"model": "resnet5O"}, "timm has no model 'resnet5O'; did you mean .*resnet50"),
        ({"model": "resnet50.nonsense"}, "cannot give the feature maps of 'resnet50.nonsense': .*nonsense"),
        ({"out_indices": (1, 5)}, r"'resnet10t' has the levels 0 to 4, of the strides 2, 4, 8, 16, 32; choose"),
        ({"model": "vit_tiny_patch16_224", "out_indices": (12,)}, "has the levels 0 to 11, of the strides 16, 16"),
        ({"frozen_stages": 6}, "frozen_stages must be from 0 to 5, the number of levels of 'resnet10t', got 6"),
        ({"frozen_stages": -1}, "frozen_stages must be from 0 to 5"),
        ({"init_cfg": {"type": "Kaiming"}}, "init_cfg must be None or dict"),
        ({"init_cfg": {"type": "Pretrained", "checkpoint": "a.pth", "prefix": "b"}}, "init_cfg must be None or dict"),
        ({"init_cfg": {"type": "Pretrained", "checkpoint": "a.pth"}, "pretrained": True}, "give one of the two"),
    ],
)
def test_bad_settings_are_refused(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(**overrides)


def test_an_unknown_option_of_the_model_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="nun_layers"):
        build(options={"nun_layers": 1})


def test_a_size_that_a_vit_does_not_take_is_a_sentence() -> None:
    with pytest.raises(UserError, match=r"does not take images of 32 x 48 pixels: .*dynamic_img_size=True"):
        build("vit_tiny_patch16_224", out_indices=(0,))(torch.zeros(1, 3, 32, 48))
    dynamic = build("vit_tiny_patch16_224", out_indices=(0,), options={"dynamic_img_size": True})
    assert dynamic(torch.zeros(1, 3, 32, 48))[0].shape == (1, 192, 2, 3)
    with pytest.raises(UserError, match=r"33 x 48 pixels: .*pad_size_divisor to a multiple of the largest stride, 16"):
        dynamic(torch.zeros(1, 3, 33, 48))


def test_features_that_are_not_maps_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = build(out_indices=(1,))
    monkeypatch.setattr(backbone.net, "forward", lambda images: [images.new_zeros(1, 7, 64)])
    with pytest.raises(UserError, match=r"shape \(1, 7, 64\); expected maps \(images, 64, height, width\)"):
        backbone(torch.zeros(1, 3, 32, 32))
