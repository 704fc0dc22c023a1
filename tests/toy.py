"""The toy world as data for tests. Tests that need it are skipped where projects/toy was deleted."""

import pytest

make_toy = pytest.importorskip("projects.toy.make_toy", reason="projects/toy is not there").main
