"""docs/using_parts.md: what it names is registered, and its configs run in mmdet's own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import build_hooks
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.registry import components
from tests import layouts

# as printed, cut down for a CPU and random weights
SMALLER = """
model = dict(
    backbone=dict(depth=18, init_cfg=None),
    data_preprocessor=dict(batch_augments=None),
    panoptic_head=dict(
        in_channels=[64, 128, 256, 512],
        pixel_decoder=dict(encoder=dict(num_layers=1)),
        transformer_decoder=dict(num_layers=1),
    ),
)
test_dataloader = dict(num_workers=0, persistent_workers=False)
"""
RUN = """
import mmdataseg, torch
from mmengine.config import Config
from mmengine.runner import Runner
cfg = Config.fromfile("mine.py")
for step in cfg.test_dataloader.dataset.sources[0].test.pipeline:
    if step["type"] == "Resize":
        step.scale = (64, 64)
cfg.work_dir = "work"
torch.manual_seed(0)
print("SCORES", sorted(Runner.from_cfg(cfg).test()))
"""


@pytest.fixture(scope="module")
def page(repo_root: Path) -> str:
    return (repo_root / "docs/using_parts.md").read_text()


def test_every_part_of_the_table_is_registered(page: str) -> None:
    register_all_modules()
    named = {
        name for line in page.splitlines() if line.startswith("| `") for name in re.findall(r"`mmdataseg\.(\w+)`", line)
    }
    assert len(named) >= 14
    assert named <= set(components())


def test_panoptic_quality_is_counted_in_a_config_of_mmdets_own(page: str, tmp_path: Path, repo_root: Path) -> None:
    """The config as printed, read by mmengine from elsewhere, tested by mmengine's Runner."""
    for name in ("mmdataseg", "configs", "tools"):
        ignore = shutil.ignore_patterns("__pycache__", ".mim")
        shutil.copytree(repo_root / name, tmp_path / "tree" / name, ignore=ignore)
    shutil.copy2(repo_root / "model-index.yml", tmp_path / "tree")
    build_hooks.link_mim(tmp_path / "tree")
    layouts.write_layout("coco", tmp_path)
    (printed,) = [block for block in re.findall(r"```python\n(.*?)```", page, flags=re.S) if "mmdet::" in block]
    (tmp_path / "printed.py").write_text(printed)
    (tmp_path / "mine.py").write_text(f'_base_ = ["./printed.py"]\n{SMALLER}')
    env = os.environ | {"PYTHONPATH": str(tmp_path / "tree"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", RUN], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (scores,) = [line for line in done.stdout.splitlines() if line.startswith("SCORES")]
    assert "'coco_panoptic/PQ'" in scores
