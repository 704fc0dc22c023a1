"""A toy world with a model that was never trained."""

from pathlib import Path

import pytest

from tests.toy import make_trained_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> Path:
    """See `make_trained_world`."""
    folder = tmp_path_factory.mktemp("world")
    make_trained_world(folder, repo_root)
    return folder
