"""A vocabulary: words to look for in images, embedded once and kept in a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from torch import Tensor

from mmdataseg.errors import UserError
from mmdataseg.structures import LabelSpace
from mmdataseg.text.embeddings import TextEmbeddings, load_embeddings, read_thing_flags, save_embeddings


@dataclass(frozen=True, eq=False, kw_only=True)
class Vocabulary:
    """Words with their vectors, for any number of images and models.

    Args:
        label_space: The name, the K words and their thing flags.
        vectors_KD: (K, D) vectors of the words, in their order.
        text: The vectors with their provenance; None: the classes were learned without text.
    """

    label_space: LabelSpace
    vectors_KD: Tensor
    text: TextEmbeddings | None = None

    def __len__(self) -> int:
        return len(self.label_space)

    @property
    def name(self) -> str:
        """The name of the label space."""
        return self.label_space.name

    @classmethod
    def of(cls, text: TextEmbeddings, *, name: str, stuff: Sequence[str] = ()) -> "Vocabulary":
        """Make a vocabulary of embedded words.

        Args:
            text: The words and their vectors.
            name: Name of the vocabulary.
            stuff: The words that are stuff, such as sky. The others are things.

        Raises:
            UserError: A word of ``stuff`` is not in the vocabulary, or a word appears twice.
        """
        given = {word.strip() for word in stuff}
        classes = tuple(word.strip() for word in text.classes)
        space = LabelSpace(name=name, classes=classes, is_thing=tuple(word not in given for word in classes))
        space.index(stuff)
        return cls(label_space=space, vectors_KD=text.matrix, text=text)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the vocabulary as a file of text embeddings with thing flags, and return its path.

        Args:
            path: A ``.safetensors`` file. An existing file is replaced.

        Raises:
            UserError: The classes were learned without text, so no other model can use them.
        """
        if self.text is None:
            raise UserError(
                f"vocabulary {self.name!r}: its classes were learned without text, so only one model can use them",
                remedy="save a vocabulary of words instead",
            )
        return save_embeddings(Path(path), self.text, is_thing=self.label_space.is_thing)

    @classmethod
    def load(cls, path: str | PathLike[str], *, stuff: Sequence[str] | None = None) -> "Vocabulary":
        """Read a file written by `save` or by ``tools/text_embeddings.py``.

        Args:
            path: The file.
            stuff: The words that are stuff. None: by the flags of the file; without flags, all words are things.

        Raises:
            MissingFileError: There is no such file.
            UserError: `mmdataseg.text.embeddings.load_embeddings` refuses the file, or a word of ``stuff`` is not in
                it.
        """
        text = load_embeddings(Path(path))
        flags = read_thing_flags(Path(path)) if stuff is None else None
        if flags is not None:
            stuff = [word for word, is_thing in zip(text.classes, flags, strict=True) if not is_thing]
        return cls.of(text, name=text.vocabulary or Path(path).stem, stuff=stuff or ())
