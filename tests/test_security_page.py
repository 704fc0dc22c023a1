"""SECURITY.md: each row of its table names code and a test that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOT_DATA = {"config (`.py`)", "archives (`.zip`, `.tar`)"}  # the first runs, the second are not read


def table() -> list[list[str]]:
    lines = [line for line in (ROOT / "SECURITY.md").read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def names_of_tests(file: Path) -> set[str]:
    return {n.name for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.FunctionDef)}


@pytest.mark.parametrize("row", table(), ids=lambda row: row[0])
def test_a_row_names_code_and_a_test(row: list[str]) -> None:
    file, _, _, both = row
    code, _, shown = both.partition("<br>")
    assert code == "-" or (ROOT / code.strip("`")).is_file()
    if file in NOT_DATA:
        assert not shown
        return
    path, _, name = shown.strip("`").partition("::")
    assert name in names_of_tests(ROOT / path)


def test_the_table_has_every_kind_of_file_that_the_package_opens() -> None:
    """Files with a call that decodes or unpickles: each is in the table, or is written by the package itself."""
    own = {"mmdataseg/engine/whole_checkpoints.py", "mmdataseg/formats/table_cache.py"}
    calls = re.compile(r"\b(torch\.load|np\.load|safe_open|load_file|Image\.open|json\.load)\(")
    reading = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "mmdataseg").rglob("*.py")
        if calls.search(file.read_text(encoding="utf-8"))
    }
    named = {row[3].partition("<br>")[0].strip("`") for row in table()}
    assert len(reading) > 5
    assert reading - own <= named
