"""Reads and checks whole JSON files, and writes COCO's JSON."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from mmdataseg.errors import UserError
from mmdataseg.formats.paths import require_file
from mmdataseg.formats.whole_files import whole_file

COCO_KEYS = ("images", "annotations", "categories")
_OTHER_FILE = "use the file for this task and format, or repair it"


def read_json(path: Path) -> Any:
    """Read a JSON file in UTF-8, with or without a byte order mark.

    Raises:
        UserError: The file is not valid JSON.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            return json.load(file)
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise invalid_json(path, str(error)) from None


def load_json(path: Path, required: Sequence[str]) -> dict[str, Any]:
    """Read a JSON object with the required keys, each of which must have a list.

    Raises:
        MissingFileError: There is no such file.
        UserError: The file is not valid JSON or not an object, a key is missing, or a value is not a list.
    """
    require_file(path, "annotation file")
    content = read_json(path)
    check_keys(content.keys() if isinstance(content, dict) else None, required, path)
    wrong = [key for key in required if not isinstance(content[key], list)]
    if wrong:
        kind = type(content[wrong[0]]).__name__
        raise UserError(f"expected a list under {wrong[0]!r}, got {kind}", file=path, remedy=_OTHER_FILE)
    return content


def invalid_json(path: Path, why: str) -> UserError:
    """Return the error for a file that is not valid JSON, with the parser's message."""
    return UserError(
        f"not valid JSON ({why})", file=path, remedy="check that it was copied or downloaded completely, or repair it"
    )


def broken(path: Path, what: str) -> UserError:
    """Return the error for a file whose content is wrong."""
    return UserError(what, file=path, remedy="repair the file")


def check_keys(keys: Iterable[str] | None, required: Sequence[str], path: Path) -> None:
    """Check that a JSON file has the required keys. ``keys`` is None if it is not a JSON object.

    Raises:
        UserError: A key is missing.
    """
    if keys is None:
        raise UserError(
            f"expected a JSON object with the keys {list(required)}, got a list or a single value",
            file=path,
            remedy=_OTHER_FILE,
        )
    found = sorted(keys)
    missing = [key for key in required if key not in found]
    if missing:
        raise UserError(
            f"key {missing[0]!r} is missing; expected {list(required)}, got {found}",
            file=path,
            remedy=_OTHER_FILE,
        )


def write_coco_json(
    path: Path,
    *,
    images: Iterable[dict[str, Any]],
    annotations: Iterable[dict[str, Any]] | None,
    categories: Iterable[dict[str, Any]],
) -> None:
    """Write a COCO JSON, of instances or panoptic, one entry at a time, completely or not at all.

    Without annotations, e.g. because they are label maps, it does not have this key.
    """
    parts = {"images": images, "annotations": annotations, "categories": categories}
    with whole_file(path) as file:
        for number, (key, entries) in enumerate((k, v) for k, v in parts.items() if v is not None):
            file.write(f"{', ' if number else '{'}{json.dumps(key)}: ")
            write_list(file, entries)
        file.write("}")


def write_list(file: TextIO, entries: Iterable[Any]) -> None:
    """Write a JSON list, one entry at a time."""
    file.write("[")
    for number, entry in enumerate(entries):
        file.write((", " if number else "") + json.dumps(entry))
    file.write("]")
