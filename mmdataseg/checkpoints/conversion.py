"""Mask2Former's class layer as our classifier over text.

Letters: K classes, J = K + 1 with the background last, D text dimension.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmdataseg.checkpoints.names import CLASS_LAYER
from mmdataseg.errors import UserError
from mmdataseg.ops.class_layer import background_direction, class_layer_for_vectors, exact_vectors, nearest_pair

CLASS_EMBED = "panoptic_head.class_embed.0"


@dataclass(frozen=True, eq=False, kw_only=True)
class TextLayer:
    """The parameters that replace a class layer.

    Args:
        state: Parameters of the head and the classifier.
        text_KD: (K, D) unit rows of the classes.
        vectors_JD: (K + 1, D) vectors whose products with the class embeddings are the logits of the class layer. They
            are the unit rows themselves if those are linearly dependent: then no vectors are exact.
        error: Largest difference between a weight or bias of the class layer and of its replacement, i.e. of the
            products with ``vectors_JD``; if those are exact, it is 0 except for rounding.
        text_error: The same for products with the unit rows, as new words have; without a ridge, it is ``error``.
        stretch: Norm of the map divided by that of the class layer: how much longer class embeddings are than logits.
    """

    state: Mapping[str, Tensor]
    text_KD: Tensor
    vectors_JD: Tensor
    error: float
    text_error: float
    stretch: float


def text_layer(
    state: Mapping[str, Tensor], text_KD: Tensor, *, classes: Sequence[str], ridge: float, file: str
) -> TextLayer:
    """Turn a class layer into class embeddings that are compared with text embeddings.

    Args:
        state: Parameters under mmdet's names.
        text_KD: (K, D) unit rows of the classes.
        classes: Their K names, for messages.
        ridge: As in `class_layer_for_vectors`.
        file: For messages.

    Returns:
        A linear ``class_embed``, the background, a scale of 1, and the vectors of the classes.

    Raises:
        UserError: There is not one row for each class; there are as many classes as dimensions; or two classes have the
            same text and there is no ridge.
    """
    weight_JC, bias_J = state[f"{CLASS_LAYER}.weight"], state[f"{CLASS_LAYER}.bias"]
    if len(text_KD) + 1 != len(weight_JC):
        raise UserError(f"its class layer has {len(weight_JC) - 1} classes, got {len(text_KD)} rows of text", file=file)
    if len(text_KD) >= text_KD.shape[1]:
        raise UserError(
            f"expected text embeddings of more dimensions than the {len(text_KD)} classes, got {text_KD.shape[1]}",
            file=file,
            remedy="use a larger text encoder",
        )
    background_D = background_direction(text_KD)
    vectors_JD = torch.cat([text_KD.double(), background_D[None]])
    try:
        weight_DC, bias_D = class_layer_for_vectors(weight_JC, bias_J, vectors_JD, ridge=ridge)
    except ValueError as error:
        one, other = nearest_pair(text_KD @ text_KD.T)
        raise UserError(
            f"classes {classes[one]!r} and {classes[other]!r} have the same text embedding ({error})", file=file
        ) from error
    exact_JD = _exact_if_possible(vectors_JD, ridge).float()
    found_DE = torch.cat([weight_DC, bias_D[:, None]], dim=1).float().double()  # as they are stored
    given_JE = torch.cat([weight_JC, bias_J[:, None]], dim=1).double()
    new = {f"{CLASS_EMBED}.weight": weight_DC, f"{CLASS_EMBED}.bias": bias_D, "classifier.background": background_D}
    return TextLayer(
        state={**{name: value.float() for name, value in new.items()}, "classifier.log_scale": torch.tensor(0.0)},
        text_KD=text_KD,
        vectors_JD=exact_JD,
        error=float((exact_JD.double() @ found_DE - given_JE).abs().max()),
        text_error=float((vectors_JD @ found_DE - given_JE).abs().max()),
        stretch=float(weight_DC.norm() / weight_JC.double().norm()),
    )


def _exact_if_possible(vectors_JD: Tensor, ridge: float) -> Tensor:
    """The exact vectors, or the given ones if those are linearly dependent."""
    try:
        return exact_vectors(vectors_JD, ridge=ridge)
    except ValueError:
        return vectors_JD
