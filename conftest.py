"""Fixtures for every room."""

import json
import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.registry import DefaultScope

ROOT = Path(__file__).resolve().parent


@pytest.fixture(scope="module", autouse=True)
def _default_scope() -> Iterator[None]:
    """Each file of tests starts with the scope of our configs: a Runner leaves its own behind for the process."""
    with DefaultScope.overwrite_default_scope("mmdet"):
        yield


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """A GPU: by default one made of the CPU, which knows devices but has no kernels; with ``-m gpu`` a real one."""
    from tests.fake_cuda import fake_cuda

    with fake_cuda() if request.param == "fake" else nullcontext():
        yield "cuda"


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """Root of the source tree the tests belong to."""
    return ROOT


@pytest.fixture(scope="session")
def mini_world(repo_root: Path) -> Path:
    """Folder of real images and annotations, which is not part of the repository."""
    folder = Path(os.environ.get("MMDATASEG_MINI_WORLD", repo_root.parent / "shared" / "mini_world"))
    if not folder.is_dir():
        pytest.skip(f"no mini world at {folder}; set MMDATASEG_MINI_WORLD to its folder")
    return folder


@pytest.fixture(scope="session")
def real_world(repo_root: Path) -> Path:
    """Folder of photographs, annotations, text rows and a pretrained backbone, which is not part of the repository."""
    folder = Path(os.environ.get("MMDATASEG_REAL_WORLD", repo_root.parent / "shared" / "real_world"))
    if not folder.is_dir():
        pytest.skip(f"no real world at {folder}; set MMDATASEG_REAL_WORLD to its folder")
    return folder


@pytest.fixture(scope="session")
def panoptic_reference(repo_root: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Panoptic maps and what COCO's own evaluator counts of them, which are not part of the repository."""
    file = Path(os.environ.get("MMDATASEG_REFERENCE", repo_root.parent / "shared/reference")) / "panoptic_quality.json"
    if not file.is_file():
        pytest.skip(f"reference counts not found: {file}; set MMDATASEG_REFERENCE to their folder")
    with np.load(file.with_suffix(".npz")) as maps:
        return json.loads(file.read_text()), dict(maps)
