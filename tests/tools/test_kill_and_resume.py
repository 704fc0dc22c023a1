"""What is compared after kills; and one training that is really killed."""

import json
import subprocess
import sys

import pytest

from tests import layouts
from tests.toy import make_toy
from tools.kill_and_resume import Kill, differences, losses, report


def write_log(work_dir, name, *lines):
    folder = work_dir / name / "vis_data"
    folder.mkdir(parents=True)
    (folder / "scalars.json").write_text("\n".join(lines))


def line(step, loss):
    return json.dumps({"lr": 0.1, "loss": loss, "grad_norm": 2.0, "step": step})


def test_losses_of_all_attempts_are_read_and_a_line_that_a_kill_cut_is_passed_over(tmp_path):
    write_log(tmp_path, "first", line(1, 0.5), line(2, 0.25), '{"lr": 0.1, "loss": 0.1')
    write_log(tmp_path, "second", line(2, 0.25), line(3, 0.1), json.dumps({"mIoU": 3.0, "step": 3}))
    found = losses(tmp_path)
    assert found == {
        1: {'{"grad_norm": 2.0, "loss": 0.5}'},
        2: {'{"grad_norm": 2.0, "loss": 0.25}'},
        3: {'{"grad_norm": 2.0, "loss": 0.1}'},
    }


def test_a_missing_and_another_loss_are_faults():
    expected = {1: {"a"}, 2: {"b"}, 3: {"c"}}
    assert list(differences(expected, expected)) == []
    assert list(differences(expected, {1: {"a"}, 3: {"c", "d"}})) == [
        "iteration 2 is missing",
        "iteration 3: expected ['c'], got ['c', 'd']",
    ]


def test_the_report_counts_kills_by_moment():
    kills = [Kill("saving", 5, 1.0), Kill("any time", 7, 1.0), Kill("none", 9, 1.0)]
    assert report(kills, 1, 9, []).splitlines() == [
        "2 kills in 1 trainings of 9 iterations: 1 any time, 1 saving, 0 building the cache; "
        "1 trainings ended before their kill",
        "killed after iteration 5, 7, 9",
        "every loss of every iteration equals that of the run without a kill",
    ]


@pytest.mark.slow
def test_a_killed_training_goes_on_with_the_same_losses(tmp_path):
    make_toy([str(tmp_path / "data/toy"), "--train-images", "8", "8", "8", "--val-images", "1"])
    tool = layouts.ROOT / "tools/kill_and_resume.py"
    options = ["--iterations", "8", "--interval", "2", "--kills", "2", "--workers", "1", "--work-dir", "runs"]
    command = [sys.executable, str(tool), str(layouts.ROOT / "projects/toy/configs/dataseg_toy_3ds.py"), *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every loss of every iteration equals" in done.stdout
