"""The runs of a study, and how it continues after an interruption."""

import json
from pathlib import Path

import pytest

from mmdataseg.errors import UserError
from projects.study import command
from projects.study.command import Row, chosen, described, make_parser, parse, plan_runs, run_command, run_study

ROWS = {
    "both": Row(config=Path("both.py"), parts=2),
    "one": Row(config=Path("one.py"), parts=1),
    "longer": Row(config=Path("one.py"), parts=3),
    "test": Row(config=Path("test.py"), parts=0, weights_of="both"),
    "test-longer": Row(config=Path("test.py"), parts=0, weights_of="longer"),
}
LABELS = {"A+B": "both", "A": "one"}


def args(*words):
    return parse(make_parser("A study.", iterations=50, page="docs/page.md"), words)


def rows(*only):
    return chosen(only, ROWS, labels=LABELS)


def test_rows_are_chosen_by_label_or_name_once():
    assert list(rows()) == list(ROWS)
    assert list(rows("A", "one")) == ["one"]
    assert list(rows("one", "A+B")) == ["one", "both"]
    with pytest.raises(SystemExit, match=r"--only X: expected some of A\+B, A, both, one, longer, test, test-longer"):
        rows("A", "X")


def test_a_row_that_only_tests_brings_the_row_with_its_weights():
    assert list(rows("test")) == ["both", "test"]
    assert list(rows("test", "A+B")) == ["test", "both"]
    runs = plan_runs(args("--seeds", "1", "--out", "runs"), rows("test-longer", "test"), world={})
    assert [(run.name, run.iterations, run.weights_of) for run in runs] == [
        ("longer", 150, None),
        ("both", 100, None),
        ("test-longer", 0, "runs/longer/seed0"),
        ("test", 0, "runs/both/seed0"),
    ]


def test_two_rows_may_share_a_config():
    runs = plan_runs(args("--seeds", "1", "--out", "runs"), rows("one", "longer"), world={})
    assert [(run.name, run.config, run.iterations, run.folder) for run in runs] == [
        ("one", "one.py", 50, "runs/one/seed0"),
        ("longer", "one.py", 150, "runs/longer/seed0"),
    ]


def test_runs_are_planned_seed_by_seed():
    runs = plan_runs(args("--seeds", "2", "--threads", "3"), rows("A", "A+B"), world={"a": 1})
    assert [(run.seed, run.name, run.iterations) for run in runs] == [
        (0, "one", 50),
        (0, "both", 100),
        (1, "one", 50),
        (1, "both", 100),
    ]
    assert {run.threads for run in runs} == {3}
    assert [run.folder for run in runs[:2]] == ["work_dirs/page/one/seed0", "work_dirs/page/both/seed0"]
    assert {run.world["a"] for run in runs} == {1}


def test_a_config_is_described_by_the_first_line_of_its_docstring(tmp_path):
    (tmp_path / "a.py").write_text('"""What it changes.\n\nMore.\n"""\n')
    (tmp_path / "b.py").write_text("x = 1\n")
    assert described([tmp_path / "a.py", tmp_path / "b.py"]) == {"a": "What it changes.", "b": "b"}


def result(run, score):
    asked = {"iterations": run.iterations, "options": {}, "world": {}}
    return {"asked": asked, "seed": run.seed, "metrics": {"score": score}}


def studied(folder, *words, fails=(), monkeypatch):
    """Run a study whose runs take no time; returns its exit status, what was executed, and the pages written."""
    executed, pages = [], []

    def run_all(runs, *, finished, **_):
        for run in runs:
            if run.result() is not None:
                continue
            executed.append(run.name)
            if run.name not in fails:
                run.write(result(run, len(executed)))
                finished()
        return [run for run in runs if run.name in fails]

    monkeypatch.setattr(command, "run_all", run_all)
    found = args("--page", str(folder / "page.md"), "--out", str(folder / "runs"), "--seeds", "1", *words)
    everything = plan_runs(found, {name: ROWS[name] for name in ("both", "one")}, world={})
    status = run_study(
        found,
        requested=[run for run in everything if not found.only or run.name in found.only],
        everything=everything,
        write_page=lambda results, failed: pages.append((sorted(results), failed)),
    )
    return status, executed, pages


def test_a_study_continues_where_it_stopped(tmp_path, monkeypatch):
    assert studied(tmp_path, "--only", "one", monkeypatch=monkeypatch) == (
        0,
        ["one"],
        [(["one"], []), (["one"], [])],  # after the run, and at the end
    )
    assert studied(tmp_path, monkeypatch=monkeypatch)[1:] == (["both"], [(["both", "one"], [])] * 2)
    assert studied(tmp_path, monkeypatch=monkeypatch)[1] == []
    assert set(json.loads((tmp_path / "page.json").read_text())) == {"both", "one"}


def test_another_machine_continues_from_the_file_beside_the_page(tmp_path, monkeypatch):
    studied(tmp_path, "--only", "one", monkeypatch=monkeypatch)
    status, executed, pages = studied(tmp_path, "--out", str(tmp_path / "elsewhere"), monkeypatch=monkeypatch)
    assert (status, executed) == (0, ["both"])
    assert pages[-1] == (["both", "one"], [])


def test_a_run_that_fails_is_named_on_the_page(tmp_path, monkeypatch):
    status, _, pages = studied(tmp_path, fails=["both"], monkeypatch=monkeypatch)
    assert status == 1
    assert pages[-1] == (["one"], ["both (seed 0)"])


def test_page_only_runs_nothing(tmp_path, monkeypatch):
    assert studied(tmp_path, "--page-only", monkeypatch=monkeypatch) == (0, [], [([], [])])


def test_other_settings_are_not_mixed(tmp_path, monkeypatch):
    studied(tmp_path, monkeypatch=monkeypatch)
    with pytest.raises(
        UserError, match="was run with iterations 100, but this study has 14; use the same iterations, or give another"
    ):
        studied(tmp_path, "--iterations-per-source", "7", monkeypatch=monkeypatch)


def raising(error):
    def study(_):
        raise error

    return study


@pytest.mark.parametrize("error", [FileNotFoundError("no photographs"), UserError("no photographs")])
def test_a_users_mistake_is_one_line(error):
    with pytest.raises(SystemExit, match="error: no photographs"):
        run_command(raising(error), args())


def test_a_programmers_mistake_keeps_its_type():
    with pytest.raises(ValueError, match="unpack"):
        run_command(raising(ValueError("cannot unpack")), args())
