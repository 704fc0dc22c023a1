"""Write a file whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file aside and rename it, so that a reader finds the old file, the new one or none, never half of one.

    Args:
        path: Where to write; missing folders are made, an existing file is replaced.
        content: Bytes, or text, which is written as UTF-8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    aside.write_bytes(content.encode() if isinstance(content, str) else content)
    aside.replace(path)


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Write a text file piece by piece; it is there when all is written, or not at all.

    Args:
        path: Where to write; missing folders are made, an existing file is replaced.

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
