"""Where data lies: paths under a root, and checks that files and folders are there."""

import os
import unicodedata
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath
from typing import Literal

from mmdataseg.errors import MissingFileError

_Form = Literal["NFC", "NFD"]
_SET_ROOT = "set data_root in the source's config"


def resolve(data_root: str, path: str) -> Path:
    """``path`` under ``data_root``; unchanged if it is absolute or there is no root."""
    return Path(data_root) / path


def require_dir(path: Path, what: str) -> Path:
    """Return ``path`` if it is a folder.

    Args:
        path: Where the folder should be.
        what: What it holds, for the message, e.g. ``image folder``.

    Raises:
        MissingFileError: It does not exist, or is not a folder.
    """
    if not path.is_dir():
        raise _missing(path, what, "is not a folder", _SET_ROOT)
    return path


def require_file(path: Path, what: str, *, remedy: str = _SET_ROOT) -> Path:
    """Return ``path`` if it is a file.

    Args:
        path: Where the file should be.
        what: What it is, for the message, e.g. ``annotation file``.
        remedy: What else to do than to put it there, for the message.

    Raises:
        MissingFileError: It does not exist, or is not a file.
    """
    if not path.is_file():
        raise _missing(path, what, "is not a file", remedy)
    return path


def _missing(path: Path, what: str, other: str, remedy: str) -> MissingFileError:
    resolved = "" if path.is_absolute() else f", which is {path.absolute()}"
    return MissingFileError(
        f"{what} '{path}' {other if path.exists() else 'does not exist'}; put the data there{resolved}, or {remedy}"
    )


def list_files(folder: Path, suffix: str) -> set[str]:
    """List the files under a folder, at any depth.

    Args:
        folder: Where to look.
        suffix: End of the names that are wanted.

    Returns:
        Names relative to the folder, with '/', without the suffix.
    """
    found: set[str] = set()
    for where, _, files in os.walk(folder, followlinks=True):
        prefix = Path(where).relative_to(folder).as_posix()
        prefix = "" if prefix == "." else prefix + "/"
        found.update(prefix + name[: -len(suffix)] for name in files if name.endswith(suffix))
    return found


def check_files(
    folder: Path,
    names: Iterable[str],
    what: str,
    origin: Path,
    remedy: str = "complete the folder, or take them out of the file",
) -> None:
    """Check that files exist, with one listing per folder instead of one look-up per file.

    Args:
        folder: Where they should be.
        names: Their paths in it, with '/'.
        what: What they are, for the message.
        origin: The file that names them.
        remedy: What to do, for the message.

    Raises:
        MissingFileError: Some are missing; the message names the first three.
    """
    by_dir: dict[str, list[str]] = {}
    hint = ""
    for name in names:
        path = PurePosixPath(name)
        by_dir.setdefault(str(path.parent), []).append(path.name)
    missing: list[str] = []
    for parent, files in by_dir.items():
        where = folder / parent
        present = set(os.listdir(where)) if where.is_dir() else set()
        absent = [f for f in files if f not in present]
        missing += [str(PurePosixPath(parent) / f) for f in absent]
        hint = hint or other_form(absent, present)
    if missing:
        raise MissingFileError(
            f"{len(missing)} {what} that '{origin}' names are missing under '{folder}', e.g. {missing[:3]}{hint}; "
            f"{remedy}"
        )


def other_form(missing: Iterable[str], present: Collection[str]) -> str:
    """Say it if a missing name is there and looks alike: composed (NFC) against decomposed letters (NFD, macOS).

    Args:
        missing: Names looked for.
        present: Names there are.

    Returns:
        A clause for a message; '' if no name is like that.
    """
    for name in missing:
        if name.isascii():
            continue
        forms: tuple[tuple[_Form, _Form], ...] = (("NFC", "NFD"), ("NFD", "NFC"))
        for form, other in forms:
            if unicodedata.normalize(other, name) in present and unicodedata.is_normalized(form, name):
                return (
                    f" ('{name}' is there in another Unicode form, {other} where {form} is expected, which looks the "
                    "same: rename the files to one form)"
                )
    return ""
