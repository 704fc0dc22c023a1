"""The warning of more threads than idle cores."""

import pytest
import torch

from mmdataseg.apis import cpu_threads
from mmdataseg.apis.cpu_threads import crowded_threads, idle_cores

TICKS = 20  # in a fifth of a second, at 100 per second


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a function that sets the share of time in which each core is idle, and the limit of the container."""

    def pretend(*idle, limit=None, usable=None):
        stat, quota = tmp_path / "stat", tmp_path / "cpu.max"

        def write(periods):
            lines = [f"cpu{core} 9 0 9 {round(share * TICKS * periods)} 0 0 0 0" for core, share in enumerate(idle)]
            stat.write_text("\n".join(["cpu  9 0 9 9 0 0 0 0", *lines, "intr 1 2 3"]))

        write(0)
        if limit is not None:
            quota.write_text(limit)
        clock = iter((0.0, 0.2))
        monkeypatch.setattr(cpu_threads, "_STAT", stat)
        monkeypatch.setattr(cpu_threads, "_QUOTA", quota)
        monkeypatch.setattr(cpu_threads.os, "sysconf", {"SC_CLK_TCK": 100}.get)
        monkeypatch.setattr(cpu_threads.os, "sched_getaffinity", lambda _: usable or set(range(len(idle))))
        monkeypatch.setattr(cpu_threads.time, "sleep", lambda _: write(1))
        monkeypatch.setattr(cpu_threads.time, "monotonic", lambda: next(clock))
        monkeypatch.setattr(torch, "get_num_threads", lambda: len(idle))
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    return pretend


@pytest.mark.parametrize(
    ("settings", "cores"),
    [(dict(), 1.75), (dict(usable={1}), 0.75), (dict(limit="150000 100000"), 1.5), (dict(limit="max 100000"), 1.75)],
)
def test_idle_cores_are_those_that_the_process_may_use(machine, settings, cores):
    machine(1, 0.75, **settings)
    assert idle_cores() == pytest.approx(cores)


def test_threads_on_busy_cores_are_named_with_the_remedy(machine):
    machine(0.9, 0.1, 0.3, 0.0)
    message = crowded_threads("cpu")
    assert message.startswith("PyTorch uses 4 threads, but only 1.3 cores are idle.")
    assert "OMP_NUM_THREADS=1. Results then differ by rounding." in message


def test_a_container_with_fewer_cores_than_the_machine_is_named(machine):
    machine(1, 1, 1, 1, limit="200000 100000")
    assert "OMP_NUM_THREADS=2." in crowded_threads("cpu")


def test_nothing_is_said_if_the_cores_suffice_or_the_user_chose(machine, monkeypatch):
    machine(1, 0.5)
    assert crowded_threads("cpu") is None
    machine(0, 0)
    assert crowded_threads("cuda:0") is None
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert crowded_threads("cpu") is None


def test_nothing_is_said_on_another_system_than_linux(machine, monkeypatch, tmp_path):
    machine(0, 0)
    monkeypatch.setattr(cpu_threads, "_STAT", tmp_path / "none")
    assert crowded_threads("cpu") is None


def test_the_number_of_threads_is_not_changed(machine, monkeypatch):
    """It would change results by rounding: a resumed run would differ from one that was not stopped."""
    machine(0, 0)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: pytest.fail("changed"))
    assert crowded_threads("cpu") is not None
