import io
import sys
import time

import pytest

from mmdataseg.progress import counted, first_names, progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "states"), [(io.StringIO(), 2), (Terminal(), 4)])
def test_a_log_file_gets_few_lines(monkeypatch, stream, states):
    """A log file gets only start and end; a terminal gets more than that within half a second."""
    monkeypatch.setattr(sys, "stderr", stream)
    for _ in progress_bar(range(5), unit="images"):
        time.sleep(0.11)
    assert stream.getvalue().count("images/s") in range(states, 2 * states)
    assert stream.getvalue().rstrip().split("\r")[-1].startswith("100%")


def test_no_monitor_thread_writes_to_the_log(monkeypatch):
    """tqdm's monitor redraws a bar after its maxinterval."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_bar(total=1) as bar:
        assert bar.maxinterval >= bar.mininterval == 60


def test_a_number_with_its_noun():
    assert [counted(number, "image") for number in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert [counted(number, "box", "boxes") for number in (1, 2)] == ["1 box", "2 boxes"]


def test_the_first_of_many_names():
    assert first_names([], 2) == ""
    assert first_names(["a", "b"], 2) == "a, b"
    assert first_names(("a", "b", "c", "d", "e"), 2) == "a, b and 3 more"
