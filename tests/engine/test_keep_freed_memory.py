"""Freed memory is not returned to the system while a model trains on a CPU."""

import ctypes
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from mmdataseg.engine import keep_freed_memory
from mmdataseg.engine.keep_freed_memory import KeepFreedMemory

# Page faults of four more iterations, each of which needs and frees two blocks of 40 MiB. Below 32 MiB, the first freed
# block makes glibc keep smaller ones, and what is returned depends on the places of other blocks. Huge pages would make
# few faults of many.
PROGRAM = """
import ctypes, resource, sys
from types import SimpleNamespace
import torch
from mmdataseg.engine.keep_freed_memory import KeepFreedMemory

PR_SET_THP_DISABLE = 41
ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)
runner = SimpleNamespace(model=torch.nn.Linear(1, 1))
hooks = [KeepFreedMemory()] if sys.argv[1] == "kept" else []

def iterations(number):
    for index in range(number):
        for hook in hooks:
            hook.before_train_iter(runner, batch_idx=index)
        [torch.ones(10 * 2**20) for _ in range(2)]

torch.set_num_threads(1)
iterations(3)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
iterations(4)
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
M_MMAP_THRESHOLD = -3
print(faults, ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**30))
"""


def page_faults(setting: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, setting], capture_output=True, text=True, check=True)
    faults, accepted = map(int, done.stdout.split())
    if not accepted:
        pytest.skip("this version of glibc returns every block of more than 32 MiB")
    return faults


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc"
)
def test_iterations_use_the_same_memory_again() -> None:
    assert page_faults("returned") > 1000
    assert page_faults("kept") < 100


@pytest.mark.parametrize(("device", "calls"), [("cpu", 1), ("meta", 0)])
def test_it_is_set_once_and_for_a_cpu_only(monkeypatch: pytest.MonkeyPatch, device: str, calls: int) -> None:
    made = []
    monkeypatch.setattr(keep_freed_memory, "keep_freed_memory", lambda: made.append(None))
    hook, runner = KeepFreedMemory(), SimpleNamespace(model=torch.nn.Linear(1, 1, device=device))
    for iteration in (5, 6):  # of a resumed run
        hook.before_train_iter(runner, batch_idx=iteration)
    assert len(made) == calls


@pytest.mark.parametrize(("refused", "expected"), [((), [2**30]), ((2**30,), [2**30, 2**25])])
def test_a_version_that_refuses_large_sizes_gets_a_smaller_one(
    monkeypatch: pytest.MonkeyPatch, refused: tuple[int, ...], expected: list[int]
) -> None:
    sizes = []

    def mallopt(parameter: int, value: int) -> int:
        sizes.extend([value] if parameter == keep_freed_memory.M_MMAP_THRESHOLD else [])
        return int(value not in refused)

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(mallopt=mallopt))
    assert keep_freed_memory.keep_freed_memory()
    assert sizes == expected


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not keep_freed_memory.keep_freed_memory()
