"""Fixtures for the tools."""

import pytest


@pytest.fixture
def world(tmp_path, monkeypatch):
    """An empty folder to write layouts in; it is the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
