"""The command that runs the toy study."""

import json
import os
import subprocess
import sys

import pytest

from projects.study import command
from projects.toy import make_toy, toy_study
from projects.toy.study.toy_findings import COMBINATIONS

WORLD = {"seed": 0}


def args(*words):
    return toy_study.parse_args(words)


def test_every_combination_and_every_ablation_is_planned(repo_root):
    configs, ablations = toy_study.find_configs()
    assert list(configs)[:7] == list(COMBINATIONS.values())
    assert set(ablations) == {path.stem for path in (repo_root / "projects/toy/configs/ablations").glob("*.py")}
    assert all(ablations.values())
    runs = toy_study.plan(args(), configs, WORLD)
    assert len(runs) == 3 * len(configs)
    assert len({run.folder for run in runs}) == len(runs)
    first = runs[: len(configs)]
    assert {run.seed for run in first} == {0}, "an early page has every row"
    tested = [run for run in runs if run.weights_of]
    assert {run.name for run in tested} == {"dataseg_toy_3ds_probability-merge"}
    assert {run.weights_of for run in tested} <= {run.folder for run in runs if run.name == "dataseg_toy_3ds"}


def test_rows_can_be_chosen():
    configs, _ = toy_study.find_configs()
    runs = toy_study.plan(args("--only", "S+P+B", "dataseg_toy_boxes", "--seeds", "1"), configs, WORLD)
    assert [run.name for run in runs] == ["dataseg_toy_3ds", "dataseg_toy_boxes"]
    twice = toy_study.plan(args("--only", "S", "dataseg_toy_semantic", "--seeds", "1"), configs, WORLD)
    assert len(twice) == 1
    with pytest.raises(SystemExit, match="--only X: expected some of S, P, B, S"):
        toy_study.plan(args("--only", "X"), configs, WORLD)


def test_a_config_that_only_tests_adds_the_run_that_trains_its_weights():
    configs, _ = toy_study.find_configs()
    runs = toy_study.plan(args("--only", "dataseg_toy_3ds_probability-merge", "--seeds", "2"), configs, WORLD)
    assert [(run.name, run.seed) for run in runs] == [
        (name, seed) for seed in range(2) for name in ("dataseg_toy_3ds", "dataseg_toy_3ds_probability-merge")
    ]
    assert [run.weights_of for run in runs] == [None, runs[0].folder, None, runs[2].folder]


def test_a_model_of_several_sources_trains_as_long_as_separate_models_together():
    configs, ablations = toy_study.find_configs()
    found = {run.name: run.iterations for run in toy_study.plan(args("--iterations-per-source", "5"), configs, WORLD)}
    assert {row: found[name] for row, name in COMBINATIONS.items()} == {
        **{"S": 5, "P": 5, "B": 5},
        **{"S+P": 10, "S+B": 10, "P+B": 10, "S+P+B": 15},
    }
    assert {found[name] for name in ablations} == {15, 0}
    assert found["dataseg_toy_3ds_probability-merge"] == 0, "it only tests"


def test_the_command_on_the_page_repeats_the_whole_study():
    words = ["--only", "S", "--page-only", "--out", "/somewhere", "--page", "/some/page.md", "--jobs", "2"]
    line = command.command_of(args(*words, "--cfg-options", "a.b=3"), toy_study.MODULE)
    assert line == "python -m projects.toy.toy_study --iterations-per-source 400 --seeds 3 --cfg-options a.b=3"


def test_a_page_without_finished_runs_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="error: --page-only: no run is finished"):
        toy_study.main(["--page-only", "--page", str(tmp_path / "page.md"), "--out", str(tmp_path)])


def test_a_page_can_be_written_from_finished_runs(tmp_path, repo_root):
    """There is no JSON file beside the page yet."""
    kept = json.loads((repo_root / "docs/toy_study.json").read_text())["dataseg_toy_semantic"]["1"]
    file = tmp_path / "runs/dataseg_toy_semantic/seed1/result.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(kept))
    toy_study.main(["--page-only", "--page", str(tmp_path / "page.md"), "--out", str(tmp_path / "runs")])
    assert "| S | 400 | 1 |" in (tmp_path / "page.md").read_text()


def test_the_page_in_the_docs_is_that_of_the_results_beside_it(tmp_path, repo_root, monkeypatch):
    """Written with `--page-only`, which writes nothing else."""
    for name in ("toy_study.md", "toy_study.json"):
        (tmp_path / name).write_bytes((repo_root / "docs" / name).read_bytes())
    monkeypatch.setattr(command.platform, "machine", lambda: "another")
    out = tmp_path / "runs"
    toy_study.main(["--page-only", "--page", str(tmp_path / "toy_study.md"), "--out", str(out)])
    for name in ("toy_study.md", "toy_study.json"):
        assert (tmp_path / name).read_bytes() == (repo_root / "docs" / name).read_bytes()
    assert not out.exists()


def test_options_without_effect_are_refused_and_not_printed(tmp_path):
    with pytest.raises(SystemExit, match=r"error: --cfg-options modelx\.queries: the config has no 'modelx'"):
        toy_study.main(["--page", str(tmp_path / "page.md"), "--cfg-options", "modelx.queries=1"])
    assert not list(tmp_path.iterdir())


def test_weights_are_not_trained_again_for_rows_that_were_not_requested(tmp_path, repo_root, monkeypatch):
    """The page has S+P+B, but not probability-merge, which needs its weights."""
    kept = json.loads((repo_root / "docs/toy_study.json").read_text())
    (tmp_path / "page.json").write_text(json.dumps({"dataseg_toy_3ds": kept["dataseg_toy_3ds"]}))
    world = kept["dataseg_toy_3ds"]["0"]["asked"]["world"]
    monkeypatch.setattr(toy_study, "make_data", lambda: world)
    seen = []

    def run_all(runs, **_):
        seen.append([run.name for run in runs if run.result() is None])
        return []

    monkeypatch.setattr(command, "run_all", run_all)
    words = ["--page", str(tmp_path / "page.md"), "--out", str(tmp_path / "runs"), "--seeds", "1", "--only"]
    toy_study.main([*words, "S+P+B"])
    assert seen.pop() == []
    toy_study.main([*words, "dataseg_toy_3ds_probability-merge", "--out", str(tmp_path / "others")])
    assert seen.pop() == ["dataseg_toy_3ds", "dataseg_toy_3ds_probability-merge"]


def test_each_page_has_its_own_runs():
    assert args().out == toy_study.Path("work_dirs/toy_study")
    assert args("--page", "work_dirs/mine.md").out == toy_study.Path("work_dirs/mine")
    assert args("--page", "work_dirs/mine.md", "--out", "elsewhere").out == toy_study.Path("elsewhere")


def test_runs_share_the_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert command.threads_of(args("--jobs", "4")) == 2
    assert command.threads_of(args("--jobs", "4", "--threads", "3")) == 3
    assert command.environment(args("--device", "cpu")) == {"OMP_NUM_THREADS": "8", "CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.parametrize("name", ["seeds", "jobs", "iterations-per-source", "threads"])
def test_a_number_of_zero_is_refused(name, capsys):
    with pytest.raises(SystemExit):
        args(f"--{name}", "0")
    assert f"--{name} must be at least 1" in capsys.readouterr().err


@pytest.mark.slow
def test_a_tiny_study_runs_continues_and_writes_its_page(repo_root, tmp_path):
    make_toy.main([str(tmp_path / "data/toy"), "--train-images", "4", "6", "6", "--val-images", "2"])
    loaders = [
        f"{name}_dataloader.{key}" for name in ("train", "test") for key in ("num_workers", "persistent_workers")
    ]
    env = {**os.environ, "PYTHONPATH": str(repo_root)}
    words = [
        sys.executable,
        "-m",
        toy_study.MODULE,
        "--seeds=1",
        "--iterations-per-source=1",
        "--device=cpu",
        "--threads=1",
        "--out=runs",
        "--page=page.md",
        "--machine=a test",
        "--only",
        "S",
        "S+P+B",
        "dataseg_toy_3ds_probability-merge",
        "--cfg-options",
        "train_dataloader.batch_size=2",
        *[f"{key}={'0' if key.endswith('num_workers') else 'False'}" for key in loaders],
    ]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    results = {path.parent.parent.name: json.loads(path.read_text()) for path in tmp_path.glob("runs/*/*/result.json")}
    assert set(results) == {"dataseg_toy_semantic", "dataseg_toy_3ds", "dataseg_toy_3ds_probability-merge"}
    assert results["dataseg_toy_3ds"]["asked"]["iterations"] == 3
    assert results["dataseg_toy_3ds"]["metrics"].keys() >= {"toy_semantic/mIoU", "toy_open/PQ", "toy_boxes/mask_AP"}
    page = (tmp_path / "page.md").read_text()
    assert "| machine | a test |" in page
    assert "| P | not run | 0 | not run |" in page
    assert (tmp_path / "images/toy_study_sources.svg").is_file()
    assert json.loads((tmp_path / "page.json").read_text()).keys() == results.keys()
    # stopped after the training and before the test, then started again
    (tmp_path / "runs/dataseg_toy_semantic/seed0/result.json").unlink()
    (tmp_path / "page.json").unlink()
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert "3 runs, 2 of them finished" in done.stdout, done.stdout + done.stderr
    again = json.loads((tmp_path / "runs/dataseg_toy_semantic/seed0/result.json").read_text())
    assert again["metrics"] == pytest.approx(results["dataseg_toy_semantic"]["metrics"], nan_ok=True)
    # and on a machine that has only the page and the results beside it
    page = (tmp_path / "page.md").read_text()
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert "3 runs, 3 of them finished" in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "page.md").read_text() == page
