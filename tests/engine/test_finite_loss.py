"""A loss that is not finite ends the training in the same iteration, and the checkpoints do not change."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.runner import Runner

from mmdataseg.engine.finite_loss import FiniteLoss
from mmdataseg.errors import UserError
from tests.engine.breaking_model import BreaksAtFive, Numbers


class GradientBreaksAtFive(BreaksAtFive):
    """All losses are finite until the step that follows the gradient."""

    def forward(self, inputs, data_samples, mode):  # noqa: ARG002
        return dict(loss=(self.weight * float(inputs[0] != 5)).sqrt())  # the slope of the root at 0 is infinite


def run(tmp_path, model=None, **checkpoints):
    runner = Runner(
        model=model or BreaksAtFive(),
        work_dir=str(tmp_path),
        cfg=Config(),
        experiment_name=tmp_path.name,
        train_dataloader=dict(
            dataset=Numbers(), batch_size=1, num_workers=0, sampler=dict(type=DefaultSampler, shuffle=False)
        ),
        train_cfg=dict(by_epoch=False, max_iters=8),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        default_hooks=dict(
            checkpoint=dict(dict(type="CheckpointHook", interval=2, by_epoch=False, max_keep_ckpts=1), **checkpoints)
        ),
    )
    runner.register_hook(dict(type="mmdataseg.FiniteLoss"))
    runner.train()


def test_the_training_stops_and_the_last_good_checkpoint_stays(tmp_path):
    with pytest.raises(UserError) as caught:
        run(tmp_path)
    text = str(caught.value)
    assert text.startswith("iteration 6 of source 'ade': not finite: loss, loss_a; images img/5.jpg; nothing was saved")
    assert f"--resume continues from {tmp_path / 'iter_4.pth'}" in text
    assert [path.name for path in Path(tmp_path).glob("*.pth")] == ["iter_4.pth"]
    assert torch.load(tmp_path / "iter_4.pth", weights_only=False)["state_dict"]["weight"].isfinite()


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    with pytest.raises(UserError) as caught:
        run(tmp_path, GradientBreaksAtFive(), type="mmdataseg.WholeCheckpoints")
    text = str(caught.value)
    assert text.startswith(
        "iteration 6: weights are not finite, after a gradient that was not: weight; nothing was saved"
    )
    assert f"--resume continues from {tmp_path / 'iter_4.pth'}" in text
    assert [path.name for path in Path(tmp_path).glob("*.pth")] == ["iter_4.pth"]


def fake_runner(tmp_path, **wrapper):
    logged = []
    logger = SimpleNamespace(log=lambda _level, text: logged.append(text))
    return logged, SimpleNamespace(iter=0, work_dir=tmp_path, logger=logger, optim_wrapper=SimpleNamespace(**wrapper))


def test_steps_that_mixed_precision_skips_are_logged_and_end_it_after_twenty_in_a_row(tmp_path):
    logged, runner = fake_runner(tmp_path, loss_scaler=object())
    hook, bad = FiniteLoss(), {"loss": torch.tensor(float("inf"))}
    for _ in range(20):
        hook.after_train_iter(runner, 0, outputs=bad)
    assert len(logged) == 20
    assert "mixed precision skips this step" in logged[0]
    hook.after_train_iter(runner, 0, outputs={"loss": torch.tensor(1.0)})
    for _ in range(20):
        hook.after_train_iter(runner, 0, outputs=bad)
    with pytest.raises(UserError, match="iteration 1: not finite: loss; nothing was saved since; no checkpoint was"):
        hook.after_train_iter(runner, 0, outputs=bad)


@pytest.mark.parametrize("outputs", [None, {}, {"loss": torch.tensor(1.0), "images": 3}])
def test_finite_losses_and_none_pass(tmp_path, outputs):
    FiniteLoss().after_train_iter(fake_runner(tmp_path)[1], 0, outputs=outputs)
