import io
import sys
import time

import pytest

from mmdataseg.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "states"), [(io.StringIO(), 2), (Terminal(), 4)])
def test_a_log_file_is_not_filled(monkeypatch, stream, states):
    """In a log file start and end alone; on a terminal, more than that within half a second."""
    monkeypatch.setattr(sys, "stderr", stream)
    for _ in progress_bar(range(5), unit="images"):
        time.sleep(0.11)
    assert stream.getvalue().count("images/s") in range(states, 2 * states)
    assert stream.getvalue().rstrip().split("\r")[-1].startswith("100%")


def test_no_other_thread_writes_in_between(monkeypatch):
    """tqdm's monitor redraws a bar after its maxinterval."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_bar(total=1) as bar:
        assert bar.maxinterval >= bar.mininterval == 60
