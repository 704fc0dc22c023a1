"""Reading annotation files and folders: every failure names the file, what was expected of it, and what to do."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

VOID = -1
UNKNOWN = -2
_OTHER_FILE = "take the file of this task and format, or repair it"


def resolve(data_root: str, path: str) -> Path:
    """``path`` under ``data_root``, or as it is where it is absolute or there is no root."""
    return Path(data_root) / path


def _seen_from(path: Path) -> str:
    """Where a relative path leads, which depends on where the user stands."""
    return "" if path.is_absolute() else f", which is {path.absolute()}"


def require_dir(path: Path, what: str) -> Path:
    """Return ``path``.

    Args:
        path: Where the folder should be.
        what: What it holds, for the message, e.g. ``image folder``.

    Raises:
        FileNotFoundError: It is not there, or is no folder.
    """
    if not path.is_dir():
        raise FileNotFoundError(
            f"{what} '{path}' {'is no folder' if path.exists() else 'does not exist'}; "
            f"put the data there{_seen_from(path)}, or set data_root in the source's config"
        )
    return path


def require_file(path: Path, what: str) -> Path:
    """Return ``path``.

    Raises:
        FileNotFoundError: It is not there, or is no file.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{what} '{path}' {'is no file' if path.exists() else 'does not exist'}; "
            f"put the data there{_seen_from(path)}, or set data_root in the source's config"
        )
    return path


def load_json(path: Path, required: Sequence[str]) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: The file.
        required: Keys it must have, each with a list.

    Raises:
        FileNotFoundError: No such file.
        ValueError: It is no JSON, no object, or lacks a key.
    """
    require_file(path, "annotation file")
    try:
        with path.open(encoding="utf-8") as file:
            content = json.load(file)
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
        raise ValueError(f"'{path}' is no valid JSON ({error}); was it copied or downloaded completely?") from None
    check_keys(content.keys() if isinstance(content, dict) else None, required, path)
    wrong = [key for key in required if not isinstance(content[key], list)]
    if wrong:
        raise ValueError(
            f"'{path}': expected a list under {wrong[0]!r}, got {type(content[wrong[0]]).__name__}; {_OTHER_FILE}"
        )
    return content


def check_keys(keys: Iterable[str] | None, required: Sequence[str], path: Path) -> None:
    """Check the top level of a COCO-style file.

    Args:
        keys: The keys found; None: the file is no JSON object.
        required: The keys expected.
        path: The file.

    Raises:
        ValueError: A key is missing.
    """
    if keys is None:
        raise ValueError(f"'{path}': expected a JSON object with the keys {list(required)}; {_OTHER_FILE}")
    missing = [key for key in required if key not in keys]
    if missing:
        raise ValueError(
            f"'{path}': key {missing[0]!r} is missing; expected {list(required)}, got {sorted(keys)}; {_OTHER_FILE}"
        )


def category_labels(
    categories: Sequence[Mapping[str, Any]],
    *,
    classes: Sequence[str],
    label_map: Mapping[str, str | None] | None,
    path: Path,
) -> dict[int, int]:
    """Match the categories of a COCO-style file to a label space, by name and never by order.

    Args:
        categories: Its ``categories``, with ``id`` and ``name``.
        classes: The label space's names; a label is a position in it.
        label_map: Name in the file -> name in the label space, or None for void; names it does not list are taken as
            they are.
        path: The file.

    Returns:
        Category id -> label, `VOID` where the label map says None, `UNKNOWN` where the label space has no such name: an
        error only when an annotation uses it.

    Raises:
        ValueError: A category without id or name, an id that stands twice, or a label map with a name that is in
            neither.
    """
    label_of = {name.strip(): label for label, name in enumerate(classes)}
    renamed = {name.strip(): target for name, target in (label_map or {}).items()}
    labels: dict[int, int] = {}
    names = set()
    for category in categories:
        if not isinstance(category, Mapping) or "id" not in category or "name" not in category:
            raise ValueError(f"'{path}': expected categories with 'id' and 'name', got {category!r}; repair the file")
        name = str(category["name"]).strip()
        names.add(name)
        if category["id"] in labels:
            raise ValueError(f"'{path}': category id {category['id']} stands twice; repair the file")
        target = renamed.get(name, name)
        labels[category["id"]] = VOID if target is None else label_of.get(target.strip(), UNKNOWN)
    check_targets(renamed.values(), classes)
    strangers = sorted(set(renamed) - names)
    if strangers:
        raise ValueError(f"'{path}' has no category {strangers[0]!r}; correct this key of label_map")
    return labels


def check_targets(targets: Iterable[str | None], classes: Sequence[str]) -> None:
    """Check the values of a label map.

    Raises:
        ValueError: One is no name of the label space and not None.
    """
    known = {name.strip() for name in classes}
    wrong = sorted(t for t in targets if t is not None and t.strip() not in known)
    if wrong:
        raise ValueError(
            f"label_map leads to {wrong[0]!r}, which the label space does not have; use one of its names, or None"
        )


def unknown_category(
    path: Path, annotation: str, category_id: Any, categories: Sequence[Mapping[str, Any]]
) -> ValueError:
    """The error for an annotation whose category the label space lacks."""
    names = [str(c["name"]) for c in categories if c["id"] == category_id]
    what = f"category {category_id} ({names[0]!r})" if names else f"category {category_id}"
    remedy = (
        "map its name with label_map, to a name of the label space or to None for void"
        if names
        else "the file's own 'categories' do not list it: repair the file"
    )
    return ValueError(f"'{path}': {annotation} has {what}, which is outside the label space; {remedy}")


def class_names(metainfo: Mapping[str, Any] | None, kind: str) -> tuple[str, ...]:
    """The label space's class names, from the metainfo that the wrapper gives.

    Raises:
        ValueError: It has none.
    """
    names = tuple(metainfo.get("classes") or ()) if metainfo is not None else ()
    if not names:
        raise ValueError(
            f"{kind} needs the names of its label space; use it in a source (MultiSourceDataset hands them on), or "
            "pass metainfo=dict(classes=[...])"
        )
    return names


def list_files(folder: Path, suffix: str) -> set[str]:
    """Names of the files under ``folder``, at any depth, that end in ``suffix``: relative, with '/', without the
    suffix."""
    found = set()
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
    """Check that the files exist, by one listing a folder and not one look a file.

    Args:
        folder: Where they should be.
        names: Their paths in it, with '/'.
        what: What they are, for the message.
        origin: The file that names them.
        remedy: What to do, for the message.

    Raises:
        FileNotFoundError: Some are missing; names the first three.
    """
    by_dir: dict[str, list[str]] = {}
    for name in names:
        path = PurePosixPath(name)
        by_dir.setdefault(str(path.parent), []).append(path.name)
    missing = []
    for parent, files in by_dir.items():
        where = folder / parent
        present = set(os.listdir(where)) if where.is_dir() else set()
        missing += [str(PurePosixPath(parent) / f) for f in files if f not in present]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} {what} that '{origin}' names are missing under '{folder}', e.g. {missing[:3]}; {remedy}"
        )
