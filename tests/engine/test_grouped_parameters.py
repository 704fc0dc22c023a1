import copy

import pytest
import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import nn

LR, DECAY = 0.1, 0.05
GROUPED, MMENGINES = "mmdataseg.GroupedOptimWrapperConstructor", "DefaultOptimWrapperConstructor"


class Small(nn.Module):
    """Two layers with a norm between them, and a table."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 2)
        self.query_embed = nn.Embedding(3, 4)

    def forward(self) -> torch.Tensor:
        return self.head(self.norm(self.backbone(self.query_embed.weight))).square().sum()


@pytest.fixture
def model() -> Small:
    torch.manual_seed(0)
    return Small()


def wrapper_of(model: nn.Module, constructor: str, **paramwise: object) -> OptimWrapper:
    custom_keys = {"backbone": {"lr_mult": 0.1}, "query_embed": {"decay_mult": 0.0}}
    cfg = {
        "type": "OptimWrapper",
        "constructor": constructor,
        # not fused, as mmengine's constructor builds it: the same to the last bit
        "optimizer": {"type": "AdamW", "lr": LR, "weight_decay": DECAY, "fused": False},
        "paramwise_cfg": {"custom_keys": custom_keys, "norm_decay_mult": 0.0, **paramwise},
    }
    return build_optim_wrapper(model, cfg)


def test_groups_by_hand(model):
    found = [
        (
            group["lr"],
            group["weight_decay"],
            [name for name, p in model.named_parameters() for q in group["params"] if p is q],
        )
        for group in wrapper_of(model, GROUPED).optimizer.param_groups
    ]
    assert found == [
        (pytest.approx(0.01), DECAY, ["backbone.weight", "backbone.bias"]),
        (LR, 0.0, ["norm.weight", "norm.bias"]),
        (LR, DECAY, ["head.weight", "head.bias"]),
        (LR, 0.0, ["query_embed.weight"]),  # a custom key sets further entries of its group
    ]


def test_updates_are_those_of_mmengines_constructor(model):
    other = copy.deepcopy(model)
    wrappers = {model: wrapper_of(model, GROUPED), other: wrapper_of(other, MMENGINES)}
    for _ in range(5):
        for trained, wrapper in wrappers.items():
            wrapper.update_params(trained())
    for (name, ours), theirs in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs), name


def test_a_frozen_parameter_is_in_no_group_and_a_shared_one_in_one(model):
    model.backbone.requires_grad_(False)
    model.tied = model.head
    groups = wrapper_of(model, GROUPED, bypass_duplicate=True).optimizer.param_groups
    listed = [id(p) for group in groups for p in group["params"]]
    assert sorted(listed) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_resuming_from_mmengines_groups_is_refused(model):
    state = wrapper_of(model, MMENGINES).state_dict()
    with pytest.raises(ValueError, match="different number of parameter groups"):
        wrapper_of(model, GROUPED).load_state_dict(state)
