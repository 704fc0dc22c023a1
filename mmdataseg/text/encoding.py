"""Converts prompts to the classifier matrix of a label space (Gu et al., 2023, text classifier)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from mmdataseg.errors import MissingFileError, UserError, naming
from mmdataseg.progress import progress_bar
from mmdataseg.text.embeddings import TextEmbeddings
from mmdataseg.text.hashing import HashingEncoder, warn_of_stand_in
from mmdataseg.text.open_clip import OpenClipEncoder
from mmdataseg.text.prompts import ClassPrompt, default_prompts
from mmdataseg.text.recipe import EncoderInfo
from mmdataseg.text.templates import fill_template


class TextEncoder(Protocol):
    """The interface of `OpenClipEncoder` and `HashingEncoder`."""

    @property
    def info(self) -> EncoderInfo:
        """The identity of the encoder, for the file's metadata."""

    @property
    def dim(self) -> int:
        """D, the length of an embedding."""

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Embed N texts. Return (N, D) float32, rows of unit length, on the CPU."""


def find_encoder(
    info: EncoderInfo, *, dim: int, pretrained: str | None = None, device: str | torch.device | None = None
) -> TextEncoder:
    """Return the encoder that made given text embeddings, to embed further texts in the same way. Warn of a stand-in.

    Args:
        info: Identity of the encoder.
        dim: D of its rows.
        pretrained: A file of open_clip's weights. It is needed if the rows were made with weights from a file, and must
            have the same SHA-256. If they were made with the weights of a tag, the file is assumed to hold these.
        device: Device to encode on; None: a GPU if there is one.

    Raises:
        UserError: The rows were imported; they were made with weights from a file and ``pretrained`` is not that file;
            or the encoder needs no weights, but ``pretrained`` is given.
        MissingFileError: There is no file ``pretrained``.
        ImportError: open_clip is needed and not installed.
    """
    if info == HashingEncoder.info:
        if pretrained is not None:
            raise UserError(f"'{info}' has no weights", file=pretrained, remedy="leave pretrained out")
        warn_of_stand_in()
        return HashingEncoder(dim=dim)
    if pretrained is not None and not Path(pretrained).is_file():
        raise MissingFileError(f"no such file; expected the weights of '{info}', in a file", file=pretrained)
    by_hand = "embed them with tools/text_embeddings.py and the same encoder, and give that file of embeddings"
    if info.imported or info.library != OpenClipEncoder.library:
        raise UserError(
            f"new words cannot be embedded with '{info}', which is not an open_clip encoder", remedy=by_hand
        )
    if not info.weights_sha256 and pretrained is None:
        return OpenClipEncoder(model=info.model, pretrained=info.weights, device=device)
    if pretrained is None:
        raise UserError(
            f"the embeddings were made by '{info}', with weights from a file",
            remedy=f"give that file as pretrained, or {by_hand}",
        )
    encoder = OpenClipEncoder(model=info.model, pretrained=pretrained, quick_gelu=info.quick_gelu, device=device)
    if info.weights_sha256 and not encoder.info.fits(info):
        raise UserError(
            f"has the weights '{encoder.info}', but the embeddings were made by '{info}'",
            file=pretrained,
            remedy=f"give the file with these weights, or {by_hand}",
        )
    return encoder


def embed_classes(
    encoder: TextEncoder,
    classes: Sequence[str],
    *,
    vocabulary: str = "",
    templates: Sequence[str] = ("{}",),
    prompts: Sequence[ClassPrompt] | None = None,
    batch_size: int = 256,
    progress: bool = False,
) -> TextEmbeddings:
    """Embed K class names, in (K, D) rows of unit length.

    Args:
        encoder: Embeds texts.
        classes: K names as the label space spells them.
        vocabulary: Name of the label space.
        templates: Prompt templates.
        prompts: Texts to embed for each class; None: `default_prompts`.
        batch_size: Number of texts that the encoder gets at once.
        progress: Show a bar.
    """
    prompts = default_prompts(classes) if prompts is None else prompts
    return TextEmbeddings(
        matrix=embed_prompts(encoder, prompts, templates=templates, batch_size=batch_size, progress=progress),
        classes=tuple(classes),
        encoder=encoder.info,
        templates=tuple(templates),
        prompts=tuple(prompts),
        vocabulary=vocabulary,
    )


def embed_prompts(
    encoder: TextEncoder,
    prompts: Sequence[ClassPrompt],
    *,
    templates: Sequence[str],
    batch_size: int = 256,
    progress: bool = False,
) -> Tensor:
    """Average the embeddings of each class's sentences.

    The mean over the templates of a phrase is normalised, as in ViLD and CLIP. Then the mean over the phrases and
    descriptions of a class is normalised, so that each synonym has the same weight (our choice).

    Args:
        encoder: Embeds texts.
        prompts: Texts to embed for each of K classes.
        templates: Prompt templates for the phrases.
        batch_size: Number of texts that the encoder gets at once.
        progress: Show a bar.

    Returns:
        (K, D) float32, rows of unit length, on the CPU.

    Raises:
        UserError: The batch size is below 1.
    """
    if batch_size < 1:
        raise UserError(f"expected a batch size of at least 1, got {batch_size}")
    texts: list[str] = []
    phrase_of_text: list[int] = []
    class_of_phrase: list[int] = []
    for index, prompt in enumerate(prompts):
        groups = [[fill_template(t, phrase) for t in templates] for phrase in prompt.phrases]
        for group in groups + [[description] for description in prompt.descriptions]:
            phrase_of_text.extend([len(class_of_phrase)] * len(group))
            class_of_phrase.append(index)
            texts.extend(group)

    sum_by_phrase = torch.zeros(len(class_of_phrase), encoder.dim)
    with progress_bar(total=len(texts), unit="texts", disable=not progress) as bar:
        for start in range(0, len(texts), batch_size):
            batch = texts[start : start + batch_size]
            sum_by_phrase.index_add_(0, torch.tensor(phrase_of_text[start : start + batch_size]), encoder(batch))
            bar.update(len(batch))
    sum_by_class = torch.zeros(len(prompts), encoder.dim)
    sum_by_class.index_add_(0, torch.tensor(class_of_phrase, dtype=torch.long), normalize(sum_by_phrase, dim=1))
    return normalize(sum_by_class, dim=1)


def import_matrix(
    path: str | Path,
    classes: Sequence[str],
    *,
    encoder: str,
    vocabulary: str = "",
    templates: Sequence[str] = ("{}",),
    prompts: Sequence[ClassPrompt] = (),
) -> TextEmbeddings:
    """Import embeddings that another program made.

    Args:
        path: A ``.npy`` file of shape (K, D); its rows are scaled to unit length.
        classes: K names, in the order of the rows.
        encoder: Name of their encoder.
        vocabulary: Name of the label space.
        templates: Their prompt templates.
        prompts: Texts embedded for each class; empty if unknown.

    Raises:
        MissingFileError: There is no such file.
        UserError: The file is not a ``.npy`` file of numbers, does not have one row per class, or has a row that is
            zero or not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"no such file; expected a .npy file of {len(classes)} rows", file=path)
    try:
        rows = torch.from_numpy(np.load(path, allow_pickle=False).astype(np.float32))
    except (ValueError, EOFError, TypeError) as error:
        raise UserError(f"expected a .npy file of numbers, but reading it failed: {error}", file=path) from error
    if rows.ndim != 2 or len(rows) != len(classes):
        raise UserError(
            f"expected one row for each of {len(classes)} classes, got shape {tuple(rows.shape)}", file=path
        )
    with naming(file=path):
        return TextEmbeddings(
            matrix=normalize(rows, dim=1),
            classes=tuple(classes),
            encoder=EncoderInfo(library="", model=encoder, imported=True),
            templates=tuple(templates),
            prompts=tuple(prompts),
            vocabulary=vocabulary,
        )
