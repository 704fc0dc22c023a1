"""Reads text files that users write, such as lists of names."""

from pathlib import Path

from mmdataseg.errors import UserError


def read_lines(path: Path) -> list[str]:
    """Read the non-blank lines of a text file, without leading and trailing blanks.

    It is in UTF-8, with or without a byte order mark, whatever the locale.

    Raises:
        UserError: The file is not valid UTF-8.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # read_text lets a byte order mark that is cut short pass
    except UnicodeDecodeError as error:
        raise UserError(f"not valid UTF-8 ({error})", file=path, remedy="save it as UTF-8") from None
    return [line.strip() for line in text.splitlines() if line.strip()]
