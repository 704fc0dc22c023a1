"""The benchmark of annotations, on a file that takes no time."""

import re
import shlex

import pytest

from mmdataseg.datasets import InstanceSegDataset
from mmdataseg.text.vocabularies import get_label_space
from tests import layouts
from tools.benchmarks import annotations


@pytest.fixture(scope="module")
def tool():
    return annotations


@pytest.fixture(scope="module")
def command():
    return layouts.load_tool("benchmark.py")


def test_generated_file_is_read_whole_by_both(tool, tmp_path):
    path = tool.write_data(tmp_path, 60, 500)
    dataset = InstanceSegDataset(
        ann_file=str(path),
        img_dir=str(tmp_path / "train"),
        metainfo={"classes": get_label_space("objects365").classes},
        path_parts=2,
    )
    assert len(dataset) == 60
    assert sum(len(dataset.get_data_info(i)["instances"]) for i in range(60)) == 500
    for case in tool.CASES:
        found = tool.measure(case, path)
        assert found["seconds"] > 0
        assert found["peak"] > found["added"] >= 0
    assert len(list((tmp_path / "cache").iterdir())) == 1  # the second start read what the first one wrote
    time = path.stat().st_mtime_ns
    assert tool.write_data(tmp_path, 60, 500).stat().st_mtime_ns == time


@pytest.mark.slow
@pytest.mark.parametrize(("option", "cases"), [([], 3), (["--ours-only"], 2)])
def test_table(tool, command, tmp_path, capsys, option, cases):
    command.main(
        ["annotations", "--images", "60", "--boxes", "500", "--repeats", "1", "--folder", str(tmp_path), *option]
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("60 images, 500 boxes")
    rows = [re.fullmatch(r"\| (.*) \| [\d.]+ \| \d+ \| \d+ \|", line) for line in lines]
    assert [row[1] for row in rows if row] == list(tool.CASES[:cases])


def test_commands_of_the_page_parse(command, repo_root):
    page = (repo_root / "docs/benchmarks.md").read_text()
    commands = re.findall(r"^python tools/benchmark\.py (annotations.*)$", page, flags=re.M)
    assert len(commands) == 3
    for words in commands:
        assert command.parse_args(shlex.split(words)).measure is None


def test_numbers_below_1(command, capsys):
    with pytest.raises(SystemExit):
        command.parse_args(["annotations", "--images", "0"])
    assert "must be at least 1" in capsys.readouterr().err
