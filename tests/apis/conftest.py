"""A toy world with a model that was never trained, and a folder for what is predicted in it."""

from pathlib import Path

import pytest

from tests.toy import make_trained_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> Path:
    """See `make_trained_world`."""
    folder = tmp_path_factory.mktemp("world")
    make_trained_world(folder, repo_root)
    return folder


@pytest.fixture
def here(world: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder; the world is the current folder."""
    monkeypatch.chdir(world)
    return tmp_path
