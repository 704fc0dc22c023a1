"""Run a call in a process of its own, which is forked from this one: it has the imports, but nothing of earlier calls.

Neither the threads of torch nor CUDA survive a fork, so the process that forks must not have used them.
"""

import multiprocessing
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

_FORK = multiprocessing.get_context("fork")


class Died(Exception):
    """A process ended without an answer; the message is the reason."""


def apart(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return the answer of a call in a new process. The process may have children, such as the workers of a loader.

    Args:
        call: Its answer must be picklable.
        arguments: Arguments of the call; they need not be picklable.

    Raises:
        Died: The call raised an exception, whose traceback was printed, or its process ended.
    """
    receiver, sender = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_send, args=(sender, call, arguments))
    process.start()
    sender.close()
    try:
        answer, error = receiver.recv()
    except EOFError:
        answer, error = None, ""
    except BaseException:  # such as Ctrl-C
        process.terminate()
        raise
    finally:
        process.join()
        receiver.close()
    if error is not None:
        raise Died(error or died(process.exitcode))
    return answer


def _send(sender: Connection, call: Callable[..., Any], arguments: Sequence[Any]) -> None:
    # Ctrl-C reaches all processes of a terminal: the first one ends this one, which then ends its workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        sender.send((call(*arguments), None))
    except Exception as error:
        traceback.print_exc()
        sender.send((None, f"{type(error).__name__}: {error}"))


def died(status: int | None) -> str:
    """The reason why a process ended, by its exit status; a negative one is that of a signal."""
    if status is not None and status < 0:
        return f"its process was killed (signal {-status}), as it is if the machine has no memory left"
    return f"its process ended with status {status}"
