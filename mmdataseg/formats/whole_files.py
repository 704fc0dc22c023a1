"""Write a file whole or not at all."""

from pathlib import Path


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
