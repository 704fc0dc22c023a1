"""A clean end of a command on SIGTERM."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def sigterm_as_exit() -> Iterator[None]:
    """Exit on SIGTERM, which schedulers send to stop a job, so that open files are finished or removed as on Ctrl-C.

    Use it only in the main thread.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
