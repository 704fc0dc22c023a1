"""The kinds of errors that end a command in one line."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from os import PathLike


class UserError(ValueError):
    """A mistake that the user can fix, in a config, in a file or in a sample.

    The command line prints it without a traceback. Every other error keeps its traceback. As a string it reads
    ``source 'NAME': 'FILE': MESSAGE; REMEDY``, with the parts that are given.

    torch's DataLoader re-raises a worker's error from one string, the worker's traceback. The type survives; of the
    traceback, only its last entry becomes the message.

    Args:
        message: What was expected and what came instead.
        source: Name of the source that has the mistake.
        file: Path of the file that has the mistake.
        remedy: What to do.

    Attributes:
        message: As given.
        source: As given.
        file: As given, as a string.
        remedy: As given.
    """

    def __init__(
        self,
        message: str,
        *,
        source: str | None = None,
        file: str | PathLike[str] | None = None,
        remedy: str | None = None,
    ) -> None:
        self.message = message.rpartition(f"{type(self).__module__}.{type(self).__qualname__}: ")[2].rstrip("\n")
        self.source, self.file, self.remedy = source, None if file is None else str(file), remedy
        parts = [None if source is None else f"source {source!r}", None if file is None else f"'{file}'", self.message]
        text = ": ".join(part for part in parts if part is not None)
        super().__init__(text if remedy is None else f"{text}; {remedy}")


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that the user has to put in place, or whose path is wrong. It takes the arguments of
    `UserError`."""


def suggestion(name: str, known: Iterable[str]) -> str | None:
    """Return ``did you mean '...'?`` with the known name that is nearest to a wrong one, or None if none is near.

    Upper and lower case are the same: "Adamw" is nearer to "AdamW" than to "Adam".
    """
    by_letters = {other.lower(): other for other in known}
    near = get_close_matches(name.lower(), by_letters, n=1)
    return f"did you mean {by_letters[near[0]]!r}?" if near else None


def named(error: Exception, *, source: str | None = None, file: str | PathLike[str] | None = None) -> Exception:
    """Add the source and the file to an error that was raised on the user's data.

    Args:
        error: The error as it was raised.
        source: Added where the error has none.
        file: Added where the error has none.

    Returns:
        A `UserError` keeps its type. A FileNotFoundError becomes a `MissingFileError`. What libraries raise on wrong
        input (ValueError, TypeError, OSError, LookupError, AssertionError) becomes a `UserError`, anything else a
        RuntimeError; their messages begin with the type's name, except a ValueError's.
    """
    if isinstance(error, UserError):
        if (error.source is not None or source is None) and (error.file is not None or file is None):
            return error
        parts = dict(source=error.source or source, file=error.file or file, remedy=error.remedy)
        return type(error)(error.message, **parts)
    if isinstance(error, FileNotFoundError):
        return MissingFileError(str(error), source=source, file=file)
    message = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    user = UserError(message, source=source, file=file)
    known = isinstance(error, ValueError | TypeError | OSError | LookupError | AssertionError)
    return user if known else RuntimeError(str(user))


@contextmanager
def naming(*, source: str | None = None, file: str | PathLike[str] | None = None) -> Iterator[None]:
    """Re-raise a `UserError` with the source and the file, unless it has them already (see `named`)."""
    try:
        yield
    except UserError as error:
        with_places = named(error, source=source, file=file)
        if with_places is error:
            raise
        raise with_places from error
