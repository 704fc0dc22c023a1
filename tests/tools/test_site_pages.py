"""The pages of the documentation site: links, navigation, and Markdown that GitHub and the site read alike."""

import re
from pathlib import Path

import pytest

from tools.site import pages

ROOT = Path(__file__).resolve().parents[2]
MARKDOWN = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
ITEM = re.compile(r"(?:[-*]|\d+\.) ")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collected pages."""
    folder = tmp_path_factory.mktemp("site") / "pages"
    pages.main([str(folder)])
    return folder


def navigation() -> list[str]:
    """The pages that the navigation names."""
    nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    return re.findall(r"([\w/.-]+\.md)$", nav, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("uri", "link", "expected"),
    [
        ("index.md", "[own words](docs/own_data.md#a-source)", "[own words](own_data.md#a-source)"),
        ("index.md", "![a picture](docs/images/demo.webp)", "![a picture](images/demo.webp)"),
        ("method.md", "[here](#merge) [there](https://a.b/c.md)", "[here](#merge) [there](https://a.b/c.md)"),
        ("method.md", "[the leaf](../configs/dataseg_r50_3ds.py)", "[the leaf](source/configs/dataseg_r50_3ds.py.md)"),
        ("method.md", "[all](../configs/separate)", "[all](source/configs/separate/index.md)"),
        ("method.md", "[glossary.md](glossary.md)", "[Glossary](glossary.md)"),
        ("CONTRIBUTING.md", "[docs/glossary.md](docs/glossary.md)", "[Glossary](glossary.md)"),
        ("method.md", "[CONTRIBUTING.md](../CONTRIBUTING.md#checks)", "[Contributing](CONTRIBUTING.md#checks)"),
        ("source/projects/toy/README.md", "[study](../../docs/toy_study.md)", "[study](../../../toy_study.md)"),
    ],
)
def test_a_link_of_the_repository_becomes_one_of_the_site(uri: str, link: str, expected: str) -> None:
    assert pages.relinked(link, uri) == expected


def test_code_is_left_as_it_is() -> None:
    text = "[a](glossary.md)\n\n```python\nx[0](../configs/a.py)\n```\n"
    assert pages.relinked(text, "method.md").partition("\n")[2] == text.partition("\n")[2]


def test_a_page_that_is_made_here_is_left_as_it_is() -> None:
    assert pages.relinked("[a](../b.md)", "source/configs/separate/index.md") == "[a](../b.md)"


def test_every_link_of_the_site_has_a_target(folder: Path) -> None:
    found = 0
    for page in sorted(folder.rglob("*.md")):
        for link in pages.LINK.finditer(pages.CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))):
            found += 1
            assert (page.parent / link[2]).is_file(), f"{page.relative_to(folder)}: {link[2]}"
    assert found > 100


def test_the_navigation_names_every_page_once(folder: Path) -> None:
    collected = {page.relative_to(folder).as_posix() for page in folder.rglob("*.md")}
    named = navigation()
    assert len(named) > 20
    assert sorted(named) == sorted(uri for uri in collected if not uri.startswith("source/"))


def test_the_reference_has_every_public_module(folder: Path) -> None:
    named = [line for page in folder.glob("api/*.md") for line in re.findall(r"^::: (.+)$", page.read_text(), re.M)]
    modules = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "mmdataseg").rglob("*.py")]
    public = [".".join(module.parts) for module in modules if not module.name.startswith("__")]
    assert sorted(named) == sorted(public)


def test_a_folder_shows_its_configs_with_their_summaries(folder: Path) -> None:
    index = (folder / "source/configs/separate/index.md").read_text()
    assert "| [dataseg_r50_ade.py](dataseg_r50_ade.py.md) | " in index
    shown = (folder / "source/configs/separate/dataseg_r50_ade.py.md").read_text()
    assert (ROOT / "configs/separate/dataseg_r50_ade.py").read_text() in shown


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: page.name)
def test_a_list_begins_after_an_empty_line(page: Path) -> None:
    """GitHub also begins one directly below a paragraph; the Markdown of the site does not."""
    lines = pages.CODE_BLOCK.sub("", page.read_text(encoding="utf-8")).splitlines()
    assert joined_lists(lines) == []


def joined_lists(lines: list[str]) -> list[str]:
    """First lines of lists that follow a paragraph directly."""
    found, in_list = [], False
    for before, line in zip(["", *lines], lines, strict=False):
        if ITEM.match(line):
            if before.strip() and not before.startswith("#") and not in_list:
                found.append(line)
            in_list = True
        elif not line.startswith(" "):
            in_list = False
    return found


def test_a_list_below_a_paragraph_is_found() -> None:
    assert joined_lists(["a", "- b", "- c", "  d", "- e"]) == ["- b"]
    assert joined_lists(["a", "", "- b", "", "- c", "## d", "- e"]) == []


def test_pages_of_the_site_and_files_of_the_repository() -> None:
    assert pages.site_uri("configs") == "source/configs/index.md"
    assert pages.repository_path("index.md") == "README.md"
    assert pages.repository_path("source/configs/separate/index.md") is None
