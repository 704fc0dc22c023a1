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


@contextmanager
def naming(*, source: str | None = None, file: str | PathLike[str] | None = None) -> Iterator[None]:
    """Add the source and the file to a `UserError` that passes through and does not have them."""
    try:
        yield
    except UserError as error:
        if (error.source is None and source is not None) or (error.file is None and file is not None):
            parts = dict(source=error.source or source, file=error.file or file, remedy=error.remedy)
            raise type(error)(error.message, **parts) from error
        raise
