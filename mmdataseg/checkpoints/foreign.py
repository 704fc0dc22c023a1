"""A Mask2Former of another project: its file, its parameter names, its classes and its sizes."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor

from mmdataseg.checkpoints.addresses import download, is_address
from mmdataseg.checkpoints.architecture import Architecture, architecture_of
from mmdataseg.checkpoints.classes import BY_NUMBER, classes_of, named_classes
from mmdataseg.checkpoints.names import CLASS_LAYER, recognise
from mmdataseg.checkpoints.reading import Checkpoint, read_checkpoint
from mmdataseg.errors import UserError
from mmdataseg.formats.json_files import read_json
from mmdataseg.text.embeddings import load_embeddings


@dataclass(frozen=True, eq=False, kw_only=True)
class Foreign:
    """A Mask2Former of another project, under our parameter names.

    Args:
        checkpoint: As it was read.
        layout: How its project names parameters.
        state: Parameters, with the class layer.
        classes: Names of its K classes, in their order.
        architecture: Its sizes.
    """

    checkpoint: Checkpoint
    layout: str
    state: Mapping[str, Tensor]
    classes: tuple[str, ...]
    architecture: Architecture


def read_foreign(
    checkpoint: str | PathLike[str], *, embeddings: str | PathLike[str] | None = None, progress: bool = True
) -> Foreign:
    """Read and recognise a Mask2Former.

    The arguments are those of `convert`. The embeddings name the classes where the checkpoint does not.

    Raises:
        UserError: As in `read_checkpoint`, `recognise` and `classes_of`.
    """
    origin, described = _file_and_config(str(checkpoint))
    read = read_checkpoint(origin, progress=progress)
    layout = recognise(read.state_dict, file=origin)
    state = layout.rename(read.state_dict)
    num_classes = len(state[f"{CLASS_LAYER}.weight"]) - 1
    if embeddings is not None and num_classes not in BY_NUMBER and named_classes(read.meta, described) is None:
        classes = load_embeddings(embeddings).classes
        if len(classes) != num_classes:
            raise UserError(
                f"has {len(classes)} classes, and the class layer of {origin} has {num_classes}", file=str(embeddings)
            )
    else:
        classes = classes_of(num_classes, read.meta, described, file=origin)
    return Foreign(
        checkpoint=read, layout=layout.name, state=state, classes=classes, architecture=architecture_of(state)
    )


def _file_and_config(checkpoint: str) -> tuple[str, Mapping[str, Any]]:
    """The file with the weights, and what is in the ``config.json`` beside it."""
    if is_address(checkpoint):
        if not checkpoint.rpartition("/")[2].startswith(("model.safetensors", "pytorch_model.bin")):
            return checkpoint, {}
        path = download(checkpoint.rpartition("/")[0] + "/config.json", progress=False)
        return checkpoint, _json(path)
    folder = Path(checkpoint)
    if folder.is_dir():
        found = [folder / name for name in ("model.safetensors", "pytorch_model.bin") if (folder / name).is_file()]
        if not found:
            raise UserError("has neither model.safetensors nor pytorch_model.bin", file=checkpoint)
        checkpoint = str(found[0])
    beside = Path(checkpoint).with_name("config.json")
    return checkpoint, _json(beside) if beside.is_file() else {}


def _json(path: Path) -> Mapping[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"expected a JSON object, got a {type(content).__name__}", file=path)
    return content
