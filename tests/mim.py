"""Tests that need a mim which finds an editable package; openmim looks for it in site-packages."""

from importlib.metadata import distributions

import pytest


def skip_unless_it_finds_editable_packages() -> None:
    """Skip the test without mim, or with openmim."""
    pytest.importorskip("mim", reason="mim is not installed")
    if not any(distribution.name == "onedl-mim" for distribution in distributions()):
        pytest.skip("openmim does not find editable packages")
