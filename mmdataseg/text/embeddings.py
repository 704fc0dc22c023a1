"""The file format of text embeddings: one matrix, and where it came from.

A ``.safetensors`` file (no code runs when it is read) with the tensor ``embeddings`` (K, D) float16, rows of unit
length, and these metadata, all strings:

==================  =====================================================================================
``format_version``  "2"
``vocabulary``      name of the label space, e.g. ``ade150``
``encoder``         JSON object: the fields of `mmdataseg.text.recipe.EncoderInfo`
``templates``       JSON list of prompt templates
``classes``         JSON list of the K class names as the label space spells them
``prompts``         JSON list of K pairs: phrases and descriptions embedded for each class; ``[]`` where not known
``sha256``          of these and D, the recipe (`TextRecipe`): tells, without encoding, that a file is up to date
``matrix_sha256``   of the float16 rows
``is_thing``        JSON list of K flags, in the files of `mmdataseg.text.vocabulary`; other files leave it out
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
_FEW = 8  # classes that a command can name


@dataclass(frozen=True, eq=False)
class TextEmbeddings:
    """The classifier matrix of a label space, with its provenance.

    Args:
        matrix: (K, D) float32, rows of unit length, on the CPU.
        classes: K class names, as the label space spells them.
        encoder: What made the rows.
        templates: Prompt templates; ``{}`` or ``{article} {}`` is replaced by the class.
        prompts: What was embedded for each class; empty where that is not known.
        vocabulary: Name of the label space.

    Raises:
        UserError: There is not one row for each class, a value is not finite, or the length of a row is not 1.
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
        """Everything that determines the rows, but not the rows."""
        return TextRecipe(
            vocabulary=self.vocabulary,
            encoder=self.encoder,
            templates=self.templates,
            classes=self.classes,
            prompts=self.prompts,
            dim=self.dim,
        )


def save_embeddings(path: str | Path, embeddings: TextEmbeddings, *, is_thing: Sequence[bool] | None = None) -> Path:
    """Write a file of text embeddings, whole or not at all.

    Args:
        path: Where to write; missing folders are made, an existing file is replaced.
        embeddings: What to write.
        is_thing: K flags, which of the classes are things; None: the file does not say.

    Returns:
        The path.
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
    """Read a file of text embeddings and check it.

    Args:
        path: A ``.safetensors`` file of `save_embeddings`.
        label_space: The classes that it must hold, in their order.
        source: Name of the source that needs it, for messages.
        dim: The length D that its rows must have.

    Returns:
        The embeddings, in float32, rows of unit length.

    Raises:
        MissingFileError: There is no such file.
        UserError: It is not a file of text embeddings, was changed after it was written, holds NaN or rows that
            are not of unit length, has another dimension than ``dim``, or other classes than ``label_space`` or another
            order.
    """
    path = Path(path)
    if not path.is_file():
        remedy = build_remedy(path, label_space, dim)
        raise MissingFileError(f"text embeddings {path}: no such file", source=source, remedy=remedy)
    try:
        embeddings = _read(path)
        _check_dim(embeddings, dim)
        if label_space is not None:
            _check_classes(embeddings.classes, label_space)
    except UserError as error:
        remedy = build_remedy(path, label_space, dim, force=True)
        raise UserError(error.message, source=source, file=path, remedy=remedy) from error
    if embeddings.is_stand_in:
        warn_of_stand_in()
    return embeddings


def encoder_mismatch(encoders: Mapping[str, EncoderInfo]) -> str | None:
    """Find a conflict between the encoders of a model's sources.

    Args:
        encoders: Name of a source -> the encoder of its embeddings.

    Returns:
        A message with the first two that conflict and what to do; None: all have one encoder, as far as is known.
    """
    for (one, encoder), (other, second) in combinations(encoders.items(), 2):
        if not encoder.fits(second):
            return (
                f"sources {one!r} and {other!r}: their text embeddings are of different encoders or weights, "
                f"'{encoder}' and '{second}'; directions of different encoders have nothing in common: make both with "
                "one encoder: tools/text_embeddings.py --force"
            )
    return None


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a file of text embeddings, without its matrix.

    Raises:
        UserError: It is not a safetensors file, or an entry is missing.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise UserError(f"not a safetensors file, or cut short ({error})") from error
    missing = [key for key in _KEYS if key not in metadata]
    if missing:
        raise UserError(f"expected the metadata {list(_KEYS)}, {missing[0]!r} is missing")
    if metadata["format_version"] != FORMAT_VERSION:
        raise UserError(
            f"expected format version {FORMAT_VERSION}, got {metadata['format_version']!r}; files of another version "
            "do not say which encoder made them in a form that is compared, and must be made again"
        )
    return metadata


def read_thing_flags(path: str | Path) -> tuple[bool, ...] | None:
    """Which classes of a file of text embeddings are things.

    Args:
        path: The file.

    Returns:
        K flags; None: the file does not say.

    Raises:
        UserError: As `read_metadata`; or there is not one flag for each class.
    """
    metadata = read_metadata(path)
    if "is_thing" not in metadata:
        return None
    flags = _parse(metadata, "is_thing")
    if len(flags) != len(_parse(metadata, "classes")) or not all(isinstance(flag, bool) for flag in flags):
        raise UserError("expected metadata 'is_thing' to have true or false for each class", file=path)
    return tuple(flags)


def matrix_sha256(matrix: Tensor) -> str:
    """SHA-256 of the rows as they are in a file, in float16."""
    matrix = matrix.to(torch.float16)
    return hashlib.sha256(matrix.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()


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
                f"its {what} changed after it was written: expected SHA-256 {kept[:12]}..., got {got[:12]}..."
            )
    return embeddings


def build_remedy(
    path: str | Path, label_space: LabelSpace | None, dim: int | None = None, *, force: bool = False
) -> str:
    """The command that makes a file of text embeddings, for messages.

    Args:
        path: Path of the file.
        label_space: Its classes; None: not known.
        dim: D of the model; None: not known.
        force: Whether it replaces a file.

    Returns:
        A sentence with a shell command, and a note if one is needed.
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
    encoder = "" if dim is None else f" (and the encoder of the other sources, of {dim} dimensions)"
    return f"build them with: {command}{encoder}"


def _check_dim(embeddings: TextEmbeddings, dim: int | None) -> None:
    if dim is not None and embeddings.dim != dim:
        raise UserError(
            f"expected {dim} dimensions, got {embeddings.dim} (encoder: {embeddings.encoder}); "
            "all sources of a model need one encoder"
        )


def _check_classes(classes: tuple[str, ...], label_space: LabelSpace) -> None:
    """Check that the names agree one by one; the message has the first that does not."""
    expected = label_space.classes
    what = f"label space '{label_space.name}'"
    if classes == expected:
        return
    if sorted(classes) == sorted(expected):
        first = next(i for i, (a, b) in enumerate(zip(classes, expected, strict=True)) if a != b)
        raise UserError(
            f"they hold the classes of {what} in another order: row {first} is {classes[first]!r}, "
            f"expected {expected[first]!r}"
        )
    shared = min(len(classes), len(expected))
    first = next((i for i in range(shared) if classes[i] != expected[i]), shared)
    got = repr(classes[first]) if first < len(classes) else "no more classes"
    wanted = repr(expected[first]) if first < len(expected) else "no more classes"
    raise UserError(
        f"they have {len(classes)} classes, {what} has {len(expected)}; "
        f"the first that differs is row {first}: {got}, expected {wanted}"
    )


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
