"""The one kind of error that ends a command in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike


class UserError(ValueError):
    """What the user can mend: a config, a file, a source's sample.

    The command line prints it without a traceback. Every other error keeps its traceback.

    torch's DataLoader raises a worker's error anew from one string, the worker's traceback. The type survives that;
    of the string, only the message is kept.

    Args:
        message: What was expected, what came instead, and where.
        source: Name of the source it is about; put before the message unless the message begins with it.
        file: Path it is about; put before the message unless the message names it.
        remedy: What to do; put behind the message.

    Attributes:
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
        message = message.rpartition(f"{type(self).__module__}.{type(self).__qualname__}: ")[2].rstrip("\n")
        self.source, self.file, self.remedy = source, None if file is None else str(file), remedy
        if self.file is not None and self.file not in message:
            message = f"{self.file}: {message}"
        if source is not None and not message.startswith(f"source {source!r}"):
            message = f"source {source!r}: {message}"
        super().__init__(message if remedy is None else f"{message}; {remedy}")


@contextmanager
def naming(*, source: str | None = None, file: str | PathLike[str] | None = None) -> Iterator[None]:
    """Add the source and the file to a `UserError` that passes through, unless it names them already."""
    try:
        yield
    except UserError as error:
        missing_source = None if error.source is not None else source
        missing_file = None if error.file is not None else file
        if missing_source is None and missing_file is None:
            raise
        named = UserError(str(error), source=missing_source, file=missing_file)
        named.source, named.file, named.remedy = error.source or source, error.file or named.file, error.remedy
        raise named from error
