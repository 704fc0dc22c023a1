import copy

import pytest
import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import nn

from mmdataseg.engine import fused_optimizer

FUSED, MMENGINES = "mmdataseg.FusedOptimWrapperConstructor", "DefaultOptimWrapperConstructor"
on_this_torch = pytest.mark.skipif(
    not fused_optimizer.has_kernels(nn.Linear(1, 1)), reason="this torch has no fused optimizers for a CPU"
)


def wrapper_of(model: nn.Module, constructor: str = FUSED, type: str = "AdamW", **optimizer: object) -> OptimWrapper:
    optimizer = {"type": type, "lr": 0.1, "weight_decay": 0.05, **optimizer}
    cfg = {"type": "OptimWrapper", "constructor": constructor, "optimizer": optimizer, "clip_grad": {"max_norm": 1.0}}
    return build_optim_wrapper(model, cfg)


@on_this_torch
@pytest.mark.parametrize("kind", ["Adam", "AdamW", "SGD"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_updates_are_those_of_mmengines_constructor(kind, layout):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1)).to(memory_format=layout)
    other, images = copy.deepcopy(model), torch.randn(2, 3, 8, 8).to(memory_format=layout)
    for constructor, trained in ((FUSED, model), (MMENGINES, other)):
        wrapper = wrapper_of(trained, constructor, kind)
        assert bool(wrapper.optimizer.defaults.get("fused")) == (constructor == FUSED)
        for _ in range(5):
            wrapper.update_params(trained(images).square().sum())
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("chosen", [{"fused": False}, {"foreach": True}])
def test_a_choice_of_the_config_is_kept(chosen):
    defaults = wrapper_of(nn.Linear(2, 2), **chosen).optimizer.defaults
    assert not defaults["fused"]


def test_an_optimizer_without_fused_kernels_is_built_as_by_mmengine():
    assert "fused" not in wrapper_of(nn.Linear(2, 2), type="Adadelta").optimizer.defaults


@pytest.mark.parametrize(("version", "on_cpu"), [("2.1.2", False), ("2.4.0", True), ("2.13.0+cpu", True)])
def test_older_versions_of_torch_have_kernels_for_gpus_only(monkeypatch, version, on_cpu):
    monkeypatch.setattr(torch, "__version__", version)
    assert fused_optimizer.has_kernels(nn.Linear(2, 2)) == on_cpu
    assert not fused_optimizer.has_kernels(nn.Linear(2, 2, device="meta"))


@on_this_torch
@pytest.mark.parametrize("kind", ["AdamW", torch.optim.AdamW])
@pytest.mark.parametrize("started", [FUSED, MMENGINES])
@pytest.mark.parametrize("continued", [FUSED, MMENGINES])
def test_a_state_of_either_way_is_continued_as_the_optimizer_was_built(kind, started, continued):
    torch.manual_seed(0)
    model, images = nn.Linear(2, 2), torch.randn(3, 2)
    other, constructors = copy.deepcopy(model), {}
    for trained, first, second in ((model, started, continued), (other, MMENGINES, MMENGINES)):
        wrapper = wrapper_of(trained, first, kind)
        wrapper.update_params(trained(images).sum())
        resumed = wrapper_of(trained, second, kind)
        resumed.load_state_dict(wrapper.state_dict())
        resumed.update_params(trained(images).sum())
        constructors[trained] = resumed.optimizer.param_groups[0]["fused"]
    if continued == FUSED:  # mmengine's takes it from the state, as torch does
        assert constructors[model]
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


@on_this_torch
def test_a_state_without_fused_kernels_is_continued_with_a_loss_scale():
    """`GradScaler` gives its scale to an optimizer that was built fused; an update that is not fused refuses it."""
    torch.manual_seed(0)
    model, images = nn.Linear(2, 2), torch.randn(3, 2)
    wrapper = wrapper_of(model, MMENGINES)
    wrapper.update_params(model(images).sum())
    resumed = wrapper_of(model).optimizer
    resumed.load_state_dict(wrapper.state_dict())
    scaler = torch.amp.GradScaler("cpu")
    before = model.weight.detach().clone()
    scaler.scale(model(images).sum()).backward()
    scaler.step(resumed)
    assert not torch.equal(model.weight, before)
