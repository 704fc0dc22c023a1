"""docs/configs.md lists every config, in the words of its docstring."""

from pathlib import Path

import pytest

from mmdataseg.apis.config.files import leaf_configs
from tools.site import config_table


def test_the_page_is_up_to_date(repo_root: Path) -> None:
    made = config_table.page_of(leaf_configs())
    assert (repo_root / "docs/configs.md").read_text() == made, "run python -m tools.site.config_table"


def test_every_config_has_one_row(repo_root: Path) -> None:
    page = (repo_root / "docs/configs.md").read_text()
    links = [f"](../{leaf.relative_to(repo_root).as_posix()})" for leaf in leaf_configs()]
    assert len(links) > 80
    assert [link for link in links if page.count(link) != 1] == [], "run python -m tools.site.config_table"


def test_a_row_by_hand(repo_root: Path) -> None:
    assert config_table.row_of(repo_root / "configs/ablations/dataseg_r50_3ds_bce.py") == (
        "| [dataseg_r50_3ds_bce](../configs/ablations/dataseg_r50_3ds_bce.py) | train | Ablation of dataseg_r50_3ds: "
        "binary cross-entropy in place of the focal loss, as in Mask2Former. |"
    )


def test_every_row_has_a_command_and_a_summary() -> None:
    rows = [[cell.strip() for cell in config_table.row_of(leaf).strip("|").split("|")] for leaf in leaf_configs()]
    without = [row[0] for row in rows if row[1] not in ("train", "test", "train, test")]
    assert without == [], "no line 'Command: mim train|test mmdataseg ...' in the docstring"
    without = [row[0] for row in rows if not row[2].endswith((".", ")"))]
    assert without == [], "the docstring does not start with a sentence"


def test_a_folder_that_nobody_described_is_an_error(repo_root: Path) -> None:
    with pytest.raises(KeyError, match="configs/_base_"):
        config_table.page_of([repo_root / "configs/_base_/runtime.py"])
