"""A training is resumed with its own learning-rate schedule and groups of parameters, or not at all."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmdataseg.errors import UserError


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, *inputs, mode):  # noqa: ARG002
        return {"loss": self.layer(inputs[0]).sum()}


def train(folder, scheduler, iterations, *, load_from=None, **optim_wrapper):
    schedulers = [scheduler] if isinstance(scheduler, dict) else scheduler
    settings = dict(
        train_cfg=dict(type="IterBasedTrainLoop", max_iters=iterations),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=1.0), **optim_wrapper),
        param_scheduler=[dict(by_epoch=False, **one) for one in schedulers],
        load_from=load_from,
        resume=load_from is not None,
    )
    loader = dict(
        batch_size=1,
        num_workers=0,
        dataset=[torch.zeros(1)] * 4,
        sampler=dict(type="InfiniteSampler"),
        collate_fn=dict(type="pseudo_collate"),
    )
    runner = Runner(
        model=Model(),
        work_dir=str(folder),
        cfg=Config(settings),
        train_dataloader=loader,
        default_hooks=dict(
            logger=None, runtime_info=None, checkpoint=dict(type="CheckpointHook", interval=1, by_epoch=False)
        ),
        experiment_name=f"{folder.name}_{iterations}_{load_from is not None}",
        **settings,
    )
    runner.register_hook(dict(type="mmdataseg.SameOptimization"))
    runner.train()
    return runner.optim_wrapper.get_lr()["lr"][0]


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        (
            {"type": "LinearLR", "end": 3},
            {"type": "LinearLR", "end": 9},
            "has end=3, but that of this command has end=9",
        ),
        (
            {"type": "MultiStepLR", "milestones": [1, 2], "end": 9},
            {"type": "MultiStepLR", "milestones": [2, 4], "end": 9},
            r"has milestones=\[1, 2\], but that of this command has milestones=\[2, 4\]",
        ),
        ({"type": "LinearLR", "end": 3}, [], "has 1 scheduler, but that of this command has 0"),
    ],
)
def test_another_schedule_is_refused(tmp_path, before, now, message):
    train(tmp_path, before, 2)
    with pytest.raises(UserError, match=rf"iter_2\.pth': its learning-rate schedule {message}; resume with the config"):
        train(tmp_path, now, 4, load_from=str(tmp_path / "iter_2.pth"))


def test_a_longer_training_with_the_same_schedule_goes_on_as_if_it_had_not_stopped(tmp_path):
    schedule = {"type": "LinearLR", "start_factor": 0.1, "begin": 0, "end": 9}
    train(tmp_path / "first", schedule, 2)
    resumed = train(tmp_path / "second", schedule, 4, load_from=str(tmp_path / "first/iter_2.pth"))
    assert resumed == train(tmp_path / "whole", schedule, 4)


def test_other_groups_of_parameters_are_refused_with_the_remedy(tmp_path):
    schedule = {"type": "LinearLR", "start_factor": 0.1, "begin": 0, "end": 9}
    paramwise = dict(custom_keys=dict(layer=dict(lr_mult=0.5)))
    train(tmp_path, schedule, 2, paramwise_cfg=paramwise)  # mmengine: a group for the weight, one for the bias
    resume = dict(load_from=str(tmp_path / "iter_2.pth"), paramwise_cfg=paramwise)
    message = r"iter_2\.pth': its optimizer has 2 groups of parameters, but that of this command has 1; resume with the"
    with pytest.raises(UserError, match=message + r".* optim_wrapper\.constructor=DefaultOptimWrapperConstructor"):
        train(tmp_path, schedule, 4, constructor="mmdataseg.GroupedOptimWrapperConstructor", **resume)
    assert train(tmp_path, schedule, 4, constructor="DefaultOptimWrapperConstructor", **resume) > 0
