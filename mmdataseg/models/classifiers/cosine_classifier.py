"""Classification by cosines between class embeddings and a vector for each class.

Letters: K classes of a vocabulary, D text dimension.
"""

import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdataseg.errors import UserError
from mmdataseg.ops.linear import linear

INITIAL_SCALE = 1 / 0.07  # CLIP's (Radford et al., 2021)
LARGEST_SCALE = 100.0  # CLIP's, too
SHORTEST = 1e-12  # length of an embedding below which its cosines tend to 0, as in `F.normalize`


class CosineClassifier(BaseModule):
    """logits[k] = s cos(e, v_k) and logits[K] = s cos(e, background).

    s is learnable and at most 100, as in CLIP (ours; the paper gives none). It starts at CLIP's 1 / 0.07, or where a
    subclass sets it. Subclasses provide the class vectors.

    Args:
        embed_dim: D.
        owners: None: one learnable background for all sources (Gu et al., 2023). Otherwise, for each source, the source
            whose background it uses.
        normalize: Whether the logits are cosines times s. False: they are s <e, v / |v|>, so that the length of a class
            embedding expresses how sure the proposal is; s then starts at 1. Every linear class layer has an exact
            equivalent of this form (`mmdataseg.ops.class_layer`).
    """

    def __init__(self, *, embed_dim: int, owners: Mapping[str, str] | None = None, normalize: bool = True) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.normalize = normalize
        self._owners = owners
        names = ["background"] if owners is None else [f"background_{name}" for name in sorted(set(owners.values()))]
        for name in names:
            self.register_parameter(name, nn.Parameter(F.normalize(torch.randn(embed_dim), dim=0)))
        self.log_scale = nn.Parameter(torch.tensor(math.log(INITIAL_SCALE) if normalize else 0.0))

    def start_at(self, scale: float) -> None:
        """Set s before a training.

        Raises:
            UserError: The scale is not over 0 and at most 100.
        """
        if not 0 < scale <= LARGEST_SCALE:
            raise UserError(f"initial_scale: expected a number over 0 and at most {LARGEST_SCALE:g}, got {scale}")
        self.log_scale.data.fill_(math.log(scale))

    def check_complete(self) -> None:
        """Check early that nothing is missing that would be used much later."""

    @abstractmethod
    def matrix(self, source: str) -> Tensor:
        """(K, D) vectors of a source's classes, of any length; each classifier has its own."""

    def background_of(self, source: str | None) -> Tensor:
        """(D,) the background of a source; None: the one that all share.

        Raises:
            UserError: Each source has its own background, and ``source`` is not one of them.
        """
        if self._owners is None:
            return self.background
        if source not in self._owners:
            raise UserError(
                f"each source has its own background: expected one of {list(self._owners)}, got {source!r}; name the "
                "source whose background to use"
            )
        return self.get_parameter(f"background_{self._owners[source]}")

    def forward(self, class_embeds: Tensor, text_KD: Tensor, source: str | None = None) -> Tensor:
        """Class logits over any vocabulary.

        Args:
            class_embeds: (..., D), any length.
            text_KD: (K, D), any length: text embeddings of the classes, or other vectors for them.
            source: The source whose background is used; needed if each source has its own.

        Returns:
            (..., K + 1) float32, background last.

        Raises:
            UserError: As in `background_of`.
        """
        with torch.autocast(class_embeds.device.type, enabled=False):  # cosines times 100 need float32
            embeds = class_embeds.float()
            logits = linear(embeds, self.vectors(text_KD, source))
            if self.normalize:  # the K + 1 products, not the D channels of each embedding
                logits = logits / torch.linalg.vector_norm(embeds, dim=-1, keepdim=True).clamp(min=SHORTEST)
            return self._scale() * logits

    def vectors(self, text_KD: Tensor, source: str | None) -> Tensor:
        """The vectors whose products with class embeddings are the logits, up to the scale; arguments as in `forward`.

        Returns:
            (K + 1, D) float32 unit rows, background last.

        Raises:
            UserError: As in `background_of`.
        """
        return F.normalize(torch.cat([text_KD.float(), self.background_of(source).float()[None]]), dim=-1)

    def _scale(self) -> Tensor:
        """(), s; the parameter itself is clamped, as in CLIP: above the cap it would get no gradient."""
        if self.training:
            self.log_scale.data.clamp_(max=math.log(LARGEST_SCALE))
        return self.log_scale.float().clamp(max=math.log(LARGEST_SCALE)).exp()


def initial_scale_of(vocabularies: Iterable[Tensor]) -> float:
    """Return a scale that makes up for the similarity of the class vectors.

    If a class embedding is equal to the vector v_k of its class, its logit is s (1 - cos(v_k, v_j)) above that of class
    j. For orthogonal vectors and s = 1 / 0.07, this margin is 1 / 0.07. The scale returned gives the same margin in the
    mean over all pairs of classes. CLIP's text embeddings have a mean cosine of about 0.8, so s starts at about 70;
    CLIP's own training ended at 100.

    Args:
        vocabularies: (K, D) vectors of each vocabulary, of any length. A vocabulary with a single class has no pair and
            is left out.

    Returns:
        s, at most 100; 1 / 0.07 if no vocabulary has a pair of classes.
    """
    means = []
    for vectors_KD in vocabularies:
        number = len(vectors_KD)
        if number > 1:
            unit_KD = F.normalize(vectors_KD.double(), dim=1)
            means.append((unit_KD.sum(0).square().sum().item() - number) / (number * (number - 1)))
    if not means:
        return INITIAL_SCALE
    margin = 1 - sum(means) / len(means)
    return min(INITIAL_SCALE / max(margin, 1e-6), LARGEST_SCALE)
