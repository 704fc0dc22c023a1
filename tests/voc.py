"""Generated files of projects/voc for the tests of the configs, which are skipped where projects/voc was deleted."""

from pathlib import Path

import pytest

files = pytest.importorskip("projects.voc.tests.files", reason="projects/voc is not there")


def write_voc(root: Path) -> None:
    """Write the data and the embeddings below ``root/data``, where the sources look for them."""
    files.write_real_world(root / "data/real_world")
    files.write_embeddings(root / "data/embeddings/voc")
