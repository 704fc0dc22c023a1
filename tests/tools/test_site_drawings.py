"""The pictures of docs/concepts.md are those that the code draws today, and show what the page says."""

import re
from pathlib import Path

import pytest
import torch

from tools.site import drawings
from tools.site.svg import Drawing

PERSON, HORSE, BUILDING, BACKGROUND = range(4)


@pytest.mark.parametrize("name", drawings.DRAWINGS)
def test_a_picture_is_up_to_date(name: str, repo_root: Path) -> None:
    drawn = drawings.DRAWINGS[name]()
    assert (repo_root / "docs/images" / name).read_text() == drawn, "run python -m tools.site.drawings"


def test_every_picture_is_on_the_page(repo_root: Path) -> None:
    page = (repo_root / "docs/concepts.md").read_text()
    assert sorted(re.findall(r"\(images/(concepts_\w+\.svg)\)", page)) == sorted(drawings.DRAWINGS)


def test_the_command_writes_all_pictures(tmp_path: Path) -> None:
    drawings.main(["--folder", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(drawings.DRAWINGS)


def test_the_rows_of_the_page() -> None:
    """Five proposals of objects and one of background: rows by task, as the page counts them."""
    text = drawings.merge_drawing()
    captions = re.findall(r'font-size="12">(.+)</text>', text)[6:]  # below the proposals
    assert captions == [
        *("person", "person", "horse", "building, 2 joined", "background"),
        *("person, 2 joined", "horse", "building, 2 joined", "background"),
        *("person", "person", "horse", "building", "building", "background"),
    ]


def test_costs_by_hand() -> None:
    """One cell, sure of it: class probability 1 costs -2, and a mask that is right costs almost nothing."""
    logits_RJ, masks_RHW = torch.tensor([[50.0, 0.0], [0.0, 50.0]]), torch.full((2, 1, 1), 20.0)
    cost_RN = drawings.matching_costs(logits_RJ, masks_RHW, [(0, torch.full((1, 1), 1.0))])
    torch.testing.assert_close(cost_RN, torch.tensor([[-2.0], [0.0]]), atol=1e-5, rtol=0)


def test_what_is_taught_in_a_batch_of_one_source() -> None:
    """Annotated things are their class; one without an annotation is background, whatever it looked like."""
    logits_QJ = torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 2.0, 0.0]])
    assert drawings.taught(logits_QJ, [(0, 0), (1, 1)], (False, False)).tolist() == [0, 1, 2]
    assert drawings.taught(logits_QJ, [(0, 0), (1, 1)], (False, True)).tolist() == [0, 1, 1], "it joins the row"


def test_cells_in_a_line_are_one_rectangle() -> None:
    drawing = Drawing(40, 20, "cells")
    drawing.cells(2, 3, torch.tensor([[True, True, False, True], [False, False, False, False]]), 5, "red")
    found = re.findall(
        r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" fill="red"', drawing.to_text()
    )
    assert found == [("2", "3", "10", "5"), ("17", "3", "5", "5")]


def test_text_is_escaped() -> None:
    drawing = Drawing(10, 10, "a < b")
    assert "<title>a &lt; b</title>" in drawing.to_text()
