"""Classification by text: cosines between class embeddings and the text embeddings of a vocabulary.

Letters: K classes of a vocabulary, D text dimension.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdataseg.registry import MODELS
from mmdataseg.sources import Source, build_sources
from mmdataseg.text.embeddings import load_embeddings

INITIAL_SCALE = 1 / 0.07  # CLIP's (Radford et al., 2021)
LARGEST_SCALE = 100.0


@MODELS.register_module()
class TextClassifier(BaseModule):
    """Frozen text embeddings of each source's classes, one learnable background for all (Gu et al., 2023, section 3.3).

    logits[k] = s cos(e, T_k) and logits[K] = s cos(e, background); s is learnable, starts at 1 / 0.07 and is at most
    100, as in CLIP (ours; the paper gives none).
    The matrices are buffers, saved with the checkpoint: a checkpoint is complete without the files.

    Args:
        sources: Sources of the run, or their configs; each names its file of embeddings.
        embed_dim: D.

    Raises:
        ValueError: Embeddings that do not fit the label space or ``embed_dim``.
    """

    def __init__(self, *, sources: Sequence[Mapping[str, Any] | Source], embed_dim: int) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.background = nn.Parameter(F.normalize(torch.randn(embed_dim), dim=0))
        self.log_scale = nn.Parameter(torch.tensor(math.log(INITIAL_SCALE)))
        self._absent: dict[str, str] = {}
        for source in build_sources(sources):
            self.register_buffer(self._buffer_name(source.name), self._read(source))

    def _read(self, source: Source) -> Tensor:
        """(K, D) unit rows; zeros where the file is absent and a checkpoint must bring them."""
        if source.embeddings is None:
            raise ValueError(
                f"source '{source.name}': embeddings is not set; name the file that tools/text_embeddings.py wrote for "
                f"label space '{source.label_space.name}'"
            )
        if not Path(source.embeddings).is_file():
            self._absent[source.name] = source.embeddings
            return torch.zeros(len(source.label_space), self.embed_dim)
        text = load_embeddings(source.embeddings, label_space=source.label_space, source=source.name)
        if text.matrix.shape[1] != self.embed_dim:
            raise ValueError(
                f"source '{source.name}': expected text embeddings of dimension {self.embed_dim} (the model's embed_dim), got "
                f"{text.matrix.shape[1]} in {source.embeddings}, made by {text.encoder}; encode all vocabularies with one encoder"
            )
        return text.matrix

    @staticmethod
    def _buffer_name(source: str) -> str:
        return f"embeddings_{source}"

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        for name in list(self._absent):
            if prefix + self._buffer_name(name) in state_dict:
                del self._absent[name]
        super()._load_from_state_dict(state_dict, prefix, *args)

    def matrix(self, source: str) -> Tensor:
        """Text embeddings of a source's classes.

        Args:
            source: Its name.

        Returns:
            (K, D) float32 unit rows.

        Raises:
            ValueError: The model was built without this source.
            FileNotFoundError: Neither its file nor a checkpoint brought its embeddings.
        """
        if source in self._absent:
            raise FileNotFoundError(
                f"source '{source}': no text embeddings at {self._absent[source]}, and no checkpoint brought them; make them with "
                "tools/text_embeddings.py"
            )
        try:
            return self.get_buffer(self._buffer_name(source))
        except AttributeError:
            known = [name.removeprefix("embeddings_") for name, _ in self.named_buffers(recurse=False)]
            raise ValueError(f"the model knows no source '{source}'; it was built with {known}") from None

    def forward(self, class_embeds: Tensor, text_KD: Tensor) -> Tensor:
        """Class logits over any vocabulary.

        Args:
            class_embeds: (..., D), any length.
            text_KD: (K, D) unit rows.

        Returns:
            (..., K + 1) float32, background last.
        """
        with torch.autocast(class_embeds.device.type, enabled=False):  # cosines times 100 want float32
            classes = F.normalize(torch.cat([text_KD.float(), self.background.float()[None]]), dim=-1)
            scale = self.log_scale.float().exp().clamp(max=LARGEST_SCALE)
            return scale * F.normalize(class_embeds.float(), dim=-1) @ classes.T
