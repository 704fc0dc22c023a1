"""Reads the images that a COCO file lists, without its annotations."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mmdataseg.formats.coco_values import as_file_name, id_key
from mmdataseg.formats.json_stream import stream_json


def listed_images(
    path: Path,
    *,
    path_parts: int | None = None,
    leave_out: Sequence[str] = (),
    indices: int | Sequence[int] | None = None,
) -> dict[Any, str]:
    """Read the images that a dataset over a COCO file uses. The arguments are those of `InstanceSegDataset`.

    Args:
        path: The file.
        path_parts: Number of parts to keep, from the end, of each file name; None: all.
        leave_out: File names, shortened by ``path_parts``, of images that are not used.
        indices: An int n keeps the first n images, or the last -n if it is negative; a sequence keeps these positions.

    Returns:
        Image id, converted by `id_key` -> file name; '' if an image has none. Broken entries are skipped: the dataset
        reports them.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The file is not valid JSON.
    """
    found: list[tuple[Any, str]] = []
    left_out = frozenset(leave_out)
    for key, image in stream_json(path):
        if key != "images" or not isinstance(image, dict) or not isinstance(image.get("id"), int | float | str):
            continue
        try:
            name = as_file_name(image.get("file_name"))
        except ValueError:
            name = ""
        if path_parts is not None:
            name = "/".join(name.split("/")[-path_parts:])
        if name not in left_out:
            found.append((id_key(image["id"]), name))
    return dict(_subset(found, indices))


def _subset(found: list[tuple[Any, str]], indices: int | Sequence[int] | None) -> Iterable[tuple[Any, str]]:
    if indices is None:
        return found
    if isinstance(indices, int):
        return found[:indices] if indices >= 0 else found[indices:]
    return [found[index] for index in indices if -len(found) <= index < len(found)]
