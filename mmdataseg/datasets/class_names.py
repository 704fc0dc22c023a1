"""The class names that `MultiSourceDataset` passes to a dataset."""

from collections.abc import Mapping
from typing import Any

from mmdataseg.errors import UserError


def class_names(metainfo: Mapping[str, Any] | None, kind: str) -> tuple[str, ...]:
    """Return the class names of the label space from the metainfo of a dataset; ``kind`` is the name of its class.

    Raises:
        UserError: The metainfo has no class names.
    """
    names = tuple(metainfo.get("classes") or ()) if metainfo is not None else ()
    if not names:
        raise UserError(
            f"{kind} needs the class names of its label space",
            remedy="use it in a source (MultiSourceDataset passes them on), or pass metainfo=dict(classes=[...])",
        )
    return names
