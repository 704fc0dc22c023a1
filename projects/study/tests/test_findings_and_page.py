"""Verdicts, tables and notes."""

import math
from pathlib import Path

from projects.study.findings import Finding, verdict_table
from projects.study.page import (
    NOTES,
    StudySetting,
    draw_bars,
    kept_notes,
    options_in_words,
    picture_links,
    row_table,
    scale_table,
    time_per_iteration,
    values_of,
)
from projects.study.statistics import Stat


def run(seed, score, seconds=10.0, **facts):
    return {"seed": seed, "asked": {"iterations": 1000}, "train_seconds": seconds, "metrics": {"a/b": score}, **facts}


RESULTS = {
    "one": [run(0, 10.0, machine="m"), run(1, 14.0, None, machine="m")],
    "two": [run(0, math.nan, 30.0, threads=1)],
}


def test_verdicts_follow_the_rule():
    table = verdict_table(
        [
            Finding("a", "x", Stat(10, 1, 3), Stat(5, 1, 3)),
            Finding("b", "y", Stat(10, 3, 3), Stat(9, 4, 3)),
            Finding("c", "z", Stat(1, math.nan, 1), Stat(9, 4, 3)),
            Finding("d", "w", None, Stat(9, 4, 3)),
        ]
    )
    assert [line.split(" | ")[2:] for line in table.splitlines()[2:]] == [
        ["+5.0 ± 1.4", "shows |"],
        ["+1.0 ± 5.0", "within the spread |"],
        ["-8.0", "one seed: cannot say |"],
        ["not run", "not run |"],
    ]


def test_a_table_of_rows():
    lines = row_table(RESULTS, {"A": "one", "B": "two", "C": "three"}, {"score": "a/b"}, [["chance", "", "", "1.0"]])
    assert lines.splitlines()[2:] == [
        "| A | 1,000 | 2 | 12.0 ± 2.8 |",
        "| B | 1,000 | 1 | - |",
        "| C | not run | 0 | not run |",
        "| chance |  |  | 1.0 |",
    ]


def test_facts_of_the_runs():
    assert values_of(RESULTS, "machine") == "m"
    assert values_of(RESULTS, "threads") == "1"
    assert values_of(RESULTS, "device") == "not run"
    assert time_per_iteration(RESULTS) == "0.02 seconds (median)", "of 0.01 and 0.03; an interrupted run has no time"
    assert time_per_iteration({}) == "not measured"
    assert options_in_words({}) == "none"
    assert options_in_words({"a.b": 1, "c": "d"}) == "`a.b=1`, `c=d`"


def test_a_row_that_only_tests_has_no_iterations():
    tested = [{"seed": 0, "asked": {"iterations": 0}, "metrics": {"a/b": 1.0}}]
    assert row_table({"t": tested}, {"T": "t"}, {"score": "a/b"}).splitlines()[2] == "| T | - | 1 | 1.0 |"


def test_the_table_of_the_scale_has_the_lines_of_the_study():
    setting = StudySetting(iterations_per_source=1500, command="c", seeds=3, options={"a.b": 1})
    lines = dict(
        line.strip("| ").split(" | ") for line in scale_table(RESULTS, setting, {"images": "5"}).splitlines()[2:]
    )
    assert lines["iterations for each training source"] == "1,500"
    assert lines["images"] == "5"
    assert lines["settings changed for all runs"] == "`a.b=1`"
    assert lines["device, threads per run"] == "not run, 1"


def test_only_pictures_that_were_drawn_are_linked():
    assert picture_links({"B": Path("x/b.svg")}, ["A", "B"]) == ["![B](images/b.svg)"]


def test_the_file_of_the_bars_depends_only_on_the_numbers(tmp_path):
    rows, metrics = {"A": "one", "B": "two", "C": "three"}, {"score": "a/b"}
    first, again = tmp_path / "1.svg", tmp_path / "2.svg"
    for file in (first, again):
        draw_bars(RESULTS, rows, metrics, file, salt="test")
    assert first.read_bytes() == again.read_bytes()
    text = first.read_text(encoding="utf-8")
    assert [label in text for label in ("A", "B", "C", "score", "percent")] == [True] * 5
    draw_bars(RESULTS, {**rows, "B": "one"}, metrics, again, salt="test")
    assert first.read_bytes() != again.read_bytes()


def test_notes_are_kept(tmp_path):
    page = tmp_path / "page.md"
    assert kept_notes(page) == f"{NOTES[0]}\n\n{NOTES[1]}"
    page.write_text(f"# A\n\n{NOTES[0]}\nby hand\n\nmore\n{NOTES[1]}\n")
    assert kept_notes(page) == f"{NOTES[0]}\nby hand\n\nmore\n{NOTES[1]}"
