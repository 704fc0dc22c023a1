"""Text files that a user writes: lists of names."""

from pathlib import Path

from mmdataseg.errors import UserError


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file that are not blank, without blanks around them.

    Args:
        path: The file: UTF-8, with or without a byte order mark, whatever the locale says.

    Raises:
        UserError: It is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"not valid UTF-8 ({error})", file=path, remedy="save it as UTF-8") from None
    return [line.strip() for line in text.splitlines() if line.strip()]
