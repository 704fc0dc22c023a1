"""Means, spreads and verdicts, worked out by hand."""

import math

import pytest

from projects.study.statistics import Difference, Stat, cell, markdown_table, mean_stat, stat


def run(seed, **metrics):
    return {"seed": seed, "metrics": metrics}


RESULTS = {
    "a": [run(0, x=40.0, y=10.0), run(1, x=42.0, y=20.0), run(2, x=44.0, y=math.nan)],
    "b": [run(0, x=30.0, y=0.0), run(1, x=32.0, y=4.0)],
    "once": [run(0, x=50.0)],
}


def test_mean_and_standard_deviation():
    assert stat(RESULTS, "a", "x") == Stat(42.0, 2.0, 3)  # sqrt((4 + 0 + 4) / 2)
    assert str(stat(RESULTS, "a", "x")) == "42.0 ± 2.0"


def test_values_that_are_not_numbers_are_left_out():
    found = stat(RESULTS, "a", "y")
    assert (found.mean, found.seeds) == (15.0, 2)
    assert found.std == pytest.approx(math.sqrt(50))


def test_one_seed_has_no_spread():
    found = stat(RESULTS, "once", "x")
    assert math.isnan(found.std)
    assert str(found) == "50.0"


def test_a_cell_shows_mean_spread_and_number_of_runs():
    assert cell(RESULTS, "a", "x") == "42.0 ± 2.0"
    assert cell(RESULTS, "once", "y") == "-"
    assert cell(RESULTS, "nowhere", "x") == "not run"


def test_the_mean_over_configs_is_of_the_seeds_that_all_have():
    # seed 0: (40 + 30) / 2 = 35, seed 1: 37; seed 2 is missing in b
    found = mean_stat(RESULTS, ["a", "b"], ["x"])
    assert (found.mean, found.seeds) == (36.0, 2)
    assert found.std == pytest.approx(math.sqrt(2))
    # seed 0: (40 + 10 + 30 + 0) / 4 = 20, seed 1: (42 + 20 + 32 + 4) / 4 = 24.5
    assert mean_stat(RESULTS, ["a", "b"], ["x", "y"]).mean == 22.25
    assert mean_stat(RESULTS, ["a", "nowhere"], ["x"]) is None


@pytest.mark.parametrize(
    ("more", "less", "text", "verdict"),
    [
        (Stat(42, 3, 3), Stat(32, 4, 3), "+10.0 ± 5.0", "shows"),
        (Stat(37, 3, 3), Stat(32, 4, 3), "+5.0 ± 5.0", "within the spread"),
        (Stat(32, 3, 3), Stat(42, 4, 3), "-10.0 ± 5.0", "the opposite shows"),
        (Stat(42, math.nan, 1), Stat(32, 4, 3), "+10.0", "one seed: cannot say"),
        (Stat(42, 3, 3), None, "not run", "not run"),
    ],
)
def test_a_difference_has_a_verdict(more, less, text, verdict):
    difference = Difference.of(more, less)
    assert (str(difference), difference.verdict) == (text, verdict)


def test_columns_of_numbers_are_aligned_to_the_right():
    assert markdown_table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
    assert markdown_table(["a", "b"], [["-", "3ds"], ["-1.0", "y"]]).splitlines()[1] == "| ---: | --- |"
    assert markdown_table(["a"], []) == "| a |\n| --- |"
