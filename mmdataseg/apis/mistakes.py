"""The user's mistakes, told in a line as long as nothing has been trained or tested; tracebacks from then on."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.hooks import Hook

MISTAKES = (ValueError, TypeError, OSError, KeyError)
"""Errors that a wrong config or file raises."""


class Begun(Hook):
    """Notes that an iteration was done: what fails later is hardly the set-up."""

    def __init__(self) -> None:
        self.begun = False

    def after_train_iter(self, *_: Any, **__: Any) -> None:
        """Note it."""
        self.begun = True

    after_val_iter = after_test_iter = after_train_iter


@contextmanager
def told_in_a_line(*, debug: bool = False, more: tuple[type[Exception], ...] = ()) -> Iterator[Begun]:
    """End the process with a message where a config, a file or a source's sample is wrong.

    Args:
        debug: Leave errors as they are.
        more: Kinds of errors that are the user's, besides the usual ones.

    Yields:
        A hook for the Runner, which tells when errors are no longer taken for mistakes of the set-up. Those that name a
        source are, at any time: it may be many iterations until one is drawn.

    Raises:
        SystemExit: With the message.
    """
    hook = Begun()
    try:
        yield hook
    except (*MISTAKES, *more) as error:
        message = message_of(error)
        late = hook.begun and not message.startswith("source ")
        of_config = "registry" in message or 'must contain the key "type"' in message  # mmengine's KeyErrors
        if debug or late or (isinstance(error, KeyError) and not of_config):
            raise
        raise SystemExit(f"error: {message}\n(with its traceback: --cfg-options log_level=DEBUG)") from error


def message_of(error: Exception) -> str:
    """What an error says, without the classes that were being built and the process that loaded the data.

    Args:
        error: Of a config, a file or a sample.

    Returns:
        One message, of one line or more.
    """
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if "Original Traceback" in message:  # from a data loader's worker; there, the class has its module before it
        message = re.split(rf"\n(?:[\w.]+\.)?{type(error).__name__}: ", message)[-1].strip()
    return re.sub(r"class `\w+` in [\w./-]+\.py: ", "", message)
