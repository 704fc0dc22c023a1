"""The numbers of docs/results.md and README are those of the configs they name."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config

from mmdataseg.apis.config_files import find_config
from tests.config_world import docstring

ROOT = Path(__file__).parents[1]


def rows(page: str) -> list[tuple[str, list[str]]]:
    """(config, cells) of the table rows that link one config."""
    found = []
    for line in (ROOT / page).read_text().splitlines():
        link = re.search(r"\]\(\S*configs/\S*?(\w[\w-]*)\.py\)", line)
        if line.startswith("|") and link:
            found.append((link[1], [cell.strip() for cell in line.strip("|").split("|")]))
    return found


RESULTS = [row for page in ("docs/results.md", "README.md") for row in rows(page)]


def test_all_rows_of_the_paper_are_there() -> None:
    names = [name for name, _ in RESULTS]
    for sources in ("ade", "coco", "o365", "ade-o365", "coco-o365", "ade-coco", "3ds"):
        assert f"dataseg_r50_{sources}" in names
    for backbone in ("r50", "vitdet-b", "vitdet-l"):
        assert {f"dataseg_{backbone}_transfer", f"dataseg_{backbone}_3ds"} <= set(names)


@pytest.mark.parametrize(("name", "cells"), RESULTS, ids=[name for name, _ in RESULTS])
def test_the_paper_s_numbers_are_those_of_the_docstring(name: str, cells: list[str]) -> None:
    numbers = [cell for cell in cells if re.fullmatch(r"\d+\.\d", cell)]
    assert len(numbers) == (0 if name.endswith("_equal-epochs") else 4)
    text = " ".join(docstring(find_config(f"{name}.py")).split())
    paper = re.search(r"Paper \((.*?)Ours: ", text)
    quoted = re.findall(r"\d+\.\d\b", paper[1]) if paper else []
    assert quoted[: len(numbers)] == numbers
    assert (cells[-1] == "not run") == ("Ours: not run" in text)


def test_iterations_of_equal_epochs() -> None:
    found = [(name, cells) for name, cells in RESULTS if name.endswith("_equal-epochs")]
    assert len(found) == 3
    for name, cells in found:
        assert f"{Config.fromfile(find_config(f'{name}.py')).train_cfg.max_iters:,}" in cells
