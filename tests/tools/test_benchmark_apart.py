import subprocess
import sys

from tests import layouts


def test_calls_in_processes_of_their_own():
    """In a fresh process, because the threads of earlier tests do not survive a fork."""
    cases = "tests/tools/benchmark_apart_cases.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", cases]
    done = subprocess.run(command, cwd=layouts.ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
