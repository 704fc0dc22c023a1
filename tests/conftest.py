"""Fixtures for every room."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


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
