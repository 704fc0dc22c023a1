"""A vocabulary: words that images are asked about, embedded once and kept in a file."""

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
    """Words with their vectors; a value that can be used for any number of images, and by several models.

    Args:
        label_space: Its name, its K words, and which of them are things.
        vectors_KD: (K, D) vectors of the words, in their order.
        text: The same with how the words were embedded; None: the classes were learned, without text.
    """

    label_space: LabelSpace
    vectors_KD: Tensor
    text: TextEmbeddings | None = None

    def __len__(self) -> int:
        return len(self.label_space)

    @property
    def name(self) -> str:
        """The name of its label space."""
        return self.label_space.name

    @classmethod
    def of(cls, text: TextEmbeddings, *, name: str, stuff: Sequence[str] = ()) -> "Vocabulary":
        """A vocabulary of embedded words.

        Args:
            text: The words and their vectors.
            name: Of the vocabulary.
            stuff: Those of the words that cannot be counted, such as sky; the others are things.

        Raises:
            UserError: One of ``stuff`` is not among the words, or a word appears twice.
        """
        given = {word.strip() for word in stuff}
        classes = tuple(word.strip() for word in text.classes)
        space = LabelSpace(name=name, classes=classes, is_thing=tuple(word not in given for word in classes))
        space.index(stuff)
        return cls(label_space=space, vectors_KD=text.matrix, text=text)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write it as a file of text embeddings, which also says which words are things.

        Args:
            path: A ``.safetensors`` file; one that exists is replaced.

        Returns:
            The path.

        Raises:
            UserError: Its classes were learned; there is no text that another model could use.
        """
        if self.text is None:
            raise UserError(
                f"vocabulary {self.name!r}: its classes were learned without text and belong to one model",
                remedy="save a vocabulary of words instead",
            )
        return save_embeddings(Path(path), self.text, is_thing=self.label_space.is_thing)

    @classmethod
    def load(cls, path: str | PathLike[str], *, stuff: Sequence[str] | None = None) -> "Vocabulary":
        """Read a file of `save`, or of ``tools/text_embeddings.py``.

        Args:
            path: The file.
            stuff: Those of its words that cannot be counted; None: as the file says, or none if it does not say.

        Raises:
            MissingFileError: There is no such file.
            UserError: As `mmdataseg.text.embeddings.load_embeddings`; or one of ``stuff`` is not among the words.
        """
        text = load_embeddings(Path(path))
        flags = read_thing_flags(Path(path)) if stuff is None else None
        if flags is not None:
            stuff = [word for word, is_thing in zip(text.classes, flags, strict=True) if not is_thing]
        return cls.of(text, name=text.vocabulary or Path(path).stem, stuff=stuff or ())
