"""Categories of COCO-style files, matched to a label space by name."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdataseg.errors import UserError
from mmdataseg.formats.coco_values import id_key
from mmdataseg.formats.json_files import broken
from mmdataseg.ops.id_map import VOID
from mmdataseg.structures import LabelSpace

UNKNOWN = -2
"""Label of a category or value on disk that the label space does not have. A pixel or box with it is an error."""


def make_categories(space: LabelSpace, ids: Iterable[int]) -> list[dict[str, Any]]:
    """Return the ``categories`` of a COCO JSON: the K classes of a label space, with the K given ids."""
    return [
        {"id": number, "name": name, "isthing": int(thing)}
        for number, name, thing in zip(ids, space.classes, space.is_thing, strict=True)
    ]


def check_categories(categories: Sequence[Any], path: Path) -> dict[Any, str]:
    """Check the ``categories`` of a COCO-style file.

    Returns:
        Category id, converted by `id_key` -> name, without leading and trailing blanks.

    Raises:
        UserError: A category has no id or no name, or an id appears twice.
    """
    names: dict[Any, str] = {}
    for category in categories:
        if not isinstance(category, Mapping) or "id" not in category or "name" not in category:
            raise broken(path, f"expected categories with 'id' and 'name', got {category!r}")
        number, name = id_key(category["id"]), category["name"]
        if not isinstance(number, int | str) or not isinstance(name, int | str) or not str(name).strip():
            what = "expected categories whose 'id' is an integer and whose 'name' is text"
            raise broken(path, f"{what}, got {category!r}")
        if number in names:
            raise broken(path, f"category id {number} appears twice")
        names[number] = str(name).strip()
    return names


def category_labels(
    categories: Sequence[Mapping[str, Any]],
    *,
    classes: Sequence[str],
    label_map: Mapping[str, str | None] | None,
    path: Path,
) -> dict[Any, int]:
    """Match the categories of a COCO-style file to a label space, by name and never by order.

    Args:
        categories: The ``categories`` of the file, with ``id`` and ``name``.
        classes: Class names of the label space; a label is a position in it.
        label_map: Name in the file -> name in the label space, or None for void. Names that are not in the map keep
            their name.
        path: The file.

    Returns:
        Category id -> label. `VOID` if the label map says None. `UNKNOWN` if the label space does not have the name,
        which is an error only if an annotation uses it.

    Raises:
        UserError: A category has no id or no name, an id appears twice, or the label map has a name that is in neither
            the file nor the label space.
    """
    names = check_categories(categories, path)
    label_of = {name.strip(): label for label, name in enumerate(classes)}
    renamed = {str(name).strip(): target for name, target in (label_map or {}).items()}
    check_mapped_classes(renamed.values(), classes)
    labels: dict[Any, int] = {}
    for number, name in names.items():
        target = renamed.get(name, name)
        labels[number] = VOID if target is None else label_of.get(target.strip(), UNKNOWN)
    unused = sorted(set(renamed) - set(names.values()))
    if unused:
        raise UserError(
            f"the file has no category {unused[0]!r}",
            file=path,
            remedy="correct this key of label_map; its keys are names, not ids",
        )
    return labels


def check_mapped_classes(names: Iterable[str | None], classes: Sequence[str]) -> None:
    """Check the values of a label map.

    Raises:
        UserError: A value is neither a class name of the label space nor None.
    """
    known = {name.strip() for name in classes}
    wrong = [n for n in names if n is not None and (not isinstance(n, str) or n.strip() not in known)]
    if wrong:
        raise UserError(
            f"label_map maps to {wrong[0]!r}, which is not a class of the label space",
            remedy="use one of its class names, or None",
        )


def unknown_category(
    path: Path, annotation: str, category_id: Any, categories: Sequence[Mapping[str, Any]]
) -> UserError:
    """Return the error for an annotation, described in words, whose category is not in the label space."""
    names = [str(c["name"]) for c in categories if id_key(c["id"]) == category_id]
    what = f"category {category_id} ({names[0]!r})" if names else f"category {category_id}"
    remedy = (
        "map its name with label_map, to a class name of the label space or to None for void"
        if names
        else "the file's own 'categories' do not list it: repair the file"
    )
    return UserError(f"{annotation} has {what}, which is not in the label space", file=path, remedy=remedy)
