"""A loss or weight that is not finite ends the training in the same iteration, and the checkpoints do not change."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmdataseg.engine.finite_training import FiniteTraining
from mmdataseg.errors import UserError
from tests.engine.breaking_model import BreaksAtFive, GradientBreaksAtFive, one_by_one
from tests.rank_processes import run_ranks


def run(tmp_path, model=None, **checkpoints):
    runner = Runner(
        model=model or BreaksAtFive(),
        work_dir=str(tmp_path),
        cfg=Config(),
        experiment_name=tmp_path.name,
        train_dataloader=one_by_one(),
        train_cfg=dict(by_epoch=False, max_iters=8),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        default_hooks=dict(
            checkpoint=dict(dict(type="CheckpointHook", interval=2, by_epoch=False, max_keep_ckpts=1), **checkpoints)
        ),
    )
    runner.register_hook(dict(type="mmdataseg.FiniteTraining"))
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
        "iteration 6 of source 'ade': weights are not finite, because a gradient was not: weight; "
        "images img/5.jpg; nothing was saved"
    )
    assert f"--resume continues from {tmp_path / 'iter_4.pth'}" in text
    assert [path.name for path in Path(tmp_path).glob("*.pth")] == ["iter_4.pth"]


def fake_runner(tmp_path, **wrapper):
    logged = []
    logger = SimpleNamespace(log=lambda _level, text: logged.append(text))
    parts = dict(model=BreaksAtFive(), logger=logger, optim_wrapper=SimpleNamespace(**wrapper))
    return logged, SimpleNamespace(iter=0, work_dir=tmp_path, **parts)


def scaler(scale=1.0):
    return SimpleNamespace(get_scale=lambda: scale)


def test_a_training_that_skips_every_step_stops(tmp_path):
    """Its losses and weights stay finite. torch halves the scale in each step that it skips, from 2^16."""
    finite = {"loss": torch.tensor(1.0)}
    FiniteTraining().after_train_iter(fake_runner(tmp_path, loss_scaler=scaler(2.0**-24))[1], 0, outputs=finite)
    with pytest.raises(UserError, match=r"iteration 1: mixed precision skips all steps, .* fell to 3\.0e-08; train"):
        FiniteTraining().after_train_iter(fake_runner(tmp_path, loss_scaler=scaler(2.0**-25))[1], 0, outputs=finite)


def test_steps_that_mixed_precision_skips_are_logged_and_end_it_after_twenty_in_a_row(tmp_path):
    logged, runner = fake_runner(tmp_path, loss_scaler=scaler())
    hook, bad = FiniteTraining(), {"loss": torch.tensor(float("inf"))}
    for _ in range(20):
        hook.after_train_iter(runner, 0, outputs=bad)
    assert len(logged) == 20
    assert "mixed precision skips this step" in logged[0]
    hook.after_train_iter(runner, 0, outputs={"loss": torch.tensor(1.0)})
    for _ in range(20):
        hook.after_train_iter(runner, 0, outputs=bad)
    with pytest.raises(UserError, match="iteration 1: not finite: loss; nothing was saved since; no checkpoint was"):
        hook.after_train_iter(runner, 0, outputs=bad)


def test_a_weight_that_is_not_finite_is_no_skipped_step(tmp_path):
    _, runner = fake_runner(tmp_path, loss_scaler=scaler())
    runner.model.weight.data.fill_(float("inf"))
    with pytest.raises(UserError, match="iteration 1: weights are not finite, because a gradient was not: weight;"):
        FiniteTraining().after_train_iter(runner, 0, outputs={"loss": torch.tensor(1.0)})
    with pytest.raises(UserError, match="iteration 1: not finite: loss;"):
        FiniteTraining().after_train_iter(runner, 0, outputs={"loss": torch.tensor(float("nan"))})


def test_frozen_weights_are_not_checked(tmp_path):
    _, runner = fake_runner(tmp_path)
    runner.model.weight.data.fill_(float("inf"))
    runner.model.weight.requires_grad = False
    FiniteTraining().after_train_iter(runner, 0, outputs={"loss": torch.tensor(1.0)})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_large_weights_are_finite(tmp_path, dtype):
    """Their sum is larger than float16 can hold."""
    _, runner = fake_runner(tmp_path)
    runner.model.weight = torch.nn.Parameter(torch.full((1000,), 60000.0, dtype=dtype))
    FiniteTraining().after_train_iter(runner, 0, outputs={"loss": torch.tensor(1.0)})


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory, repo_root):
    """The folder of trainings by two processes."""
    folder = tmp_path_factory.mktemp("two_ranks")
    run_ranks("tests.engine.finite_training_rank", 2, [str(folder)], repo_root, LOCAL_RANK="0")
    return folder


def test_a_loss_of_one_rank_stops_all_in_the_same_iteration(two_ranks):
    first, second = ((two_ranks / f"loss/{rank}.end").read_text() for rank in range(2))
    assert first == (
        "UserError: iteration 3: a loss of another rank is not finite; nothing was saved since; --resume continues "
        f"from {two_ranks / 'loss/iter_2.pth'}; lower the learning rate, or clip gradients"
    )
    assert second.startswith("UserError: iteration 3 of source 'ade': not finite: loss, loss_a; images img/5.jpg; ")
    assert [path.name for path in two_ranks.glob("loss/*.pth")] == ["iter_2.pth"]


def test_a_gradient_of_one_rank_stops_all_in_the_same_iteration(two_ranks):
    """The mean of the gradients is infinite, so all ranks have the same wrong weights. Only the first one saves."""
    for rank, image in enumerate(("img/4.jpg", "img/5.jpg")):
        assert (two_ranks / f"gradient/{rank}.end").read_text() == (
            "UserError: iteration 3 of source 'ade': weights are not finite, because a gradient was not: weight; "
            f"images {image}; nothing was saved since; --resume continues from {two_ranks / 'gradient/iter_2.pth'}; "
            "check these images, lower the learning rate, or clip gradients"
        )
    assert [path.name for path in two_ranks.glob("gradient/*.pth")] == ["iter_2.pth"]


@pytest.mark.parametrize("outputs", [None, {}, {"loss": torch.tensor(1.0), "images": 3}])
def test_finite_losses_and_none_pass(tmp_path, outputs):
    FiniteTraining().after_train_iter(fake_runner(tmp_path)[1], 0, outputs=outputs)
