"""The class names that a dataset gets from the wrapper."""

from collections.abc import Mapping
from typing import Any

from mmdataseg.errors import UserError


def class_names(metainfo: Mapping[str, Any] | None, kind: str) -> tuple[str, ...]:
    """The label space's class names, from the metainfo that the wrapper gives.

    Args:
        metainfo: Of the dataset.
        kind: Name of the dataset's class, for the message.

    Raises:
        UserError: It has none.
    """
    names = tuple(metainfo.get("classes") or ()) if metainfo is not None else ()
    if not names:
        raise UserError(
            f"{kind} needs the names of its label space",
            remedy="use it in a source (MultiSourceDataset hands them on), or pass metainfo=dict(classes=[...])",
        )
    return names
