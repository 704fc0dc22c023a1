"""End a command with one line for a user's mistake. Every other error keeps its traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mmdataseg.errors import UserError


@contextmanager
def user_errors(*, debug: bool | None = None) -> Iterator[None]:
    """Turn a user's mistake into exit code 1 and a message on stderr.

    Args:
        debug: True: errors pass through with their traceback. False: the message says how to get the traceback. None:
            the command has no ``--cfg-options``, so the message does not mention it.

    Raises:
        SystemExit: The block raised a `UserError` or a FileNotFoundError.
    """
    try:
        yield
    except (UserError, FileNotFoundError) as error:
        if debug:
            raise
        hint = "" if debug is None else "\n(with its traceback: --cfg-options log_level=DEBUG)"
        print(f"error: {error}{hint}", file=sys.stderr)
        raise SystemExit(1) from error
