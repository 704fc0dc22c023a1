"""docs/troubleshooting.md quotes messages as the code has them."""

import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/troubleshooting.md"
GAP = "…"
LIBRARIES = "## Messages of mmengine"


def rows(text: str, columns: int) -> list[list[str]]:
    """The cells of the rows of tables of that many columns that begin with a message."""
    found = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    return [cells for cells in found if len(cells) == columns]


def message(cell: str) -> str:
    return cell.strip("`")


OWN = [message(cells[0]) for cells in rows(PAGE.read_text().partition(LIBRARIES)[0], 3)]
THEIRS = [(message(cells[0]), message(cells[1])) for cells in rows(PAGE.read_text().partition(LIBRARIES)[2], 4)]


def template(node: ast.expr) -> str:
    """A string of the code, with a gap for each value that is formatted into it."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return template(node.left) + template(node.right)
    return GAP


@cache
def templates(file: Path) -> list[str]:
    """The strings of a file."""
    kinds = ast.Constant | ast.JoinedStr | ast.BinOp
    return [template(node) for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, kinds)]


def is_quoted(quote: str, strings: list[str]) -> bool:
    """Whether the parts of the quote between its gaps appear in one of the strings, in this order; and no other text
    between them than what the gap leaves out."""
    parts = [re.escape(part.strip()) for part in quote.split(GAP) if part.strip()]
    pattern = re.compile(".*".join(parts), re.DOTALL)
    return any(pattern.search(string) for string in strings)


def own_strings() -> list[str]:
    return [s for folder in ("mmdataseg", "tools") for file in (ROOT / folder).rglob("*.py") for s in templates(file)]


@pytest.mark.parametrize("quote", OWN)
def test_a_message_of_ours_is_in_the_source(quote: str) -> None:
    assert is_quoted(quote, own_strings())


@pytest.mark.parametrize(("quote", "module"), THEIRS)
def test_a_message_of_a_library_is_in_its_source(quote: str, module: str) -> None:
    spec = find_spec(module)
    assert spec is not None
    assert is_quoted(quote, templates(Path(spec.origin)))


def test_a_wrong_quote_is_seen() -> None:
    strings = ["source … has no '…' dataset; write one"]
    assert is_quoted("source … has no … dataset", strings)
    assert not is_quoted("source … lacks a dataset", strings)
    assert not is_quoted("dataset … source", strings)


def test_the_page_has_rows_and_every_message_says_something() -> None:
    assert len(OWN) > 40
    assert len(THEIRS) > 4
    longest = [max(len(part.strip()) for part in quote.split(GAP)) for quote in OWN]
    assert min(longest) >= 12, OWN[longest.index(min(longest))]
