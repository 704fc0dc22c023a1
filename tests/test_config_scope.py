"""A config elsewhere inherits from ours by scope: ``_base_ = ["mmdataseg::_base_/..."]``, as from mmdet's."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS

import build_hooks
from mmdataseg.registry import MODELS, TRANSFORMS
from tests import layouts

MODEL_ONLY = """
_base_ = ["mmdataseg::_base_/models/dataseg_r50.py"]
model = dict(panoptic_head=dict(num_queries=7))
"""
WHOLE = """
_base_ = [
    "mmdataseg::_base_/sources/ade_semantic.py",
    "mmdataseg::_base_/models/dataseg_small.py",
    "mmdataseg::_base_/schedules/adamw_2k.py",
]
_small = [dict(type="mmdataseg.LoadImage"), dict(type="mmdataseg.LoadSemanticMap"), dict(type="mmdataseg.PackInputs")]
mine = dict(
    _base_.ade_semantic,
    name="mine",
    train=dict(_base_.ade_semantic.train, pipeline=_small),
    test=dict(_base_.ade_semantic.test, indices=2),
)
model = dict(classifier=dict(embed_dim=768), sources=[mine])
_loader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(sources=[mine]))
train_dataloader = dict(_loader, batch_sampler=dict(ratios=[1]))
val_dataloader = test_dataloader = _loader
val_evaluator = test_evaluator = dict(metrics=[mine])
train_cfg = dict(max_iters=2, val_interval=2)
"""
LOAD = """
import mmdataseg
from mmengine.config import Config
cfg = Config.fromfile("mine.py")
print(cfg.model.type, cfg.model.backbone.depth, cfg.model.panoptic_head.num_queries)
"""


@pytest.fixture(scope="module")
def editable(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> Path:
    """A source tree after an editable install."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("mmdataseg", "configs", "tools"):
        shutil.copytree(repo_root / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", ".mim"))
    shutil.copy2(repo_root / "model-index.yml", tree)
    build_hooks.link_mim(tree)
    return tree


def run(*args: str, tree: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *args], cwd=cwd, env=env, capture_output=True, text=True)


def test_a_config_elsewhere_loads_after_import_mmdataseg(editable: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MODEL_ONLY)
    done = run("-c", LOAD, tree=editable, cwd=tmp_path)
    assert done.stdout.splitlines()[-1:] == ["mmdataseg.DaTaSeg 50 7"], done.stderr


def test_a_config_elsewhere_trains_and_is_scored(editable: Path, tmp_path: Path) -> None:
    layouts.write_all(tmp_path)
    (tmp_path / "mine.py").write_text(WHOLE)
    done = run("-m", "mmdataseg", "train", "mine.py", tree=editable, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "work_dirs/mine/iter_2.pth").is_file()
    assert "mIoU" in done.stdout
    assert "modules will not be registered" not in done.stdout + done.stderr


def test_a_name_without_prefix_is_mmdets_if_we_do_not_have_it() -> None:
    assert MODELS.get("ResNet") is ROOT_MODELS.get("mmdet.ResNet")
    assert MODELS.get("DaTaSeg").__module__ == "mmdataseg.models.dataseg"
    assert TRANSFORMS.get("RandomCrop").__module__.startswith("mmdataseg.")  # mmdet has one of that name, too
    assert MODELS.get("NoSuchModel") is None


@pytest.mark.parametrize(
    "name", ["Resize", "RandomFlip", "RandomResize", "Pad", "LoadAnnotations", "PhotoMetricDistortion"]
)
def test_a_transform_that_mmcv_has_too_is_mmdets(name: str) -> None:
    """mmcv's transforms do not move mmdet's boxes."""
    assert TRANSFORMS.get(name) is ROOT_TRANSFORMS.get(f"mmdet.{name}")


def test_a_pipeline_with_boxes_is_built_by_scope_as_with_paths() -> None:
    boxes = HorizontalBoxes(np.array([[2.0, 2.0, 6.0, 6.0]], np.float32))
    results = {"img": np.zeros((8, 8, 3), np.uint8), "gt_bboxes": boxes, "img_shape": (8, 8)}
    for step in (dict(type="Resize", scale=(16, 16)), dict(type="RandomFlip", prob=1.0)):
        results = TRANSFORMS.build(step)(results)
    assert results["gt_bboxes"].tensor.tolist() == [[4.0, 4.0, 12.0, 12.0]]
