"""The recipe of the text embeddings of a vocabulary: the encoder and its input, compared field by field."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mmdataseg.errors import UserError
from mmdataseg.text.prompts import ClassPrompt


@dataclass(frozen=True, kw_only=True)
class EncoderInfo:
    """The identity of a text encoder.

    Args:
        library: The library that runs it, ``open_clip`` or ``hashing``; empty if unknown.
        model: The library's name of the architecture. For imported rows, the name that the user gave the encoder.
        weights: Tag of the weights, or name of their file.
        weights_sha256: SHA-256 of the file of weights, 64 hexadecimal digits; empty for a tag.
        quick_gelu: Whether it runs with the activation x * sigmoid(1.702 x).
        imported: Whether another program made the rows. Then only the name of the encoder is known.
    """

    library: str
    model: str = ""
    weights: str = ""
    weights_sha256: str = ""
    quick_gelu: bool = False
    imported: bool = False

    @property
    def is_stand_in(self) -> bool:
        """Whether it is a stand-in (`mmdataseg.text.hashing`), not a language model."""
        return self.library == "hashing"

    def fits(self, other: "EncoderInfo") -> bool:
        """Whether rows of both encoders may be used together.

        Weights from a file are identified by their SHA-256, whatever the name of the file. They never fit the weights
        of a tag, since these may differ. Imported rows fit any encoder.
        """
        return self.imported or other.imported or self.identity == other.identity

    @property
    def identity(self) -> tuple[Any, ...]:
        """The fields that distinguish encoders. The name of a file of weights is not one of them."""
        name = "" if self.weights_sha256 else self.weights
        return self.library, self.model, name, self.weights_sha256, self.quick_gelu

    def __str__(self) -> str:
        notes = [f"sha256 {self.weights_sha256[:16]}"] if self.weights_sha256 else []
        flags = {"quick_gelu": self.quick_gelu, "imported": self.imported, "stand-in": self.is_stand_in}
        notes += [name for name, is_set in flags.items() if is_set]
        name = " ".join(word for word in (self.library, self.model, self.weights) if word)
        return f"{name} ({', '.join(notes)})" if notes else name

    @classmethod
    def from_json(cls, value: Any) -> "EncoderInfo":
        """Read the result of ``dataclasses.asdict``.

        Raises:
            UserError: The value is not an object with these fields, or a field has another type.
        """
        expected = {field.name: field.type for field in fields(cls)}
        if not isinstance(value, Mapping) or set(value) != set(expected):
            raise UserError(f"expected an encoder as an object with the fields {list(expected)}, got {value!r}")
        wrong = [name for name, kind in expected.items() if type(value[name]) is not kind]
        if wrong:
            raise UserError(f"field {wrong[0]!r} of the encoder has the wrong type: got {value[wrong[0]]!r}")
        return cls(**value)


@dataclass(frozen=True, kw_only=True)
class TextRecipe:
    """Everything that determines the rows of a vocabulary, without the rows.

    Args:
        vocabulary: Name of the label space.
        encoder: The encoder of the texts.
        templates: Prompt templates; ``{}`` or ``{article} {}`` is replaced by the class.
        classes: K class names, as the label space spells them.
        prompts: Texts embedded for each class; empty if unknown.
        dim: D.
    """

    vocabulary: str
    encoder: EncoderInfo
    templates: tuple[str, ...]
    classes: tuple[str, ...]
    prompts: tuple[ClassPrompt, ...]
    dim: int

    @property
    def sha256(self) -> str:
        """SHA-256 of all fields."""
        return hashlib.sha256(dump_json(self.to_json()).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> "TextRecipe":
        """Read the result of `to_json`.

        Raises:
            UserError: The value does not have this form.
        """
        try:
            return cls(
                vocabulary=value["vocabulary"],
                encoder=EncoderInfo.from_json(value["encoder"]),
                templates=tuple(value["templates"]),
                classes=tuple(value["classes"]),
                prompts=read_prompts([(entry["phrases"], entry["descriptions"]) for entry in value["prompts"]]),
                dim=value["dim"],
            )
        except (KeyError, TypeError) as error:
            raise UserError(f"expected the recipe of text embeddings, got {value!r:.200}") from error


def require_same_recipe(source: str, *, config: TextRecipe, checkpoint: TextRecipe) -> None:
    """Refuse a checkpoint whose text embeddings were made in another way than the config's.

    Otherwise the rows of the checkpoint would be used, and the file of the config would be ignored. Fields that are
    unknown for either (the encoder of imported rows, prompts that are not stored) are not compared.

    Args:
        source: Name of the source.
        config: Recipe of the file that the config names.
        checkpoint: Recipe of the rows in the checkpoint.

    Raises:
        UserError: The recipes differ. The message has both values.
    """
    if not config.encoder.fits(checkpoint.encoder):
        what, wanted, got = "encoder", str(config.encoder), str(checkpoint.encoder)
    elif config.templates != checkpoint.templates:
        what, wanted, got = "templates", _brief(config.templates), _brief(checkpoint.templates)
    elif config.dim != checkpoint.dim:
        what, wanted, got = "dimension", str(config.dim), str(checkpoint.dim)
    elif config.prompts and checkpoint.prompts and config.prompts != checkpoint.prompts:
        pairs = zip(config.classes, config.prompts, checkpoint.prompts, strict=True)
        name, ours, theirs = next(entry for entry in pairs if entry[1] != entry[2])
        what, wanted, got = f"prompts of class {name!r}", str(ours), str(theirs)
    else:
        return
    raise UserError(
        f"the config's text embeddings and the checkpoint's were made with different {what}: the config's file has "
        f"{wanted!r}, the checkpoint {got!r}",
        source=source,
        remedy="use the file that the checkpoint was trained with; or move the config's file away, so that the "
        "checkpoint's embeddings are used; or, to train on with new embeddings, give the source another name",
    )


def read_prompts(value: Any) -> tuple[ClassPrompt, ...]:
    """Read prompts from pairs of phrases and descriptions.

    Raises:
        UserError: The value is not a list of such pairs.
    """
    try:
        return tuple(ClassPrompt(tuple(phrases), tuple(descriptions)) for phrases, descriptions in value)
    except UserError:
        raise
    except (TypeError, AttributeError, ValueError) as error:
        raise UserError(f"expected pairs of phrases and descriptions, got {value!r:.200}") from error


def dump_json(value: Any) -> str:
    """Return JSON without blanks, so that equal values give equal texts."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _brief(templates: tuple[str, ...]) -> str:
    more = len(templates) - 1
    return templates[0] + (f" and {more} more" if more else "")
