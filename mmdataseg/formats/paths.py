"""Resolves paths under a root, and checks that files and folders exist."""

import os
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

from mmdataseg.errors import MissingFileError

_Form = Literal["NFC", "NFD"]
_SET_ROOT = "set data_root in the source's config"


def resolve(data_root: str, path: str) -> Path:
    """Return ``path`` under ``data_root``, or unchanged if it is absolute or the root is empty."""
    return Path(data_root) / path


def require_dir(path: Path, what: str, *, remedy: str = _SET_ROOT) -> Path:
    """Return ``path`` if it is a folder.

    Args:
        path: The path.
        what: Description of the folder, for the message, e.g. ``image folder``.
        remedy: What to do other than putting the folder there, for the message.

    Raises:
        MissingFileError: The path does not exist, or is not a folder.
    """
    if not path.is_dir():
        raise _missing(path, what, "is not a folder", remedy)
    return path


def require_file(path: Path, what: str, *, remedy: str = _SET_ROOT) -> Path:
    """Return ``path`` if it is a file. Arguments and errors are as for `require_dir`."""
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

    Links are followed, but not back into a folder that they are in. Names that begin with a dot are left out, as in
    mmengine: what macOS and Jupyter put beside files, such as ``._a.jpg``, is no data.

    Args:
        folder: The folder.
        suffix: Suffix of the files to list; '' for all files.

    Returns:
        Paths relative to the folder, with '/' and without the suffix.
    """
    return {name.removesuffix(suffix) for name in _names_in(folder, "", ()) if name.endswith(suffix)}


def _names_in(folder: str | Path, prefix: str, above: tuple[str, ...]) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in above:  # a link to a folder that it is in would be followed without end
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _names_in(entry.path, f"{prefix}{entry.name}/", (*above, real))
            else:
                yield prefix + entry.name


def check_files(
    folder: Path,
    names: Iterable[str],
    what: str,
    origin: Path,
    remedy: str = "complete the folder, or remove them from the file",
) -> None:
    """Check that files exist, with one listing per folder instead of one look-up per file.

    Args:
        folder: Folder of the files.
        names: Paths of the files in the folder, with '/'.
        what: Description of the files, for the message.
        origin: The file that lists them.
        remedy: What to do, for the message.

    Raises:
        MissingFileError: Files are missing. The message names the first three.
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
            f"{len(missing)} {what} listed in '{origin}' are missing under '{folder}', e.g. {missing[:3]}{hint}; "
            f"{remedy}"
        )


def other_form(missing: Iterable[str], present: Collection[str]) -> str:
    """Return a clause for a message about a missing name that is present in another Unicode form; '' if none is.

    The forms are composed (NFC) and decomposed (NFD, as macOS writes names).
    """
    forms: tuple[tuple[_Form, _Form], ...] = (("NFC", "NFD"), ("NFD", "NFC"))
    for name in missing:
        for form, other in forms:
            if unicodedata.normalize(other, name) in present and unicodedata.is_normalized(form, name):
                return (
                    f" ('{name}' exists in another Unicode form, which looks the same: {other}, but expected {form}; "
                    "rename the files to one form)"
                )
    return ""
