"""The log says which weights of a checkpoint fit a model, and a checkpoint of another model is refused."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmdataseg.engine.check_weights import account_of_weights, summary
from mmdataseg.errors import UserError


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Linear(2, 3)
        self.classifier = nn.Module()
        self.classifier.register_buffer("embeddings_ade", torch.zeros(4, 2))
        self.classifier.temperature = nn.Parameter(torch.ones(()))

    def forward(self, inputs):
        return inputs


OWN = Model().state_dict()


def test_a_hand_worked_account():
    state = {
        "module.backbone.weight": torch.zeros(3, 2),
        "backbone.bias": torch.zeros(4),
        "head.a.weight": torch.zeros(1),
        "head.a.bias": torch.zeros(1),
        "classifier.embeddings_coco": torch.zeros(9, 2),
        "classifier._extra_state": torch.zeros(7, dtype=torch.uint8),
    }
    account = account_of_weights({"state_dict": state}, OWN)
    assert account.taken == ("backbone.weight",)
    assert account.other_shape == ("backbone.bias",)
    assert account.missing == ("classifier.temperature",)
    assert account.unknown == ("head.a.weight", "head.a.bias")
    assert str(account) == (
        "1 of the model's 3 weights are in the checkpoint; missing: classifier.temperature; in another shape: "
        "backbone.bias; only in the checkpoint: head.a (2)"
    )


def test_the_models_own_weights_fit_with_or_without_embeddings():
    account_of_weights(OWN, OWN).require_all("a.pth")
    without = {name: value for name, value in OWN.items() if "embeddings" not in name}
    account_of_weights({"state_dict": without}, OWN).require_all("a.pth")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (
            {"state_dict": {"foo.weight": torch.zeros(1)}},
            "'a.pth': no weight of this checkpoint fits .* has foo.weight, the",
        ),
        ({f"model.{n}": v for n, v in OWN.items()}, "its keys begin with 'model.' and would fit without it"),
        ({}, "no weight of this checkpoint fits the model: it has nothing"),
        ([1, 2], "'a.pth': expected a checkpoint, got a list"),
    ],
)
def test_a_checkpoint_without_a_fitting_weight_is_always_refused(content, match):
    for require in ("require_some", "require_all"):
        with pytest.raises(UserError, match=match):
            getattr(account_of_weights(content, OWN, file="a.pth"), require)("a.pth")


def test_a_part_is_enough_to_start_from_but_not_to_test():
    account = account_of_weights({"backbone.weight": torch.zeros(3, 2)}, OWN)
    account.require_some("a.pth")
    with pytest.raises(UserError, match=r"'a.pth': 1 of the model's 3 weights .*; use the checkpoint of a training"):
        account.require_all("a.pth")


def test_names_are_summed_up():
    assert summary(["a.b.c", "a.b.d", "e"]) == "a.b (2), e"
    assert summary(f"n{i}.x" for i in range(9)).endswith("n5.x, and 3 other groups")


def load(tmp_path, state, *, testing, resume=False, hooks=(), **content):
    """What mmengine's Runner does with a checkpoint, with the hook."""
    path = tmp_path / "some.pth"
    tmp_path.mkdir(exist_ok=True)
    more = dict(meta={}, optimizer={}) if resume == "whole" else {}
    torch.save({"state_dict": state, **more, **content}, path)
    runner = Runner(
        model=Model(),
        work_dir=str(tmp_path / "work"),
        cfg=Config(dict(load_from=str(path), resume=resume)),
        experiment_name=tmp_path.name,
        default_hooks=dict(runtime_info=None, logger=None, checkpoint=None, timer=None, param_scheduler=None),
        custom_hooks=list(hooks),
        resume=bool(resume),
    )
    runner.register_hook(dict(type="mmdataseg.CheckWeights", testing=testing))
    runner.call_hook("before_run")
    runner.load_checkpoint(str(path))
    return runner


def test_a_test_refuses_a_part_and_a_training_logs_it(tmp_path):
    part = {"backbone.weight": torch.ones(3, 2)}
    with pytest.raises(UserError, match=r"some\.pth': 1 of the model's 3 weights are in the checkpoint; missing: "):
        load(tmp_path / "a", part, testing=True)
    with pytest.raises(UserError, match="missing: "):
        load(tmp_path / "b", part, testing=False, resume="whole")
    with pytest.raises(UserError, match=r"some\.pth': has only weights, .*; start a training from these weights with"):
        load(tmp_path / "e", OWN, testing=False, resume=True)
    with pytest.raises(UserError, match="no weight of this checkpoint fits"):
        load(tmp_path / "c", {"foo.weight": torch.ones(1)}, testing=False)
    runner = load(tmp_path / "d", part, testing=False)
    assert runner.model.backbone.weight.tolist() == [[1, 1]] * 3
    (log,) = (tmp_path / "d/work").glob("*/*.log")
    assert "1 of the model's 3 weights are in the checkpoint; missing: " in log.read_text()


def test_averaged_weights_are_not_resumed_as_trained_ones(tmp_path):
    """With ``EMAHook``, ``state_dict`` in the file holds the averaged weights."""
    trained, averaged = ({name: torch.full_like(v, value) for name, v in OWN.items()} for value in (1.0, 2.0))
    average = {"ema_state_dict": {f"module.{name}": value for name, value in trained.items()}}
    with pytest.raises(UserError, match=r"some\.pth': its training averaged the weights .*; resume with the config of"):
        load(tmp_path / "a", averaged, testing=False, resume="whole", **average)
    for name, resume, hooks, expected in (
        ("b", "whole", [dict(type="EMAHook")], 1.0),
        ("c", False, [], 2.0),
        ("d", False, [dict(type="EMAHook")], 2.0),
    ):
        runner = load(tmp_path / name, averaged, testing=False, resume=resume, hooks=hooks, **average)
        assert runner.model.backbone.weight.unique().tolist() == [expected]
    runner = load(tmp_path / "e", averaged, testing=True, **average)
    assert runner.model.backbone.weight.unique().tolist() == [2.0]
