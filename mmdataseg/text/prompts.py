"""Converts class names, as datasets spell them, to phrases for a text encoder.

Annotations are matched by the names on disk ("Moniter/TV", "floor-other-merged"), while an encoder gets words
("monitor", "tv", "floor"). A class may have several phrases (synonyms), which go into the prompt templates, and
descriptions, which are whole sentences and are encoded as they are.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmdataseg.errors import MissingFileError, UserError
from mmdataseg.formats.json_files import read_json
from mmdataseg.formats.text_files import read_lines

# Corrections of misspellings and of words that mislead without context, by the name on disk. Those for Objects365 were
# compared with the list in facebookresearch/Detic; version 1 of the dataset calls "French" "french horn".
_CORRECTIONS = {
    "Moniter/TV": "monitor/tv",
    "Bakset": "basket",
    "Ballon": "balloon",
    "Billards": "billiards",
    "Buttefly": "butterfly",
    "Campel": "camel",
    "Cutting/chopping Board": "cutting board/chopping board",
    "Dinning Table": "dining table",
    "Extention Cord": "extension cord",
    "French": "french horn",
    "Hamimelon": "hami melon",
    "Head Phone": "headphone",
    "Hotair ballon": "hot air balloon",
    "Meat ball": "meatball",
    "Mushroon": "mushroom",
    "Noddles": "noodles",
    "Skiboard": "skis",
    "Table Teniis paddle": "table tennis paddle",
    "Tape Measur/ Ruler": "tape measure/ruler",
    "Tea pot": "teapot",
    "Tong": "tongs",
    "Trash bin Can": "trash bin/trash can",
    # ADE20K, LVIS, Pascal Context
    "conveyer belt": "conveyor belt",
    "baguet": "baguette",
    "casette recorder": "cassette recorder",
    "fire place": "fireplace",
    "pottedplant": "potted plant",
    "sunglass": "sunglasses",
    "tvmonitor": "tv monitor",
    "wineglass": "wine glass",
    # COCO
    "playingfield": "playing field",
    "window-blind": "window blind",
}
# COCO panoptic marks merged classes ("sky-other-merged", "water-other") and stuff with the name of a thing
# ("door-stuff").
_COCO_SUFFIX = re.compile(r"(-other)?(-merged)?(-stuff)?$")
# COCO-Stuff puts the material last: "wall-brick", "floor-wood".
_MATERIAL_LAST = re.compile(r"^(wall|floor|ceiling)-(\w+)$")


@dataclass(frozen=True)
class ClassPrompt:
    """The texts embedded for one class: its phrases, each in every template, and its descriptions. They are averaged.

    Args:
        phrases: Synonyms, for the templates.
        descriptions: Whole sentences, encoded as they are.

    Raises:
        UserError: There is neither a phrase nor a description, or one is empty.
    """

    phrases: tuple[str, ...]
    descriptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        texts = self.phrases + self.descriptions
        if not texts:
            raise UserError("expected at least one phrase or description, got none")
        if any(not text.strip() for text in texts):
            raise UserError(f"expected phrases and descriptions that are not empty, got {list(texts)}")


def prompt_phrases(name: str) -> tuple[str, ...]:
    """Return the phrases for a class name of a dataset.

    Args:
        name: The name on disk.

    Returns:
        One phrase, or one per alternative that "/" or "," separates. A phrase is in lower case (CLIP's tokenizer
        ignores case), with spaces for underscores, without COCO's "-merged", "-other" and "-stuff", and with known
        misspellings corrected.

    Raises:
        UserError: The name has no word.
    """
    name = name.strip()
    alternatives = re.split(r"[/,]", _CORRECTIONS.get(name, name))
    phrases = tuple(dict.fromkeys(phrase for phrase in map(_clean, alternatives) if phrase))
    if not phrases:
        raise UserError(f"expected a class name with at least one word, got {name!r}")
    return phrases


def default_prompts(classes: Sequence[str]) -> tuple[ClassPrompt, ...]:
    """Return the prompts of classes of which only the names are known."""
    return tuple(ClassPrompt(prompt_phrases(name)) for name in classes)


def read_class_file(path: str | Path) -> tuple[tuple[str, ...], tuple[ClassPrompt, ...]]:
    """Read a user's own vocabulary from a file.

    Args:
        path: ``.txt``: one class name per line; empty lines and lines that start with "#" are skipped. ``.json``: a
            list of names, or an object ``{name: entry}`` with entries as in `read_synonyms`.

    Returns:
        The class names, and the prompt of each.

    Raises:
        MissingFileError: There is no such file.
        UserError: The file is in neither of these formats or has no class, or a name appears twice.
    """
    path = Path(path)
    if path.suffix == ".json":
        value = _read_json(path)
    else:
        value = [line for line in read_lines(_existing(path)) if not line.startswith("#")]
    names, entries = list(value), value if isinstance(value, dict) else {}
    wrong = [name for name in names if not isinstance(name, str) or not name.strip()]
    if wrong:
        raise UserError(f"expected class names, got {wrong[0]!r}", file=path, remedy="correct it")
    classes = tuple(name.strip() for name in names)
    twice = sorted({name for name in classes if classes.count(name) > 1})
    if twice:
        raise UserError(f"class {twice[0]!r} appears twice", file=path, remedy="remove one entry")
    if not classes:
        raise UserError("expected at least one class, got none", file=path, remedy="name one class per line")
    return classes, add_synonyms(
        classes,
        default_prompts(classes),
        {name.strip(): _entry(entry, name, path) for name, entry in entries.items()},
    )


def read_synonyms(path: str | Path) -> dict[str, dict[str, tuple[str, ...]]]:
    """Read synonyms and descriptions of classes.

    Args:
        path: JSON, ``{class name: [synonym, ...]}`` or ``{class name: {"phrases": [...], "synonyms": [...],
            "descriptions": [...]}}``. ``phrases`` replace those made from the name, ``synonyms`` are added to them.
            Every key is optional.

    Returns:
        Class name -> the given lists.

    Raises:
        MissingFileError: There is no such file.
        UserError: The file does not have this format.
    """
    path = Path(path)
    value = _read_json(path)
    if not isinstance(value, Mapping):
        raise UserError("expected an object {class name: [synonym, ...]}, got a list", file=path, remedy="correct it")
    return {name.strip(): _entry(entry, name, path) for name, entry in value.items()}


def add_synonyms(
    classes: Sequence[str],
    prompts: Sequence[ClassPrompt],
    synonyms: Mapping[str, Mapping[str, tuple[str, ...]]],
) -> tuple[ClassPrompt, ...]:
    """Add synonyms and descriptions to the prompts of their classes.

    Args:
        classes: K class names.
        prompts: The prompts of the K classes.
        synonyms: Class name -> lists, of `read_synonyms`.

    Returns:
        The K prompts, with the additions.

    Raises:
        UserError: The synonyms have a class that is not among the classes.
    """
    unknown = sorted(set(synonyms) - set(classes))
    if unknown:
        raise UserError(
            f"synonyms are given for {unknown[0]!r}, which is not among the {len(classes)} classes; "
            "spell it as the label space does"
        )
    added = []
    for name, prompt in zip(classes, prompts, strict=True):
        entry = synonyms.get(name, {})
        phrases = entry.get("phrases", prompt.phrases) + entry.get("synonyms", ())
        descriptions = prompt.descriptions + entry.get("descriptions", ())
        added.append(replace(prompt, phrases=tuple(dict.fromkeys(phrases)), descriptions=descriptions))
    return tuple(added)


def _clean(phrase: str) -> str:
    phrase = _COCO_SUFFIX.sub("", phrase.strip())
    phrase = _MATERIAL_LAST.sub(r"\2 \1", phrase)
    return " ".join(phrase.replace("_", " ").lower().split())


def _entry(entry: Any, name: str, path: Path) -> dict[str, tuple[str, ...]]:
    """Return the lists of a class, with the keys of `read_synonyms`."""
    lists = entry if isinstance(entry, Mapping) else {"synonyms": entry}
    known = ("phrases", "synonyms", "descriptions")
    unknown = sorted(set(lists) - set(known))
    if unknown:
        raise UserError(
            f"class {name!r}: unknown key {unknown[0]!r}", file=path, remedy=f"expected some of {list(known)}"
        )
    for key, texts in lists.items():
        if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
            raise UserError(
                f"class {name!r}: expected {key!r} to be a list of texts, got {texts!r}", file=path, remedy="correct it"
            )
    return {key: tuple(text.strip() for text in texts) for key, texts in lists.items()}


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise MissingFileError("no such file; expected class names, as text or JSON", file=path)
    return path


def _read_json(path: Path) -> Any:
    value = read_json(_existing(path))
    if not isinstance(value, list | dict):
        raise UserError(f"expected a JSON list or object, got {value!r}", file=path, remedy="correct it")
    return value
