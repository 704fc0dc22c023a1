"""A stand-in for a text encoder. It knows which words two names share, but not what words mean."""

import functools
import hashlib
import logging
import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmdataseg.errors import UserError
from mmdataseg.text.recipe import EncoderInfo

_WORD = re.compile(r"[^\W_]+")


@functools.cache
def warn_of_stand_in() -> None:
    """Warn, once per process, that embeddings of this encoder are in use."""
    from mmengine.logging import print_log

    print_log(
        "The text embeddings are from the hashing encoder, which compares the words of class names but knows no "
        "meanings. The toy world needs no more; for other data, use embeddings of a text encoder such as CLIP "
        "(docs/text_embeddings.md).",
        logger="current",
        level=logging.WARNING,
    )


class HashingEncoder:
    """Embed names without weights: names that share words get similar directions.

    The bytes of a word's SHAKE-256 hash give a point drawn uniformly from a cube around the origin, and its direction
    is the word's embedding. So it is the same on every machine, and two different words are nearly orthogonal. A text
    is the normalised mean of its words' directions. Toy worlds and tests use it to run without weights. It is not a
    substitute for CLIP: "sofa" and "couch" have nothing in common here.

    Args:
        dim: D, the length of an embedding.

    Raises:
        UserError: ``dim`` is below 1.
    """

    info = EncoderInfo(library="hashing")

    def __init__(self, *, dim: int = 512) -> None:
        if dim < 1:
            raise UserError(f"hashing encoder: expected dim of at least 1, got {dim}")
        self.dim = dim
        self._directions: dict[str, Tensor] = {}

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Embed texts.

        Args:
            texts: K names or phrases; case and punctuation do not matter.

        Returns:
            (K, D) float32, rows of unit length, on the CPU.

        Raises:
            UserError: A text has no letter or digit.
        """
        return torch.stack([self._embed(text) for text in texts]) if texts else torch.zeros(0, self.dim)

    def _embed(self, text: str) -> Tensor:
        words = _WORD.findall(text.lower())
        if not words:
            raise UserError(f"hashing encoder: expected a text with at least one letter or digit, got {text!r}")
        return torch.nn.functional.normalize(torch.stack([self._direction(word) for word in words]).mean(0), dim=0)

    def _direction(self, word: str) -> Tensor:
        if word not in self._directions:
            draws = np.frombuffer(hashlib.shake_256(word.encode()).digest(4 * self.dim), dtype="<u4")
            cube = torch.from_numpy((draws + 0.5) / 2.0**31 - 1.0)
            self._directions[word] = torch.nn.functional.normalize(cube, dim=0).float()
        return self._directions[word]
