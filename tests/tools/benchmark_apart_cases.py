"""A call in a process of its own, and rows that are measured in one; `test_benchmark_apart.py` runs these tests."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from tests import layouts
from tools.benchmarks import comparing
from tools.benchmarks.apart import Died, apart
from tools.benchmarks.comparing import Comparison, Missing, Setting


@pytest.fixture(scope="module")
def command():
    return layouts.load_tool("benchmark.py")


def test_the_answer_is_that_of_another_process():
    found = apart(lambda number: (os.getpid(), number), 3)
    assert found[0] != os.getpid()
    assert found[1] == 3


def test_the_process_has_no_state_of_an_earlier_call():
    calls = []
    assert [apart(lambda: (calls.append(1), len(calls))[1]) for _ in range(2)] == [1, 1]
    assert calls == []


def test_an_exception_is_named_and_its_traceback_printed(capfd):
    with pytest.raises(Died, match=r"^KeyError: 'absent'$"):
        apart({}.__getitem__, "absent")
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), r"its process was killed \(signal 9\), as it is if the machine"),
        (lambda: os._exit(3), "its process ended with status 3"),
    ],
)
def test_a_process_without_an_answer_is_named(end, message):
    with pytest.raises(Died, match=message):
        apart(end)


def test_workers_of_a_loader_run_in_it():
    assert apart(lambda: [batch.tolist() for batch in DataLoader(range(4), batch_size=2, num_workers=2)]) == [
        [0, 1],
        [2, 3],
    ]


def test_ctrl_c_ends_the_process(tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    def sleep():
        (tmp_path / "pid").write_text(str(os.getpid()))
        time.sleep(600)

    usual = signal.signal(signal.SIGALRM, interrupted)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        with pytest.raises(KeyboardInterrupt):
            apart(sleep)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, usual)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_row_that_fails_is_named_and_the_others_are_measured(command, capsys, monkeypatch, tmp_path):
    folders = tmp_path / "folders"

    def killed():
        folders.write_text(str(comparing.temporary_folder()))
        os.kill(os.getpid(), signal.SIGKILL)

    def wrong():
        return {"ours": int, "theirs": lambda: [].pop()}

    rows = {"killed": killed, "wrong": wrong, "right": lambda: dict.fromkeys(comparing.SIDES, int)}
    rows = [Comparison(name, "them", prepare, "size") for name, prepare in rows.items()]
    monkeypatch.setitem(command.SUBCOMMANDS, "sampler", lambda _: rows)
    words = [
        "sampler",
        "--preset",
        "tiny",
        "--json",
        str(tmp_path / "found.json"),
        "--plot",
        str(tmp_path / "found.svg"),
    ]
    with pytest.raises(SystemExit, match="2 rows failed"):
        command.main(words)
    lines = capsys.readouterr().out.splitlines()[2:]
    killed_by = "its process was killed (signal 9), as it is if the machine has no memory left"
    assert lines[0] == f"failed: killed, against them: {killed_by}"
    assert lines[1] == "failed: wrong, against them: IndexError: pop from empty list"
    assert lines[2].startswith("| right | size | them |")
    found = json.loads((tmp_path / "found.json").read_text())["results"]
    assert [bool(row["failed"]) for row in found] == [True, True, False]
    assert not Path(folders.read_text()).exists()


def test_threads_are_set_only_in_the_process_of_a_row():
    before = torch.get_num_threads()

    def prepare():
        raise Missing(str(torch.get_num_threads()))

    row = comparing.measure(Comparison("row", "them", prepare, "size"), Setting(threads=before + 1))
    assert row.skipped == str(before + 1)
    assert torch.get_num_threads() == before
