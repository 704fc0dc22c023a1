"""Writes files completely or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Let a block write a temporary file, and rename it, so that no reader ever finds an incomplete file.

    Args:
        path: Path of the file. Missing folders are created, an existing file is replaced.

    Yields:
        Path of the temporary file. It is renamed once the block ends without an error, and otherwise deleted.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)  # a full disk leaves a part


def write_whole(path: Path, content: bytes | str) -> None:
    """Write bytes, or text as UTF-8, to a file, as `written_aside` does."""
    with written_aside(path) as aside:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Open a file for writing text, as UTF-8, piece by piece. It is replaced at the end, as by `written_aside`."""
    with written_aside(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        yield file
