"""The whole path on a toy world of a few images: train, resume, test, through the same code as the command line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from mmdataseg.apis.training.runner import build_runner
from tests.toy import make_toy

ROOT = Path(__file__).parents[1]
LEAF = ROOT / "projects/toy/configs/dataseg_toy_3ds.py"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that contains data/toy, as the configs expect."""
    folder = tmp_path_factory.mktemp("world")
    make_toy([str(folder / "data/toy"), "--train-images", "4", "6", "6", "--val-images", "2"])
    return folder


def config(work_dir: Path, **options: Any) -> Config:
    cfg = Config.fromfile(LEAF)
    cfg.work_dir = str(work_dir)
    # mmengine keeps visualizers and loggers by name: each run of this process needs its own
    cfg.experiment_name = cfg.visualizer.name = f"end_to_end_{work_dir.name}"
    cfg.merge_from_dict(
        {
            "train_dataloader.batch_size": 2,
            "train_dataloader.batch_sampler.ratios": [1, 1, 1],
            "train_dataloader.num_workers": 0,
            "train_dataloader.persistent_workers": False,
            "val_dataloader.num_workers": 0,
            "val_dataloader.persistent_workers": False,
            "test_dataloader.num_workers": 0,
            "test_dataloader.persistent_workers": False,
            "default_hooks.checkpoint.interval": 2,
            "default_hooks.logger.interval": 1,
            "train_cfg.max_iters": 4,
            "train_cfg.val_interval": 100,
            "randomness": {"seed": 5},
            **options,
        }
    )
    return cfg


@pytest.fixture(scope="module")
def trained(world: Path) -> Path:
    """The work_dir of a training of four iterations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(world)
        build_runner(config(world / "work")).train()
    return world / "work"


def scalars(work_dir: Path) -> list[dict[str, Any]]:
    (log,) = work_dir.glob("*/vis_data/scalars.json")
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_training_draws_every_source_and_logs_its_losses(trained: Path) -> None:
    losses = {name for line in scalars(trained) for name in line if "/loss_" in name}
    masks = {"loss_class", "loss_focal", "loss_dice"}
    expected = {"toy_semantic": masks, "toy_panoptic": masks, "toy_boxes": {"loss_class", "loss_projection"}}
    assert losses == {f"{source}/{name}" for source, names in expected.items() for name in names}
    assert (trained / "curves.png").is_file()
    assert all(line["loss"] > 0 for line in scalars(trained) if "loss" in line)


def test_a_stopped_and_resumed_run_ends_with_the_same_weights(
    trained: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world)
    resumed = config(world / "resumed", load_from=str(trained / "iter_2.pth"), resume=True)
    build_runner(resumed).train()
    once = torch.load(trained / "iter_4.pth", weights_only=False)["state_dict"]
    twice = torch.load(world / "resumed/iter_4.pth", weights_only=False)["state_dict"]
    assert once.keys() == twice.keys()
    differing = [name for name in once if not torch.equal(once[name], twice[name])]
    assert differing == []


def test_averaged_weights_are_resumed_exactly(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By mmengine's ``EMAHook``, with a validation of the averaged weights in between."""
    monkeypatch.chdir(world)
    average = dict(type="EMAHook", ema_type="ExpMomentumEMA", momentum=0.2, update_buffers=True)
    options = {"custom_hooks": [average], "train_cfg.val_interval": 3}
    build_runner(config(world / "average", **options)).train()
    resume = {"load_from": str(world / "average/iter_2.pth"), "resume": True}
    build_runner(config(world / "average_resumed", **options, **resume)).train()
    once, twice = (
        torch.load(world / name / "iter_4.pth", weights_only=False) for name in ("average", "average_resumed")
    )
    for part in ("state_dict", "ema_state_dict"):
        assert once[part].keys() == twice[part].keys()
        assert [name for name in once[part] if not torch.equal(once[part][name], twice[part][name])] == []
    assert int(once["ema_state_dict"]["steps"]) == 4
    averaged, last = once["state_dict"], once["ema_state_dict"]
    assert any(not torch.equal(value, last[f"module.{name}"]) for name, value in averaged.items())


def test_averaged_weights_start_from_a_checkpoint_without_the_embedding_files(
    trained: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world)
    average = dict(type="EMAHook", ema_type="ExpMomentumEMA", momentum=0.2, update_buffers=True)
    options = {"custom_hooks": [average], "train_cfg.max_iters": 2, "train_cfg.val_begin": 3}
    (world / "data/toy/embeddings").rename(world / "away")
    try:
        build_runner(config(world / "from_checkpoint", load_from=str(trained / "iter_4.pth"), **options)).train()
    finally:
        (world / "away").rename(world / "data/toy/embeddings")
    start, end = (
        torch.load(file, weights_only=False)["state_dict"]
        for file in (trained / "iter_4.pth", world / "from_checkpoint/iter_2.pth")
    )
    assert torch.equal(end["classifier._extra_state"], start["classifier._extra_state"])


def test_one_test_answers_every_task_and_prints_one_table(
    trained: Path, world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world)
    options = {"load_from": str(trained / "iter_4.pth")}
    metrics = build_runner(config(world / "test", **options)).test()
    assert {
        "toy_semantic/mIoU",
        "toy_panoptic/PQ",
        "toy_boxes/mask_AP",
        "toy_boxes/box_only/mask_AP",
        "toy_boxes/box_only/mask_AP_filled_boxes",
        "toy_semantic_as_panoptic/PQ",
        "toy_open/PQ",
        "toy_open/PQ_chance",
    } <= set(metrics)
    printed = capfd.readouterr()
    table = [line for line in (printed.out + printed.err).splitlines() if re.match(r"^\W*toy_open\W+panoptic", line)]
    assert table
    pictures = {path.name.rpartition("_")[0] for path in (world / "test/pictures").iterdir()}
    assert {"toy_semantic_semantic", "toy_panoptic_panoptic", "toy_boxes_instance"} <= pictures


def test_a_checkpoint_is_complete_without_the_embedding_files(
    trained: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world)
    load = {"load_from": str(trained / "iter_4.pth")}
    expected = build_runner(config(world / "with_files", **load)).test()
    (world / "data/toy/embeddings").rename(world / "away")
    try:
        actual = build_runner(config(world / "without_files", **load)).test()
    finally:
        (world / "away").rename(world / "data/toy/embeddings")
    assert actual == pytest.approx(expected, nan_ok=True)
