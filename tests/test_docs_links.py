"""Links within the repository lead to an existing file and heading; lines of prose are not long."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text_of(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> list[str]:
    found = []
    for link in LINK.findall(text_of(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_has_a_target(page: Path) -> None:
    assert dead_links(page) == []


def test_there_are_links_to_check_and_a_dead_one_is_found(tmp_path: Path) -> None:
    assert sum(len(LINK.findall(text_of(page))) for page in PAGES) > 20
    page = tmp_path / "page.md"
    page.write_text("# One `thing`, two\n[a](#one-thing-two) [b](#two) [c](none.md) [d](page.md#one-thing-two)\n")
    assert dead_links(page) == ["#two", "none.md"]


# A study writes its page, except for the notes; docs/configs.md is made from docstrings.
STUDIES, GENERATED = ("real_study.md", "toy_study.md"), ("configs.md",)


def long_lines(page: Path) -> list[str]:
    """The lines of prose of more than 120 characters: not code, tables, or lines that are only an image."""
    text = text_of(page)
    if page.name in STUDIES:
        text = text.partition("<!-- notes")[2].partition("<!-- end of notes")[0]
    lines = [line for line in text.splitlines() if len(line) > 120]
    return [line for line in lines if not line.startswith("|") and not re.fullmatch(r"!\[.*\]\(\S+\)", line)]


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.parent.name == "docs" and page.name not in GENERATED],
    ids=lambda page: page.name,
)
def test_lines_of_prose_have_at_most_120_characters(page: Path) -> None:
    assert long_lines(page) == []


def test_a_long_line_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    long = "word " * 25
    page.write_text(f"{long}\n| {long} |\n![{long}](a.svg)\n```\n{long}\n```\n- {long}\nshort\n")
    assert long_lines(page) == [long, f"- {long}"]
