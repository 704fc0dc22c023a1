"""Checks on the arguments of ``predict`` that take milliseconds, before torch is imported."""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from mmdataseg.apis.config.files import find_config
from mmdataseg.apis.images.paths import VIDEO_SUFFIXES
from mmdataseg.errors import MissingFileError, UserError

_WEIGHTS = (".pth", ".pt", ".bin", ".safetensors", ".ckpt")


def split_inputs(words: Sequence[str]) -> tuple[Path | None, str, list[str]]:
    """Split ``[CONFIG] CHECKPOINT IMAGE ...`` into the path of the config or None, the checkpoint, and the images.

    Raises:
        MissingFileError: The config or the checkpoint does not exist.
        UserError: There are too few arguments, or the checkpoint is a folder.
    """
    config = find_config(words[0]) if is_config(words[0]) else None
    rest = list(words if config is None else words[1:])
    if len(rest) < 2:
        raise UserError(
            f"expected a checkpoint and at least one image, got only {' '.join(words)!r}",
            remedy="give CHECKPOINT IMAGE ..., such as model.pth photos",
        )
    checkpoint, images = rest[0], rest[1:]
    if Path(checkpoint).is_dir():
        raise UserError(f"'{checkpoint}' is a folder; expected a checkpoint", remedy="the checkpoint comes first")
    if "://" not in checkpoint and not Path(checkpoint).is_file():
        raise MissingFileError(f"checkpoint '{checkpoint}' does not exist", remedy="check the path")
    return config, checkpoint, images


def is_config(word: str) -> bool:
    """Whether an argument names a config rather than a checkpoint."""
    if word.endswith(".py"):
        return True
    return not ("://" in word or word.endswith(_WEIGHTS) or Path(word).exists()) and "." not in Path(word).name


def check_words(*, things: Sequence[str], stuff: Sequence[str], embeddings: str | None) -> list[str]:
    """Check the user's words, as far as that is possible without the model.

    Returns:
        Warnings about words that may not mean what the user intended.

    Raises:
        UserError: A word is empty or appears twice, or both ``--things`` and ``--embeddings`` are given.
    """
    if things and embeddings is not None:
        raise UserError("--things and --embeddings are both given", remedy="leave one out: the file has its own words")
    options = {"--things": [word.strip() for word in things], "--stuff": [word.strip() for word in stuff]}
    words = [word for given in options.values() for word in given]
    if "" in words:
        raise UserError("a word of --things or --stuff is empty", remedy="leave it out")
    twice = sorted({word for word in words if words.count(word) > 1})
    if twice:
        where = " and ".join(option for option, given in options.items() if twice[0] in given)
        raise UserError(f"word {twice[0]!r} appears twice in {where}", remedy="give it once")
    return [
        f"{word!r} is one word with {len(re.split('[,/]', word))} synonyms; for several words, put each in its own "
        "quotation marks, without commas"
        for word in words
        if "," in word
    ]


def check_files(*files: str | None) -> None:
    """Check that the given files exist.

    Raises:
        MissingFileError: A file does not exist.
    """
    for file in files:
        if file is not None and not Path(file).is_file():
            raise MissingFileError(f"'{file}' does not exist", remedy="check the path")


def check_outputs(*, images: Sequence[str], save: Sequence[str], show: bool) -> None:
    """Check that the requested outputs can be written and shown.

    Raises:
        UserError: ``--save video`` without a video or camera among the images, or ``--show`` without a screen.
    """
    moving = [text for text in images if text.lower().endswith(VIDEO_SUFFIXES) or text.isdecimal()]
    if "video" in save and not moving:
        raise UserError("--save video needs a video or a camera among the images", remedy="save pictures instead")
    if show and sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UserError("--show needs a screen, and there is none", remedy="leave it out: --save pictures writes them")
