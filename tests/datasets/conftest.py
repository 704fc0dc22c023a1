"""Fixtures of the data sets' tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def mini_world(repo_root: Path) -> Path:
    """The mini world's folder: real images and annotations, never part of the repository."""
    path = Path(os.environ.get("MMDATASEG_MINI_WORLD", repo_root.parent / "shared/mini_world"))
    if not path.is_dir():
        pytest.skip(f"no mini world at '{path}'; set MMDATASEG_MINI_WORLD to its folder")
    return path
