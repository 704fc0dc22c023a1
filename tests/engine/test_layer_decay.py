import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmdataseg.engine.layer_decay import LayerDecayOptimWrapperConstructor, undecayed
from mmdataseg.models.backbones.vitdet import ViTDet
from mmdataseg.registry import OPTIM_WRAPPER_CONSTRUCTORS

LR, DECAY = 0.1, 0.05
# By hand for 3 blocks and a rate of 0.5: embeddings 0.5 ** 4, blocks 0.5 ** 3, 0.5 ** 2, 0.5 ** 1, everything else 1.
SCALES = {"embeddings": 0.0625, "block 0": 0.125, "block 1": 0.25, "block 2": 0.5, "rest": 1.0}


class Toy(nn.Module):
    """ViTDet of three blocks, with what a head and a text classifier have."""

    def __init__(self) -> None:
        super().__init__()
        arch = {"embed_dim": 8, "depth": 3, "num_heads": 2}
        self.backbone = ViTDet(arch=arch, img_size=32, window_size=2, out_channels=4)
        self.query_embed = nn.Embedding(5, 4)
        self.mask_embed = nn.Linear(4, 4)
        self.background = nn.Parameter(torch.zeros(4))
        self.log_scale = nn.Parameter(torch.tensor(1.0))


def place(name: str) -> str:
    if name.startswith(("backbone.vit.pos_embed", "backbone.vit.patch_embed")):
        return "embeddings"
    return f"block {name.split('.')[3]}" if name.startswith("backbone.vit.blocks.") else "rest"


def groups(model: nn.Module, decay_rate: float = 0.5) -> list[dict]:
    cfg = {
        "type": "OptimWrapper",
        "constructor": "mmdataseg.LayerDecayOptimWrapperConstructor",
        "optimizer": {"type": "AdamW", "lr": LR, "weight_decay": DECAY},
        "paramwise_cfg": {"decay_rate": decay_rate},
    }
    return build_optim_wrapper(model, cfg).optimizer.param_groups


def by_name(model: nn.Module) -> dict[str, dict]:
    return {name: group for group in groups(model) for name in group["param_names"]}


def test_registered() -> None:
    name = "mmdataseg.LayerDecayOptimWrapperConstructor"
    assert OPTIM_WRAPPER_CONSTRUCTORS.get(name) is LayerDecayOptimWrapperConstructor


def test_rates_by_hand() -> None:
    model = Toy()
    for name, group in by_name(model).items():
        assert group["lr_scale"] == pytest.approx(SCALES[place(name)]), name
        assert group["lr"] == pytest.approx(LR * SCALES[place(name)]), name
    places = {place(name) for name, _ in model.named_parameters()}
    assert places == set(SCALES)


def test_every_trainable_parameter_is_in_exactly_one_group() -> None:
    model = Toy()
    model.backbone.vit.patch_embed.requires_grad_(False)
    listed = [
        (name, p) for group in groups(model) for name, p in zip(group["param_names"], group["params"], strict=True)
    ]
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert sorted(name for name, _ in listed) == sorted(trainable)
    assert all(p is trainable[name] for name, p in listed)
    assert "backbone.vit.patch_embed.proj.weight" not in trainable


def test_one_group_for_each_layer_and_decay_full_rate_first() -> None:
    found = [(group["lr_scale"], group["weight_decay"]) for group in groups(Toy())]
    assert found == [(scale, decay) for scale in (1.0, 0.5, 0.25, 0.125, 0.0625) for decay in (DECAY, 0.0)]


def test_what_is_not_decayed() -> None:
    model = Toy()
    free = {name for name, group in by_name(model).items() if group["weight_decay"] == 0.0}
    for name in (
        "backbone.vit.pos_embed",
        "backbone.vit.patch_embed.proj.bias",
        "backbone.vit.blocks.0.norm1.weight",
        "backbone.vit.blocks.0.attn.rel_pos_w",
        "backbone.pyramid.branches.0.1.norm.weight",
        "query_embed.weight",
        "background",
        "log_scale",
        "mask_embed.bias",
    ):
        assert name in free
    matrices = {"patch_embed.proj", "qkv", "attn.proj", "fc1", "fc2", "mask_embed"}
    decayed = set(by_name(model)) - free
    assert all(name.endswith(".weight") for name in decayed)
    assert all(any(f"{m}.weight" in name for name in decayed) for m in matrices)
    assert all(p.ndim >= 2 for name, p in model.named_parameters() if name in decayed)
    assert undecayed(model) == free


def test_a_step_moves_the_layers_by_their_rates() -> None:
    # Plain SGD, no decay, a gradient of 1 everywhere: each parameter moves by its own rate.
    model = Toy()
    before = copy.deepcopy(dict(model.named_parameters()))
    cfg = {"optimizer": {"type": "SGD", "lr": LR, "weight_decay": 0.0}}
    wrapper = LayerDecayOptimWrapperConstructor(cfg, {"decay_rate": 0.5})(model)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    wrapper.step()
    for name, p in model.named_parameters():
        torch.testing.assert_close(before[name] - p, torch.full_like(p, LR * SCALES[place(name)]), msg=name)


def test_rate_of_one_is_plain_training() -> None:
    assert {group["lr"] for group in groups(Toy(), decay_rate=1)} == {LR}


class TestBadInput:
    @pytest.mark.parametrize("paramwise", [None, {}, {"decay_rate": 0.7, "num_layers": 12}, {"norm_decay_mult": 0}])
    def test_other_options(self, paramwise: dict | None) -> None:
        cfg = {"optimizer": {"type": "SGD", "lr": LR, "weight_decay": 0.0}}
        with pytest.raises(ValueError, match=r"expected paramwise_cfg=dict\(decay_rate=0\.7\) and nothing else"):
            LayerDecayOptimWrapperConstructor(cfg, paramwise)

    @pytest.mark.parametrize("rate", [0, -0.5, 1.5, float("nan")])
    def test_rate(self, rate: float) -> None:
        cfg = {"optimizer": {"type": "SGD", "lr": LR, "weight_decay": 0.0}}
        with pytest.raises(ValueError, match=r"expected decay_rate in \(0, 1\]"):
            LayerDecayOptimWrapperConstructor(cfg, {"decay_rate": rate})

    def test_no_weight_decay_given(self) -> None:
        with pytest.raises(ValueError, match=r"must set lr and weight_decay, got lr=0\.1, weight_decay=None"):
            LayerDecayOptimWrapperConstructor({"optimizer": {"type": "SGD", "lr": LR}}, {"decay_rate": 0.7})

    def test_backbone_without_layers(self) -> None:
        model = Toy()
        model.backbone = nn.Linear(2, 2)
        with pytest.raises(ValueError, match=r"backbone \(Linear\) has no layer_of"):
            groups(model)
