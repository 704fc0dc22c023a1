"""Collect the pages of the documentation site into one folder, which a site generator reads.

The pages of the repository link to one another and to files by relative paths, so they can be read where the repository
is. The site shows them at other addresses. This script copies docs/ and adds the pages at the root, a page for each file
or folder that a page links to, and the API reference; and it turns every relative link into one to the page on the site.
It knows nothing of the generator.
"""

import argparse
import ast
import posixpath
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Page at the root of the repository -> page of the site.
ROOT_PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "SECURITY.md": "SECURITY.md",
}
LANGUAGES = {".py": "python", ".yml": "yaml", ".json": "json", ".cff": "yaml"}
CODE_BLOCK = re.compile(r"(^ *```.*?^ *```)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[([^\[\]]*)\]\((?!https?://|#)([^)\s#]+)(#[^)\s]*)?\)")
STYLE = "style.css"


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line.

    Args:
        argv: Its words; None: those of the process.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write the pages; what is there is deleted")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    folder = parse_args(argv).folder
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder)
    shutil.copy2(Path(__file__).with_name(STYLE), folder)
    for uri, text in {**docs_pages(), **root_pages(), **linked_pages(), **api_pages()}.items():
        path = folder / uri
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(relinked(text, uri), encoding="utf-8")


def docs_pages() -> dict[str, str]:
    """Page of the site -> text, of the pages in docs/."""
    return {page.name: page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md"))}


def repository_path(uri: str) -> str | None:
    """The file of the repository that a page of the site shows as it is; None for a page that is made here.

    Args:
        uri: Path of the page on the site.
    """
    for path, root_uri in ROOT_PAGES.items():
        if uri == root_uri:
            return path
    if uri.startswith("source/"):
        path = uri.removeprefix("source/")
        return path if (ROOT / path).is_file() else None
    return f"docs/{uri}" if (ROOT / "docs" / uri).is_file() else None


def site_uri(path: str) -> str:
    """Where the site shows a file or folder of the repository.

    Args:
        path: Relative to the root, with '/'.
    """
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path in ROOT_PAGES:
        return ROOT_PAGES[path]
    if (ROOT / path).is_dir():
        return f"source/{path}/index.md"
    return f"source/{path}" if path.endswith(".md") else f"source/{path}.md"


def relinked(markdown: str, uri: str) -> str:
    """A page with its relative links turned into links of the site; a text that is a page's path becomes its title.

    Args:
        markdown: The page.
        uri: Where the site shows it.

    Returns:
        The page; code blocks, links within the page and addresses are left as they are.
    """
    origin = repository_path(uri)
    if origin is None:
        return markdown

    def replace(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), link[2]))
        is_path = path.endswith(".md") and link[1].split("/")[-1] == path.split("/")[-1]
        text = title_of(ROOT / path) if is_path else link[1]
        return f"[{text}]({posixpath.relpath(site_uri(path), posixpath.dirname(uri) or '.')}{link[3] or ''})"

    parts = CODE_BLOCK.split(markdown)
    return "".join(part if CODE_BLOCK.fullmatch(part) else LINK.sub(replace, part) for part in parts)


def title_of(page: Path) -> str:
    """The first heading of a page.

    Args:
        page: A Markdown file.
    """
    return page.read_text(encoding="utf-8").partition("# ")[2].partition("\n")[0]


def root_pages() -> dict[str, str]:
    """Page of the site -> text, of the pages at the root."""
    return {uri: (ROOT / path).read_text(encoding="utf-8") for path, uri in ROOT_PAGES.items()}


def linked_pages() -> dict[str, str]:
    """Page of the site -> text, of the files and folders that a page links to and that are no pages themselves."""
    found: dict[str, str] = {}
    for page in [ROOT / path for path in ROOT_PAGES] + sorted((ROOT / "docs").glob("*.md")):
        text = CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))
        for link in LINK.finditer(text):
            path = (page.parent / link[2]).resolve()
            relative = path.relative_to(ROOT).as_posix()
            if not relative.startswith("docs/") and relative not in ROOT_PAGES:
                found.update(folder_pages(path) if path.is_dir() else {site_uri(relative): source_page(path)})
    return found


def folder_pages(folder: Path) -> dict[str, str]:
    """Page of the site -> text, of a folder and the Python files below it.

    Args:
        folder: A folder of the repository.
    """
    relative = folder.relative_to(ROOT).as_posix()
    files = [file for file in sorted(folder.rglob("*.py")) if file.name != "__init__.py"]
    pages = {site_uri(file.relative_to(ROOT).as_posix()): source_page(file) for file in files}
    lines = [
        f"| [{name}]({name}.md) | {summary_of(file)} |"
        for file in files
        for name in [file.relative_to(folder).as_posix()]
    ]
    table = "\n".join(["| file | what it is |", "|---|---|", *lines])
    return {**pages, f"source/{relative}/index.md": f"{not_searched(relative)}\n{table}\n"}


def source_page(file: Path) -> str:
    """A page that shows a file.

    Args:
        file: A file of the repository.
    """
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        return text
    return f"{not_searched(file.relative_to(ROOT).as_posix())}\n```{LANGUAGES.get(file.suffix, 'text')}\n{text}```\n"


def not_searched(title: str) -> str:
    """The head of a page that the site's search leaves out.

    Args:
        title: Its heading.
    """
    return f"---\nsearch:\n  exclude: true\n---\n\n# {title}\n"


def summary_of(file: Path) -> str:
    """The first paragraph of a Python file's docstring, in one line.

    Args:
        file: The Python file.
    """
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.partition("\n\n")[0].split()).replace("|", "\\|")


def api_pages() -> dict[str, str]:
    """Page of the site -> text, of the API reference: one page for each room of the package, one for what stands
    alone."""
    package = ROOT / "mmdataseg"
    alone = [file for file in sorted(package.glob("*.py")) if not file.name.startswith("__")]
    pages = {"api/index.md": api_page("API reference", f"{summary_of(package / '__init__.py')}", alone)}
    for room in sorted(path.parent for path in package.glob("*/__init__.py")):
        files = [file for file in sorted(room.rglob("*.py")) if not file.name.startswith("__")]
        pages[f"api/{room.name}.md"] = api_page(f"mmdataseg.{room.name}", summary_of(room / "__init__.py"), files)
    return pages


def api_page(title: str, summary: str, files: list[Path]) -> str:
    """A page of the API reference.

    Args:
        title: Its heading.
        summary: What stands below it.
        files: Python files of the package, one section each.
    """
    modules = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return "\n\n".join([f"# {title}", summary, *(f"::: {module}" for module in modules)]) + "\n"


if __name__ == "__main__":
    main()
