"""docs/own_data.md: its example is configs/own_data, and its statements about it are true."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.registry import init_default_scope

from mmdataseg.datasets import MultiSourceDataset, RatioBatchSampler
from mmdataseg.evaluation import MultiSourceEvaluator
from tests import layouts

EXAMPLE = ("_base_/garden.py", "_base_/garden_boxes.py", "garden_with_boxes.py")


@pytest.fixture(scope="module")
def page(repo_root: Path) -> str:
    return (repo_root / "docs/own_data.md").read_text()


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page, flags=re.S)


def test_the_example_is_the_files(page: str, repo_root: Path) -> None:
    assert blocks(page)[:3] == [(repo_root / "configs/own_data" / name).read_text() for name in EXAMPLE]


def test_the_recipe_is_the_config(page: str, repo_root: Path) -> None:
    cfg = Config.fromfile(repo_root / "configs/own_data/garden_with_boxes.py")
    rows = dict(re.findall(r"^\| ([\w ]+) \| (.+?) \|", page.partition("## A recipe")[2], flags=re.M))
    (crop,) = {tuple(step["size"]) for s in cfg.train_sources for step in s.train.pipeline if "size" in step}
    assert rows["crop"].startswith(f"{crop[0]} x {crop[1]}")
    assert rows["batch"].startswith(f"{cfg.train_dataloader.batch_size} images")
    assert rows["iterations"].startswith(f"{cfg.train_cfg.max_iters:,} ")
    assert rows["learning rate"].startswith(f"{cfg.optim_wrapper.optimizer.lr:.5f}, a tenth")
    assert cfg.optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult == 0.1
    assert cfg.model.backbone.with_cp


def test_two_sources_share_one_vocabulary(repo_root: Path) -> None:
    garden, boxes = Config.fromfile(repo_root / "configs/own_data/garden_with_boxes.py").train_sources
    assert garden.name != boxes.name
    assert garden.label_space == boxes.label_space
    assert garden.embeddings == boxes.embeddings


def test_naming_both_files_raises_the_error_of_the_page(repo_root: Path, tmp_path: Path) -> None:
    folder = repo_root / "configs/own_data/_base_"
    (tmp_path / "both.py").write_text(f"_base_ = ['{folder}/garden.py', '{folder}/garden_boxes.py']\n")
    with pytest.raises(KeyError, match="Duplicate key is not allowed among bases"):
        Config.fromfile(tmp_path / "both.py")


def test_the_example_with_coco_runs(
    page: str, repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The config as printed, on generated images, with the batch sizes that the page names."""
    (joined,) = [block for block in blocks(page) if "ratios=[1, 1, 3]" in block]
    path = "mmdataseg_joined.py"
    joined = joined.replace('"./', f'"{repo_root}/configs/own_data/').replace('"../', f'"{repo_root}/configs/')
    (tmp_path / path).write_text(joined)
    monkeypatch.chdir(tmp_path)
    for name in ("coco", "garden"):
        layouts.write_layout(name, tmp_path)
    init_default_scope("mmdet")
    cfg = Config.fromfile(path)
    train = MultiSourceDataset(**{k: v for k, v in cfg.train_dataloader.dataset.items() if k != "type"})
    test = MultiSourceDataset(**{k: v for k, v in cfg.val_dataloader.dataset.items() if k != "type"})
    assert train.source_names == ["garden", "garden_boxes", "coco_panoptic"]
    assert train.sizes == [layouts.TRAIN_IMAGES] * 3
    assert test.source_names == ["garden"]
    assert cfg.model.sources == cfg.train_dataloader.dataset.sources
    (own_sizes,) = re.findall(r"`(batch_sampler=dict\(.*batch_sizes.*?\))`", page)
    own_sizes = Config.fromstring(own_sizes, ".py").batch_sampler
    sampler = RatioBatchSampler(sampler=DefaultSampler(train, seed=0), batch_size=2, **own_sizes)
    assert {sampler.global_batch(t)[0]: len(sampler.batch(t)) for t in range(5)} == {0: 4, 1: 4, 2: 2}


def test_the_example_with_instances_builds(
    page: str, repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test of the file that the page names, on an annotation that has only what the page says is needed."""
    (name,) = re.findall(r"\]\(\.\./(\S+garden_instances\.py)\) has both", page)
    source = Config.fromfile(repo_root / name).garden_instances
    monkeypatch.chdir(tmp_path)
    layouts.save_array(np.zeros((48, 64, 3), np.uint8), tmp_path / "data/garden/images/val/a.jpg")
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 8, 16, 16]}
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 48, "width": 64}],
        "annotations": [{**box, "segmentation": [[8, 8, 24, 8, 24, 24, 8, 24]]}],
        "categories": [{"id": 1, "name": "tree"}],
    }
    (tmp_path / "data/garden/instances_val.json").write_text(json.dumps(content))
    init_default_scope("mmdet")
    dataset = MultiSourceDataset(split="test", sources=[source])
    truth = dataset[0]["data_samples"].gt_instances
    assert truth.masks.shape == (1, 48, 64), "at the size on disk"
    assert truth.is_crowd.tolist() == [False]
    MultiSourceEvaluator(metrics=[source])


def test_masks_and_boxes_at_full_size_are_the_example_with_another_name(
    page: str, repo_root: Path, tmp_path: Path
) -> None:
    """The two files that the page says to copy, with what it says to write in them."""
    assert "write `garden_instances` in place of\n`garden`: `./garden_instances.py`, `_base_.garden_instances`." in page
    for name in ("garden_with_boxes.py", "_base_/garden_boxes.py"):
        text = (repo_root / "configs/own_data" / name).read_text().replace("./garden.py", "./garden_instances.py")
        text = re.sub(r"_base_\.garden\b", "_base_.garden_instances", text).replace('"../', f'"{repo_root}/configs/')
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    shutil.copy(repo_root / "configs/own_data/_base_/garden_instances.py", tmp_path / "_base_")
    cfg = Config.fromfile(tmp_path / "garden_with_boxes.py")
    masks, boxes = cfg.train_sources
    assert (masks.name, masks.supervision, boxes.name, boxes.supervision) == (
        *("garden_instances", "masks"),
        *("garden_boxes", "boxes"),
    )
    assert masks.label_space == boxes.label_space
    assert masks.embeddings == boxes.embeddings
    assert [source.name for source in cfg.test_sources] == ["garden_instances"]


def five_minutes(page: str) -> list[list[str]]:
    """The words of each command of the section "A first training on a CPU"."""
    (section,) = re.findall(r"## A first training on a CPU\n(.*?)\n## ", page, flags=re.S)
    block, *_ = re.findall(r"```shell\n(.*?)```", section.replace("\\\n", " "), flags=re.S)
    return [shlex.split(line) for line in block.splitlines()]


def test_the_five_minutes_prepare_data_that_are_right(page: str, tmp_path: Path) -> None:
    """The first three commands as printed: the check of the third finds no problem."""
    run_commands(five_minutes(page)[:3], tmp_path)


@pytest.mark.slow
def test_the_five_minutes_run(page: str, tmp_path: Path) -> None:
    """All commands as printed, except that only 6 images are segmented after 3 of the 300 iterations."""
    *prepare, train, predict = five_minutes(page)
    train += ["--cfg-options", "train_cfg.max_iters=3"]
    predict[4:6] = ["work_dirs/garden_small/iter_3.pth", "data/garden/images/boxes/garden_0[0-5].jpg"]
    run_commands([*prepare, train, predict], tmp_path)
    pictures = tmp_path / "work_dirs/garden_small/predictions/pictures"
    assert sorted(path.name for path in pictures.iterdir()) == [f"garden_0{n}.png" for n in range(6)]


def run_commands(commands: list[list[str]], folder: Path) -> None:
    """Run commands in a folder as if it were the repository; each must succeed."""
    root = Path(__file__).parents[1]
    for name in ("configs", "tools"):
        (folder / name).symlink_to(root / name)
    environment = {**os.environ, "PYTHONPATH": str(root)}
    for command in commands:
        assert command[0] == "python"
        done = subprocess.run(
            [sys.executable, *command[1:]], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
