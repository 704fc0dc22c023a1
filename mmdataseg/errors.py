"""The kinds of errors that end a command in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike


class UserError(ValueError):
    """What the user can mend: a config, a file, a source's sample.

    The command line prints it without a traceback. Every other error keeps its traceback. As a string it reads
    ``source 'NAME': 'FILE': MESSAGE; REMEDY``, with the parts that are given.

    torch's DataLoader raises a worker's error anew from one string, the worker's traceback. The type survives that; of
    the string, only the last entry is kept.

    Args:
        message: What was expected and what came instead.
        source: Name of the source it is about.
        file: Path of the file it is about.
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
        places = [f"source {source!r}"] * (source is not None) + [f"'{self.file}'"] * (file is not None)
        text = ": ".join([*places, self.message])
        super().__init__(text if remedy is None else f"{text}; {remedy}")


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that the user has to put in place, or whose path is wrong. Arguments as of `UserError`."""


def named(error: Exception, *, source: str | None = None, file: str | PathLike[str] | None = None) -> Exception:
    """An error raised on the user's data, with the source and the file it is about.

    Args:
        error: As it was raised.
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
    """Raise a `UserError` anew with the source and the file, where it does not have them (see `named`)."""
    try:
        yield
    except UserError as error:
        with_places = named(error, source=source, file=file)
        if with_places is error:
            raise
        raise with_places from error
