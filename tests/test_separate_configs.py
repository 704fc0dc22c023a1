"""Separate models train as long as the joint one by default, or for the same number of epochs of their source."""

import pytest
from mmengine.config import Config

from mmdataseg.apis.config.files import find_config
from tests.config_world import docstring, key_of

JOINT = "dataseg_r50_3ds.py"
IMAGES = {"ade": 20210, "coco": 118287, "o365": 1742289}  # of training, docs/datasets.md
SOURCES = {"ade": "ade_semantic", "coco": "coco_panoptic", "o365": "objects365_boxes"}


def load(name: str) -> Config:
    return Config.fromfile(find_config(name))


@pytest.mark.parametrize("backbone", ["r50", "vitdet-b"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_separate_model_trains_as_long_as_the_joint_one(backbone: str, source: str) -> None:
    joint, separate = load(f"dataseg_{backbone}_3ds.py"), load(f"dataseg_{backbone}_{source}.py")
    assert separate.train_cfg.max_iters == joint.train_cfg.max_iters == 368750
    for key in ("train_cfg", "param_scheduler", "optim_wrapper", "auto_scale_lr"):
        assert key_of(Config({key: separate[key]})) == key_of(Config({key: joint[key]}))


@pytest.mark.parametrize("source", SOURCES)
def test_equal_epochs_are_those_of_the_source_in_the_joint_training(source: str) -> None:
    joint, short = load(JOINT), load(f"dataseg_r50_{source}_equal-epochs.py")
    ratios = joint.train_dataloader.batch_sampler.ratios
    names = [trained["name"] for trained in joint.train_dataloader.dataset.sources]
    (trained,) = short.train_dataloader.dataset.sources
    assert trained["name"] == SOURCES[source]
    share = ratios[names.index(trained["name"])] / sum(ratios)
    assert short.train_cfg.max_iters == round(share * joint.train_cfg.max_iters)
    before, after = joint.param_scheduler, short.param_scheduler
    assert after.end == short.train_cfg.max_iters
    assert list(after.milestones) == [round(share * step) for step in before.milestones]


@pytest.mark.parametrize("source", SOURCES)
def test_equal_epochs_configs_differ_only_in_the_schedule(source: str) -> None:
    long, short = load(f"dataseg_r50_{source}.py"), load(f"dataseg_r50_{source}_equal-epochs.py")
    for key in ("share", "max_iters", "param_scheduler"):
        long.pop(key, None)
        short.pop(key, None)
    long.train_cfg.max_iters = short.train_cfg.max_iters
    assert key_of(long) == key_of(short)


@pytest.mark.parametrize("source", SOURCES)
def test_the_docstring_states_the_epochs(source: str) -> None:
    long, short = load(f"dataseg_r50_{source}.py"), load(f"dataseg_r50_{source}_equal-epochs.py")
    batch = long.auto_scale_lr.base_batch_size
    epochs = [cfg.train_cfg.max_iters * batch / IMAGES[source] for cfg in (short, long)]
    few, many = (f"{count:.1f}" if count < 10 else f"{count:.0f}" for count in epochs)
    assert f"{few} epochs instead of {many}." in docstring(find_config(f"dataseg_r50_{source}_equal-epochs.py"))
