"""The classes of a foreign class layer: their names, and their rows of text embeddings."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmdataseg.errors import UserError
from mmdataseg.text.vocabularies import get_label_space

# Label spaces of published class layers, by number of classes, for files that do not name them.
BY_NUMBER = {133: "coco133", 80: "coco80", 150: "ade150", 19: "cityscapes19"}


def named_classes(meta: Mapping[str, Any], config: Mapping[str, Any] | None = None) -> tuple[str, ...] | None:
    """Return the class names in a checkpoint, in the order of the class layer; None if it has none.

    Args:
        meta: The checkpoint's, as mmdet and mmseg save it.
        config: Content of the ``config.json`` beside a checkpoint of Hugging Face.
    """
    dataset = meta.get("dataset_meta")
    for holder in (dataset if isinstance(dataset, Mapping) else {}, meta):
        for key in ("classes", "CLASSES"):
            names = holder.get(key)
            if isinstance(names, list | tuple) and names:
                return tuple(str(name) for name in names)
    labels = (config or {}).get("id2label")
    if isinstance(labels, Mapping) and labels:
        by_number = {int(number): str(name) for number, name in labels.items() if str(number).isdecimal()}
        names = tuple(by_number[number] for number in sorted(by_number))
        if not all(name.startswith("LABEL_") for name in names):
            return names
    return None


def classes_of(
    num_classes: int, meta: Mapping[str, Any], config: Mapping[str, Any] | None = None, *, file: str
) -> tuple[str, ...]:
    """Return the K classes of a class layer: those that the checkpoint names, otherwise those known by their number.

    ``meta`` and ``config`` are those of `named_classes`.

    Raises:
        UserError: The checkpoint names another number of classes than its class layer has; or it names none, and no
            published model has that number.
    """
    names = named_classes(meta, config)
    if names is None:
        if num_classes not in BY_NUMBER:
            raise UserError(
                f"does not name its classes, and its class layer has {num_classes}; expected one of {BY_NUMBER}",
                file=file,
                remedy="give --embeddings, a file with its classes in their order",
            )
        return get_label_space(BY_NUMBER[num_classes]).classes
    if len(names) != num_classes:
        raise UserError(
            f"names {len(names)} classes, and its class layer has {num_classes}",
            file=file,
            remedy="the file was put together from two models; get the original",
        )
    return names


def numbers_of(classes: Sequence[str], known: Sequence[str]) -> list[int] | str:
    """The index of each class of a checkpoint among known names.

    "road, route" is found as "road", "Window " as "window"; the whole name is tried before its first part.

    Args:
        classes: K names of a checkpoint.
        known: These and perhaps other names.

    Returns:
        K indices; or the first class that is not there, or has the index of an earlier one.
    """
    exact = {name: number for number, name in enumerate(known)}
    full = {_key(name): number for number, name in enumerate(known)}
    first = {_key(name.split(",")[0]): number for number, name in reversed(list(enumerate(known)))}
    numbers: list[int] = []
    for name in classes:
        tried = (exact.get(name), full.get(_key(name)), first.get(_key(name)), full.get(_key(name.split(",")[0])))
        number = next((n for n in tried if n is not None and n not in numbers), None)
        if number is None:
            return name
        numbers.append(number)
    return numbers


def _key(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())
