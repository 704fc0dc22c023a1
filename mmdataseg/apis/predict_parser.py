"""The arguments of ``predict``, and the checks on them that take milliseconds, before torch is imported."""

import os
import re
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdataseg.apis.config_files import find_config
from mmdataseg.apis.image_paths import VIDEO_SUFFIXES, check_paths
from mmdataseg.apis.parser import Parser
from mmdataseg.errors import MissingFileError, UserError

TASKS = ("panoptic", "semantic", "instance")
SAVED = ("pictures", "masks", "coco", "json", "csv", "video")
WEIGHTS = (".pth", ".pt", ".bin", ".safetensors", ".ckpt")
# of predict and test
NEW_WORDS_WEIGHT: Mapping[str, Any] = {
    "type": float,
    "metavar": "X",
    "help": "multiply the odds of words that the model was not trained on by X (default: 1, which changes nothing)",
}
BFLOAT16: Mapping[str, Any] = {
    "action": "store_true",
    "help": "run the network in bfloat16: faster on CPUs with AVX512-BF16 or AMX if the network is large, with "
    "slightly different results",
}

EXAMPLES = """Segment images, with the classes of the training or with class names of your own.

  {prog} model.pth photos --things dog "red car" --stuff road sky
  {prog} model.pth photos/*.jpg --tasks semantic instance --save coco csv --batch-size 4
  {prog} model.pth street.mp4 --things car person --save video
"""


def build_predict_parser(prog: str | None = None) -> ArgumentParser:
    """Build the parser of ``predict``, without ``--cfg-options``, which needs mmengine."""
    parser = Parser(
        prog=prog,
        description=EXAMPLES.format(prog=prog or "python -m mmdataseg predict"),
        formatter_class=RawDescriptionHelpFormatter,
        usage="%(prog)s [CONFIG] CHECKPOINT IMAGE [IMAGE ...] [options]",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="[CONFIG] CHECKPOINT IMAGE",
        help="a checkpoint, then images: files, folders, patterns, addresses, videos, or a camera number. To replace "
        "the config in the checkpoint, put a .py file or the name of one of mmdataseg's configs before it",
    )
    _add_questions(parser)
    _add_outputs(parser)
    _add_resources(parser)
    return parser


def _add_questions(parser: ArgumentParser) -> None:
    asked = parser.add_argument_group("what to look for (default: the classes of the source)")
    asked.add_argument("--things", nargs="+", default=[], metavar="WORD", help="class names of countable objects")
    asked.add_argument(
        "--stuff", nargs="+", default=[], metavar="WORD", help="class names of everything else, such as sky"
    )
    asked.add_argument(
        "--embeddings", metavar="FILE", help="embedded class names, from tools/text_embeddings.py or Vocabulary.save"
    )
    asked.add_argument("--new-words-weight", **NEW_WORDS_WEIGHT)
    asked.add_argument("--pretrained", metavar="PATH", help="weights of the text encoder, if not in open_clip's cache")
    asked.add_argument(
        "--tasks",
        nargs="+",
        choices=TASKS,
        help="one or more (default: panoptic with names of your own, else that of the source)",
    )
    asked.add_argument("--source", help="source of the model whose test pipeline to use (default: the first with one)")
    asked.add_argument(
        "--min-score", type=float, default=0.3, help="leave out instances with a lower score (default: %(default)s)"
    )


def _add_outputs(parser: ArgumentParser) -> None:
    written = parser.add_argument_group("what to write")
    written.add_argument(
        "--save",
        nargs="+",
        choices=SAVED,
        default=["pictures", "coco"],
        help="pictures: image and segments side by side; masks: one PNG per segment; coco: JSON and PNGs in COCO's "
        "format; json, csv: all segments in one file; video: the frames of a video with their segments (default: "
        "pictures coco)",
    )
    written.add_argument(
        "--out",
        default="predictions",
        metavar="FOLDER",
        help="output folder; the same command continues an interrupted run there (default: %(default)s)",
    )
    written.add_argument("--show", action="store_true", help="also show each image on the screen; q quits")


def _add_resources(parser: ArgumentParser) -> None:
    running = parser.add_argument_group("how to run")
    running.add_argument("--batch-size", type=int, default=1, help="images per forward pass (default: %(default)s)")
    running.add_argument("--device", help="default: a GPU if there is one")
    running.add_argument("--bfloat16", **BFLOAT16)
    running.add_argument(
        "--max-pixels", type=int, default=100_000_000, help="leave out larger images (default: %(default)s)"
    )
    running.add_argument(
        "--trust-checkpoint", action="store_true", help="run code stored in the checkpoint; only for your own files"
    )


def split_inputs(words: Sequence[str]) -> tuple[Path | None, str, list[str]]:
    """Split the positional arguments into config, checkpoint and images.

    Args:
        words: ``[CONFIG] CHECKPOINT IMAGE ...``.

    Returns:
        The path of the config or None, the checkpoint, and the images.

    Raises:
        FileNotFoundError: The config or the checkpoint does not exist.
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
    return not ("://" in word or word.endswith(WEIGHTS) or Path(word).exists()) and "." not in Path(word).name


def check_words(*, things: Sequence[str], stuff: Sequence[str], embeddings: str | None) -> list[str]:
    """Check the user's words, as far as that is possible without the model.

    Args:
        things: Values of ``--things``.
        stuff: Values of ``--stuff``.
        embeddings: Value of ``--embeddings``.

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


def check_files(*, images: Sequence[str], embeddings: str | None, pretrained: str | None) -> None:
    """Check that the input files exist.

    Args:
        images: Paths, patterns, addresses or camera numbers.
        embeddings: Value of ``--embeddings``.
        pretrained: Value of ``--pretrained``.

    Raises:
        MissingFileError: A path does not exist.
    """
    check_paths(images)
    for file in (embeddings, pretrained):
        if file is not None and not Path(file).is_file():
            raise MissingFileError(f"'{file}' does not exist", remedy="check the path")


def check_outputs(*, images: Sequence[str], save: Sequence[str], show: bool) -> None:
    """Check that the requested outputs can be written and shown.

    Args:
        images: Paths, patterns, addresses or camera numbers.
        save: Values of ``--save``.
        show: Value of ``--show``.

    Raises:
        UserError: ``--save video`` without a video or camera among the images, or ``--show`` without a screen.
    """
    moving = [text for text in images if text.lower().endswith(VIDEO_SUFFIXES) or text.isdecimal()]
    if "video" in save and not moving:
        raise UserError("--save video needs a video or a camera among the images", remedy="save pictures instead")
    if show and sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UserError("--show needs a screen, and there is none", remedy="leave it out: --save pictures writes them")
