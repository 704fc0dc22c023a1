"""A call in a process of its own."""

import os
import signal
import time

import pytest
from torch.utils.data import DataLoader

from tools.benchmarks.apart import Died, apart


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
