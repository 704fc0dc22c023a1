"""Fixtures for the tools."""

from pathlib import Path

import pytest


@pytest.fixture
def world(tmp_path, monkeypatch):
    """An empty folder to write layouts in; it is the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def trained_world(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> Path:
    """A toy world and a model: see `make_trained_world`. Skipped where projects/toy was deleted."""
    from tests.toy import make_trained_world

    folder = tmp_path_factory.mktemp("world")
    make_trained_world(folder, repo_root)
    return folder
