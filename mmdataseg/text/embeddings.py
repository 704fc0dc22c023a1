"""The file format of text embeddings: a matrix and its provenance.

It is a ``.safetensors`` file, so reading it runs no code. It has the tensor ``embeddings`` (K, D) float16, rows of unit
length, and these metadata, all strings:

==================  =====================================================================================
``format_version``  "2"
``vocabulary``      name of the label space, e.g. ``ade150``
``encoder``         JSON object: the fields of `mmdataseg.text.recipe.EncoderInfo`
``templates``       JSON list of prompt templates
``classes``         JSON list of the K class names as the label space spells them
``prompts``         JSON list of K pairs: phrases and descriptions embedded for each class; ``[]`` if unknown
``sha256``          hash of the above and D (`TextRecipe`), which shows without encoding that a file is up to date
``matrix_sha256``   hash of the float16 rows
``is_thing``        JSON list of K flags, only in the files of `mmdataseg.text.vocabulary`
==================  =====================================================================================
"""

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor

from mmdataseg.errors import MissingFileError, UserError
from mmdataseg.formats.whole_files import write_whole
from mmdataseg.structures import LabelSpace
from mmdataseg.text.hashing import warn_of_stand_in
from mmdataseg.text.prompts import ClassPrompt
from mmdataseg.text.recipe import EncoderInfo, TextRecipe, dump_json, read_prompts
from mmdataseg.text.vocabularies import known_label_spaces

FORMAT_VERSION = "2"
_KEYS = ("format_version", "vocabulary", "encoder", "templates", "classes", "prompts", "sha256", "matrix_sha256")
# float16 rounds the length of a unit row by less than 1e-3.
_NORM_TOLERANCE = 5e-3
_FEW = 8  # most classes that a command lists by name


@dataclass(frozen=True, eq=False)
class TextEmbeddings:
    """The classifier matrix of a label space, with its provenance.

    Args:
        matrix: (K, D) float32, rows of unit length, on the CPU.
        classes: K class names, as the label space spells them.
        encoder: Encoder of the rows.
        templates: Prompt templates; ``{}`` or ``{article} {}`` is replaced by the class.
        prompts: Texts embedded for each class; empty if unknown.
        vocabulary: Name of the label space.

    Raises:
        UserError: There is not one row per class, a value is not finite, or the length of a row is not 1.
    """

    matrix: Tensor
    classes: tuple[str, ...]
    encoder: EncoderInfo
    templates: tuple[str, ...] = ("{}",)
    prompts: tuple[ClassPrompt, ...] = ()
    vocabulary: str = ""

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or len(self.matrix) != len(self.classes):
            raise UserError(
                f"expected one row for each of {len(self.classes)} classes, "
                f"got embeddings of shape {tuple(self.matrix.shape)}"
            )
        if self.prompts and len(self.prompts) != len(self.classes):
            raise UserError(f"expected prompts for each of {len(self.classes)} classes, got {len(self.prompts)}")
        rows = self.matrix.float()
        finite = rows.isfinite().all(1)
        if not finite.all():
            raise UserError(
                f"the embedding of class {self.classes[_first(~finite)]!r} has values that are NaN or infinite"
            )
        off = (rows.norm(dim=1) - 1).abs() > _NORM_TOLERANCE
        if off.any():
            row = _first(off)
            raise UserError(
                f"expected rows of unit length, got {rows[row].norm().item():.4g} for class {self.classes[row]!r} "
                f"({int(off.sum())} of {len(rows)} rows are off)"
            )
        object.__setattr__(self, "matrix", torch.nn.functional.normalize(rows, dim=1))

    @property
    def dim(self) -> int:
        """D, the length of an embedding."""
        return self.matrix.shape[1]

    @property
    def is_stand_in(self) -> bool:
        """Whether a stand-in made the rows (`mmdataseg.text.hashing`), not a language model."""
        return self.encoder.is_stand_in

    @property
    def recipe(self) -> TextRecipe:
        """Everything that determines the rows, without the rows."""
        return TextRecipe(
            vocabulary=self.vocabulary,
            encoder=self.encoder,
            templates=self.templates,
            classes=self.classes,
            prompts=self.prompts,
            dim=self.dim,
        )


def save_embeddings(path: str | Path, embeddings: TextEmbeddings, *, is_thing: Sequence[bool] | None = None) -> Path:
    """Write a file of text embeddings, completely or not at all, and return its path.

    Missing folders are created, an existing file is replaced. ``is_thing`` has K flags, True for things; None: the file
    has no flags.
    """
    path = Path(path)
    matrix = embeddings.matrix.to(torch.float16).contiguous()
    metadata = {
        "format_version": FORMAT_VERSION,
        "vocabulary": embeddings.vocabulary,
        "encoder": dump_json(asdict(embeddings.encoder)),
        "templates": dump_json(embeddings.templates),
        "classes": dump_json(embeddings.classes),
        "prompts": dump_json([(p.phrases, p.descriptions) for p in embeddings.prompts]),
        "sha256": embeddings.recipe.sha256,
        "matrix_sha256": matrix_sha256(matrix),
    }
    if is_thing is not None:
        metadata["is_thing"] = dump_json([bool(flag) for flag in is_thing])
    write_whole(path, serialize({"embeddings": matrix}, metadata=metadata))
    return path


def load_embeddings(
    path: str | Path,
    *,
    label_space: LabelSpace | None = None,
    source: str | None = None,
    dim: int | None = None,
) -> TextEmbeddings:
    """Read a file of text embeddings, (K, D) float32 rows of unit length, and check it.

    Args:
        path: A ``.safetensors`` file written by `save_embeddings`.
        label_space: The classes that the file must have, in this order.
        source: Name of the source that needs the file, for messages.
        dim: The length D that the rows must have.

    Raises:
        MissingFileError: There is no such file.
        UserError: The file is not a file of text embeddings; it was changed after it was written; it has NaN or rows
            that are not of unit length; its dimension is not ``dim``; or its classes or their order differ from those
            of ``label_space``.
    """
    path = Path(path)
    if not path.is_file():
        remedy = build_remedy(path, label_space, dim)
        raise MissingFileError(f"text embeddings {path}: no such file", source=source, remedy=remedy)
    try:
        embeddings = _read(path)
        if dim not in (None, embeddings.dim):
            raise UserError(
                f"expected {dim} dimensions, got {embeddings.dim} (encoder: {embeddings.encoder}); "
                "all sources of a model need the same encoder"
            )
        if label_space is not None:
            _check_classes(embeddings.classes, label_space)
    except UserError as error:
        remedy = build_remedy(path, label_space, dim, force=True)
        raise UserError(error.message, source=source, file=path, remedy=remedy) from error
    if embeddings.is_stand_in:
        warn_of_stand_in()
    return embeddings


def encoder_mismatch(encoders: Mapping[str, EncoderInfo]) -> str | None:
    """Return a message about the first two sources of a model whose encoders do not fit, or None if all fit.

    Args:
        encoders: Name of a source -> the encoder of its embeddings.
    """
    for (one, encoder), (other, second) in combinations(encoders.items(), 2):
        if not encoder.fits(second):
            return (
                f"sources {one!r} and {other!r}: their text embeddings are from different encoders or weights, "
                f"'{encoder}' and '{second}', and cannot be compared; build both with the same encoder: "
                "tools/text_embeddings.py --force"
            )
    return None


def read_metadata(path: str | Path) -> dict[str, str]:
    """Read the metadata of a file of text embeddings, without its matrix.

    The names and texts are those in the docstring of this module.

    Raises:
        UserError: The file is not a safetensors file, has another format version, or an entry is missing.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise UserError(f"not a safetensors file, or incomplete ({error})") from error
    missing = [key for key in _KEYS if key not in metadata]
    if missing:
        raise UserError(f"expected the metadata {list(_KEYS)}, but {missing[0]!r} is missing")
    if metadata["format_version"] != FORMAT_VERSION:
        raise UserError(
            f"expected format version {FORMAT_VERSION}, got {metadata['format_version']!r}; files of other versions "
            "do not describe their encoder in a comparable form and must be built again"
        )
    return metadata


def read_thing_flags(path: str | Path) -> tuple[bool, ...] | None:
    """Read the K thing flags of a file of text embeddings, or None if it has none.

    Raises:
        UserError: `read_metadata` refuses the file, or there is not one flag per class.
    """
    metadata = read_metadata(path)
    if "is_thing" not in metadata:
        return None
    flags = _parse(metadata, "is_thing")
    if len(flags) != len(_parse(metadata, "classes")) or not all(isinstance(flag, bool) for flag in flags):
        raise UserError("expected metadata 'is_thing' to be a list of true or false, one per class", file=path)
    return tuple(flags)


def matrix_sha256(matrix: Tensor) -> str:
    """Return the SHA-256 of (K, D) rows as a file stores them, in float16, in hexadecimal."""
    return hashlib.sha256(matrix.to(torch.float16).numpy().tobytes()).hexdigest()


def _read(path: Path) -> TextEmbeddings:
    metadata = read_metadata(path)
    with safe_open(str(path), framework="pt") as file:
        if "embeddings" not in file.keys():
            raise UserError(f"expected a tensor named 'embeddings', got {list(file.keys())}")
        matrix = file.get_tensor("embeddings")
    embeddings = TextEmbeddings(
        matrix=matrix,
        classes=tuple(_parse(metadata, "classes")),
        encoder=EncoderInfo.from_json(_parse(metadata, "encoder", dict)),
        templates=tuple(_parse(metadata, "templates")),
        prompts=read_prompts(_parse(metadata, "prompts")),
        vocabulary=metadata["vocabulary"],
    )
    for what, got, kept in (
        ("metadata", embeddings.recipe.sha256, metadata["sha256"]),
        ("matrix", matrix_sha256(matrix), metadata["matrix_sha256"]),
    ):
        if got != kept:
            raise UserError(
                f"the {what} changed after the file was written: expected SHA-256 {kept[:12]}..., got {got[:12]}..."
            )
    return embeddings


def build_remedy(
    path: str | Path, label_space: LabelSpace | None, dim: int | None = None, *, force: bool = False
) -> str:
    """Return a sentence with the command that builds a file of text embeddings, for messages.

    Args:
        path: Path of the file.
        label_space: Its classes; None: unknown.
        dim: D of the model; None: unknown.
        force: Whether the command replaces an existing file.
    """
    name = label_space.name if label_space else "NAME"
    vocabulary = name
    if name not in known_label_spaces():
        names = label_space.classes if label_space else ()
        classes = f"--names {shlex.join(names)}" if 0 < len(names) <= _FEW else "CLASSES.txt"
        vocabulary = f"{classes} --vocabulary {shlex.quote(name)}"
    command = f"python tools/text_embeddings.py {vocabulary} --out {shlex.quote(str(path))}"
    if force:
        command += " --force"
    expected = "" if dim is None else f" (the model expects {dim} dimensions)"
    return f"build them with: {command}{expected}"


def _check_classes(classes: tuple[str, ...], label_space: LabelSpace) -> None:
    """Check that the names match one by one. The message has the first mismatch."""
    expected = label_space.classes
    what = f"label space '{label_space.name}'"
    if classes == expected:
        return
    shared = min(len(classes), len(expected))
    first = next((i for i in range(shared) if classes[i] != expected[i]), shared)
    got, wanted = (repr(names[first]) if first < len(names) else "no more classes" for names in (classes, expected))
    if sorted(classes) == sorted(expected):
        raise UserError(f"the classes of {what} are in another order: row {first} is {got}, expected {wanted}")
    numbers = f"the file has {len(classes)} classes, but {what} has {len(expected)}"
    if len(classes) == len(expected):
        numbers = f"the file has other classes than {what}"
    raise UserError(f"{numbers}; the first difference is in row {first}: {got}, expected {wanted}")


def _parse(metadata: dict[str, str], key: str, kind: type = list) -> Any:
    try:
        value = json.loads(metadata[key])
    except json.JSONDecodeError as error:
        raise UserError(f"metadata {key!r} is not valid JSON ({error})") from error
    if not isinstance(value, kind):
        expected = "a JSON list" if kind is list else "a JSON object"
        raise UserError(f"expected metadata {key!r} to be {expected}, got {type(value).__name__}")
    return value


def _first(flags: Tensor) -> int:
    return int(flags.nonzero()[0, 0])
