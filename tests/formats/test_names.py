"""Names that once had several definitions have one."""

import ast
from pathlib import Path

import pytest

import mmdataseg

PACKAGE = Path(mmdataseg.__file__).parent


def definitions(name):
    """Files that define a function or a constant at the top of a module."""
    found = []
    for file in PACKAGE.rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            names = [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
            names += [t.id for t in node.targets if isinstance(t, ast.Name)] if isinstance(node, ast.Assign) else []
            found += [file.relative_to(PACKAGE).as_posix()] * (name in names)
    return found


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("VOID", "ops/id_map.py"),
        ("UNKNOWN", "formats/categories.py"),
        ("panoptic_segments", "ops/postprocess.py"),
        ("segments_info", "formats/coco_panoptic.py"),
        ("id_to_rgb", "formats/coco_panoptic.py"),
        ("write_png", "formats/png.py"),
        ("Journal", "formats/journal.py"),
    ],
)
def test_a_name_is_defined_once(name, home):
    assert definitions(name) == [home]
