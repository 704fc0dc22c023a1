"""The config of a run, its files, and the order in which runs start."""

import json
from pathlib import Path

import pytest

from mmdataseg.errors import UserError
from projects.study import running
from projects.study.run import Run, execute, prepare

CONFIG = "projects/toy/configs/dataseg_toy_3ds.py"


@pytest.fixture
def toy(repo_root):
    return str(repo_root / CONFIG)


def test_a_run_is_seeded_resumable_and_tested_once(toy, tmp_path):
    run = Run(
        name="toy", config=toy, folder=str(tmp_path), seed=7, iterations=10, options={"train_dataloader.batch_size": 2}
    )
    cfg = prepare(run)
    assert (cfg.randomness.seed, cfg.resume, cfg.load_from) == (7, True, None)
    assert cfg.train_cfg.val_begin > cfg.train_cfg.max_iters == 10
    assert cfg.train_dataloader.batch_size == 2
    assert cfg.work_dir == str(tmp_path)


def test_a_config_that_only_tests_uses_the_weights_of_another_run(repo_root, tmp_path):
    leaf = repo_root / "projects/toy/configs/ablations/dataseg_toy_3ds_probability-merge.py"
    options = {"train_dataloader.batch_size": 2, "test_dataloader.batch_size": 3}
    run = Run(
        name="merge",
        config=str(leaf),
        folder=str(tmp_path / "x"),
        seed=0,
        iterations=0,
        options=options,
        weights_of=str(tmp_path),
    )
    with pytest.raises(FileNotFoundError, match="has no trained model"):
        prepare(run)
    (tmp_path / "last_checkpoint").write_text("there/iter_9.pth\n")
    with pytest.raises(FileNotFoundError, match="has no trained model"):
        prepare(run)  # a checkpoint of a training that is not finished
    (tmp_path / "result.json").write_text("{}")
    cfg = prepare(run)
    assert cfg.load_from == str(tmp_path / "iter_9.pth"), "a folder that was moved"
    assert (cfg.train_dataloader, cfg.test_dataloader.batch_size) == (None, 3)


def test_results_of_other_settings_are_refused(tmp_path):
    run = Run(name="c", config="c.py", folder=str(tmp_path), seed=0, iterations=10)
    assert run.result() is None
    (tmp_path / "result.json").write_text(
        json.dumps({"asked": {"iterations": 20, "options": {}, "world": {}}, "metrics": {}})
    )
    with pytest.raises(
        UserError, match=r"result\.json': was run with iterations 20, but this study has 10; give another --out"
    ):
        run.result()
    again = Run(name="c", config="c.py", folder=str(tmp_path), seed=0, iterations=20)
    assert again.result()["metrics"] == {}


def test_a_run_that_was_started_with_other_settings_is_not_continued(tmp_path):
    asked = {"iterations": 20, "options": {}, "world": {"seed": 0}}
    (tmp_path / "asked.json").write_text(json.dumps({"asked": asked}))
    same = Run(name="c", config="c.py", folder=str(tmp_path), seed=0, iterations=20, world={"seed": 0})
    assert same.result() is None
    with pytest.raises(UserError, match=r"asked\.json': was run with iterations 20, but this study has 30"):
        Run(name="c", config="c.py", folder=str(tmp_path), seed=0, iterations=30, world={"seed": 0}).result()
    with pytest.raises(
        UserError, match=r"asked\.json': was run with world \{'seed': 0\}, but this study has \{'seed': 1\}"
    ):
        execute(Run(name="c", config="c.py", folder=str(tmp_path), seed=0, iterations=20, world={"seed": 1}))


def test_steps_are_read_from_the_log(tmp_path):
    run = Run(name="c", config="c.py", folder=str(tmp_path), seed=0, iterations=100)
    assert run.step() == 0
    log = tmp_path / "now/vis_data/scalars.json"
    log.parent.mkdir(parents=True)
    log.write_text('{"loss": 2.0, "step": 20}\n{"loss": 1.0, "step": 40}\n{"a/mIoU": 1.0, "step": 60}\n{"loss": 3, "st')
    assert run.step() == 40


class Process:
    """Finishes at once: writes a result, or fails."""

    def __init__(self, run, started):
        self.returncode = 1 if run.name == "broken" else 0
        started.append(run.name)
        Path(run.folder).mkdir(parents=True)
        if not self.returncode:
            run.write({"asked": {"iterations": run.iterations, "options": {}, "world": {}}})

    def poll(self):
        return self.returncode


def test_runs_wait_for_the_weights_they_test_and_finished_ones_are_not_repeated(tmp_path, monkeypatch, capsys):
    started = []
    monkeypatch.setattr(running, "_start", lambda run, env: Process(run, started))  # noqa: ARG005
    monkeypatch.setattr(running.time, "sleep", lambda _: None)

    def make(name, **more):
        return Run(name=name, config=f"{name}.py", folder=str(tmp_path / name), seed=0, **more)

    tests = make("tests", iterations=0, weights_of=str(tmp_path / "trains"))
    runs = [tests, make("broken", iterations=5), make("trains", iterations=5)]
    failed = running.run_all(runs, jobs=2)
    assert started == ["broken", "trains", "tests"]
    assert [run.name for run in failed] == ["broken"]
    assert "broken, seed 0: FAILED, see" in capsys.readouterr().out
    (tmp_path / "broken").rmdir()
    running.run_all(runs)
    assert started[3:] == ["broken"]


class Endless:
    """Runs until it is stopped."""

    returncode = None

    def __init__(self):
        self.stopped = self.awaited = False

    def poll(self):
        return None

    def terminate(self):
        self.stopped = True

    def wait(self):
        self.awaited = True


def test_an_interruption_stops_the_processes(tmp_path, monkeypatch):
    started = [Endless(), Endless()]
    waiting = list(started)
    monkeypatch.setattr(running, "_start", lambda *_: waiting.pop())

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(running.time, "sleep", interrupt)
    runs = [Run(name=str(i), config=f"{i}.py", folder=str(tmp_path / str(i)), seed=0, iterations=1) for i in range(2)]
    with pytest.raises(KeyboardInterrupt):
        running.run_all(runs, jobs=2)
    assert all(process.stopped and process.awaited for process in started)


def test_finished_is_called_after_each_finished_run(tmp_path, monkeypatch):
    counts = []
    monkeypatch.setattr(running, "_start", lambda run, env: Process(run, []))  # noqa: ARG005
    monkeypatch.setattr(running.time, "sleep", lambda _: None)
    runs = [
        Run(name=name, config=f"{name}.py", folder=str(tmp_path / name), seed=0, iterations=1)
        for name in ("a", "broken", "b")
    ]
    running.run_all(runs, finished=lambda: counts.append(sum(run.result() is not None for run in runs)))
    assert counts == [1, 2]
