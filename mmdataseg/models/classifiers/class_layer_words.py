"""The words that a converted class layer was trained on, with the vectors that give exactly its logits.

Letters: K words and J = K + 1 with the background last; N classes of a vocabulary and M = N + 1 with the background
last; D text dimension.
"""

import torch
from torch import Tensor, nn

from mmdataseg.ops.class_layer import same_rows


class ClassLayerWords(nn.Module):
    """Words that come with a checkpoint that ``convert`` wrote. In any other checkpoint their tensor is empty or 0.

    A ridge makes new words better and the words of the original model a little worse. These vectors undo the latter
    (`mmdataseg.ops.class_layer.exact_vectors`). They fit the converted weights only, so a training step discards them.

    A copy that averages the weights of a training, such as that of mmengine's ``EMAHook``, makes no training step. It
    copies the tensors instead, by values. So discarded words keep their shape and become 0, in one tensor that is both
    a buffer and the extra state: the copy discards them, too, whichever of the two it copies. That tensor is never
    replaced by another one, because a copy that was made before a checkpoint was loaded still refers to it.

    Args:
        embed_dim: D.
    """

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        # K text embeddings, then K + 1 vectors
        self.register_buffer("rows", torch.zeros(0, embed_dim), persistent=False)

    def __len__(self) -> int:
        return len(self.rows) // 2 if len(self.rows) and bool(self.rows.any()) else 0

    @property
    def text_KD(self) -> Tensor:
        """(K, D) float32, the text embeddings of the words."""
        return self.rows[: len(self)]

    @property
    def vectors_JD(self) -> Tensor:
        """(K + 1, D) float32, the vectors of the words and of the background; (0, D) without words."""
        return self.rows[len(self) :] if len(self) else self.rows[:0]

    def set(self, text_KD: Tensor, vectors_JD: Tensor) -> None:
        """Remember K words, in place of any earlier ones.

        Args:
            text_KD: (K, D) float, their text embeddings, of any length.
            vectors_JD: (K + 1, D) float, their vectors, the background's last.

        Raises:
            ValueError: There is not one vector for each word and the background.
        """
        if vectors_JD.shape != (len(text_KD) + 1, text_KD.shape[1]):
            raise ValueError(
                f"expected {len(text_KD) + 1} vectors of {text_KD.shape[1]} dimensions, got {tuple(vectors_JD.shape)}"
            )
        self.rows.data = torch.cat([text_KD, vectors_JD]).detach().to(self.rows)

    def forget(self) -> None:
        """Forget all words."""
        self.rows.zero_()

    def forward(self, vectors_MD: Tensor) -> Tensor:
        """Replace known words.

        Args:
            vectors_MD: (N + 1, D) float32 unit vectors of the classes of a vocabulary, and the background's.

        Returns:
            (N + 1, D) float32, with the vectors of this module for the background and for classes that are its words.
            Without words, the same vectors.
        """
        num_words = len(self)
        if not num_words:
            return vectors_MD
        text_KD, vectors_JD = self.rows.tensor_split([num_words])
        index_N = same_rows(vectors_MD[:-1], text_KD)
        index_M = torch.cat([index_N, index_N.new_tensor([num_words])])
        return torch.where(index_M[:, None] < 0, vectors_MD, vectors_JD[index_M])

    def get_extra_state(self) -> Tensor:
        """The words for the checkpoint. Unlike a buffer, this tensor may have another size than in the checkpoint.

        Returns:
            (2 K + 1, D) float32: text embeddings, then vectors; all 0 if they were discarded; (0, D) if there were
            none. It shares its memory with the module.
        """
        return self.rows

    def set_extra_state(self, state: Tensor) -> None:
        """Take over the words of a checkpoint.

        Args:
            state: Of `get_extra_state`. Words of another D are discarded, as the class embeddings of that checkpoint do
                not fit either.

        Raises:
            ValueError: `get_extra_state` did not write the state.
        """
        if len(state) and state.shape[1:] == self.rows.shape[1:]:
            self.set(*state.tensor_split([len(state) // 2]))
        else:
            self.rows.data = self.rows.data[:0]
