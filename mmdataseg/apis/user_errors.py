"""A user's mistakes end a command in one line; every other error keeps its traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mmdataseg.errors import UserError


@contextmanager
def user_errors(*, debug: bool | None = None) -> Iterator[None]:
    """End the process with exit code 1 and a message on stderr where something is wrong that the user can mend.

    Args:
        debug: Leave errors as they are. If False, the message says how to get the traceback; None is for a command
            without ``--cfg-options``, which cannot be asked for it.

    Raises:
        SystemExit: After a `UserError`, or after a FileNotFoundError.
    """
    try:
        yield
    except (UserError, FileNotFoundError) as error:
        if debug:
            raise
        hint = "" if debug is None else "\n(with its traceback: --cfg-options log_level=DEBUG)"
        print(f"error: {error}{hint}", file=sys.stderr)
        raise SystemExit(1) from error
