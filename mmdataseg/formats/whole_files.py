"""Writes files completely or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a temporary file and rename it, so that no reader ever finds an incomplete file.

    Args:
        path: Path of the file. Missing folders are created, an existing file is replaced.
        content: Bytes, or text, which is written as UTF-8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    try:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)  # a full disk leaves a part


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Write a text file piece by piece. It appears under its name once the block ends without an error.

    Args:
        path: Path of the file. Missing folders are created, an existing file is replaced.

    Yields:
        The file, open for text in UTF-8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    try:
        with aside.open("w", encoding="utf-8", newline="") as file:
            yield file
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
