"""`tools/panoptic_quality.py`: what it prints and writes."""

import json

import pytest

from tests.evaluation.panoptic_pairs import TRUE, predict, segment, write, write_truth
from tests.layouts import load_tool

tool = load_tool("panoptic_quality.py")


def test_the_command(tmp_path, capsys):
    truth, found, out = write_truth(tmp_path), predict(tmp_path), tmp_path / "scores.json"
    tool.main([str(truth.file), str(found.file), "--classwise", "--errors", "--json", str(out)])
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert (printed["PQ"], printed["PQ/dog"], printed["found_st"]) == ("60.00", "80.00", "100.00")
    assert json.loads(out.read_text())["PQ/cat"] == 0


def test_a_class_of_neither_file_has_no_number(tmp_path, capsys):
    truth = write(tmp_path, "truth", TRUE, [segment(70000, 7), segment(5, 3), segment(9, 3)])
    out = tmp_path / "scores.json"
    tool.main([str(truth.file), str(truth.file), "--classwise", "--json", str(out)])
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert (printed["PQ/cat"], printed["PQ/dog"]) == ("-", "100.00")
    assert json.loads(out.read_text(), parse_constant=pytest.fail)["PQ/cat"] is None


def test_a_mistake_is_one_line(tmp_path, capsys):
    truth, missing = str(write_truth(tmp_path).file), str(tmp_path / "nothing.json")
    with pytest.raises(SystemExit) as stopped:
        tool.main([truth, missing])
    assert stopped.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: panoptic JSON '{missing}' does not exist")


def test_without_a_thread_nothing_is_read(capsys):
    with pytest.raises(SystemExit) as stopped:
        tool.main(["truth.json", "found.json", "--threads", "0"])
    assert stopped.value.code == 2
    assert "--threads must be at least 1" in capsys.readouterr().err
