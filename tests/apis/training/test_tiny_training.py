"""Trainings and tests of a model of one weight, by the commands in other processes."""

import os
import pickle
import re
import subprocess
import sys

import pytest

from tests.apis.training.tiny_training import TINY_CONFIG, TINY_PARTS
from tests.mim import skip_unless_it_finds_editable_packages

DRIVER = """
import sys
from itertools import count
from mmdataseg.apis import runs
from mmdataseg.apis.cli import main
calls = count(1)  # mmengine leaves out a warning that it has given
runs.crowded_threads = lambda device: f"more threads than idle cores, call {next(calls)}"
main(["train", "tiny.py", "--work-dir", "run"])
main(["train", "tiny.py", "--work-dir", "run", "--resume", "--cfg-options", "train_cfg.max_iters=4"])
main(["train", "tiny.py", "--work-dir", "run", "--cfg-options", "train_cfg.max_iters=4"])
main(["test", "run/tiny_resolved.py", "run/iter_4.pth", "--work-dir", "run", "--out", "out.pkl", "--show-dir", "seen"])
"""


def test_a_training_is_run_resumed_and_tested(tmp_path):
    """One process for all three: starting Python with mmdet takes most of the time."""
    (tmp_path / "tiny_parts.py").write_text(TINY_PARTS)
    (tmp_path / "tiny.py").write_text(TINY_CONFIG)
    done = subprocess.run([sys.executable, "-c", DRIVER], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    output = done.stdout + done.stderr
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert {"iter_1.pth", "iter_2.pth", "iter_3.pth", "iter_4.pth", "tiny_resolved.py"} <= names
    assert "tiny.py" not in names, "mim would find the config's name twice"
    assert "resumed epoch: 0, iter: 2" in output
    assert re.findall(r"training: (\d) iterations on \w+, into \S*run", output) == ["2", "4", "4"]
    assert output.count("holds an earlier run, which ended at") == 1, "not printed for a resumed run"
    assert re.findall(r"WARNING - more threads than idle cores, call (\d)", output) == ["1", "2", "3", "4"]
    assert f"pictures: True {tmp_path / 'seen'}" in output
    assert "seen: 3" in output
    samples = pickle.loads((tmp_path / "out.pkl").read_bytes())
    assert [s["img_id"] for s in samples] == [0, 1, 2]
    assert set(samples[0]) == {"img_id", "pred_instances"}, "ground truth is left out"
    assert samples[0]["pred_instances"]["masks"][0]["size"] == [4, 4]


def test_a_loss_that_is_not_finite_ends_the_command_and_keeps_the_checkpoint(tmp_path, repo_root):
    (tmp_path / "tiny_parts.py").write_text(TINY_PARTS)
    (tmp_path / "tiny.py").write_text(TINY_CONFIG)
    words = ["train", "tiny.py", "--work-dir", "run", "--cfg-options", "train_cfg.max_iters=9"]
    done = subprocess.run(
        [sys.executable, "-m", "mmdataseg", *words, "optim_wrapper.optimizer.lr=1e30"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(repo_root), str(tmp_path)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert "error: iteration 2: not finite: loss; nothing was saved since; --resume continues from " in done.stderr
    assert "iter_1.pth; check these images, lower the learning rate, or clip gradients" in done.stderr
    assert [path.name for path in (tmp_path / "run").glob("*.pth")] == ["iter_1.pth"]


@pytest.mark.slow
@pytest.mark.parametrize("start", [["-m", "mim"], ["-m", "mmdataseg"]], ids=["mim", "python -m"])
def test_each_front_end_trains_and_tests(start, tmp_path):
    if start[1] == "mim":
        skip_unless_it_finds_editable_packages()
        start = ["-c", "import sys; from mim.cli import cli; cli()"]
    package = ["mmdataseg"] if "mim" in start[1] else []
    (tmp_path / "tiny_parts.py").write_text(TINY_PARTS)
    (tmp_path / "tiny.py").write_text(TINY_CONFIG)
    env = {"PYTHONPATH": str(tmp_path)}
    for arguments in (["train", *package, "tiny.py"], ["test", *package, "tiny.py", "--checkpoint", "iter_2.pth"]):
        command = [sys.executable, *start, *arguments, "--work-dir", "."]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | env)
        assert done.returncode == 0, done.stderr
    assert "seen: 3" in done.stdout + done.stderr
