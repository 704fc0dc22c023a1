"""Mask2Former's class layer as our classifier over text.

Letters: K classes, J = K + 1 with the background last, D text dimension.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmdataseg.checkpoints.names import CLASS_LAYER
from mmdataseg.errors import UserError
from mmdataseg.ops.class_layer import background_direction, class_layer_for_vectors, nearest_pair

CLASS_EMBED = "panoptic_head.class_embed.0"


@dataclass(frozen=True, eq=False, kw_only=True)
class TextLayer:
    """What takes the place of a class layer.

    Args:
        state: Parameters of the head and the classifier.
        error: Largest difference of a weight or bias of the class layer from what the text gives; 0 but for rounding
            where there is no ridge.
        stretch: Length of the map over that of the class layer: how much longer class embeddings are than logits.
    """

    state: Mapping[str, Tensor]
    error: float
    stretch: float


def text_layer(
    state: Mapping[str, Tensor], text_KD: Tensor, *, classes: Sequence[str], ridge: float, file: str
) -> TextLayer:
    """Turn a class layer into class embeddings that answer to text.

    Args:
        state: Under mmdet's names.
        text_KD: (K, D) unit rows of the classes.
        classes: Their K names, for messages.
        ridge: As `class_layer_for_vectors`.
        file: For messages.

    Returns:
        A linear ``class_embed``, the background, and a scale of 1.

    Raises:
        UserError: Not one row for each class; as many classes as dimensions; two classes of one text and no ridge.
    """
    weight_JC, bias_J = state[f"{CLASS_LAYER}.weight"], state[f"{CLASS_LAYER}.bias"]
    if len(text_KD) + 1 != len(weight_JC):
        raise UserError(f"its class layer has {len(weight_JC) - 1} classes, got {len(text_KD)} rows of text", file=file)
    if len(text_KD) >= text_KD.shape[1]:
        raise UserError(
            f"{len(text_KD)} classes need text embeddings of more dimensions than that, got {text_KD.shape[1]}",
            file=file,
            remedy="take a larger text encoder",
        )
    background_D = background_direction(text_KD)
    vectors_JD = torch.cat([text_KD.double(), background_D[None]])
    try:
        weight_DC, bias_D = class_layer_for_vectors(weight_JC, bias_J, vectors_JD, ridge=ridge)
    except ValueError as error:
        one, other = nearest_pair(text_KD @ text_KD.T)
        raise UserError(
            f"classes {classes[one]!r} and {classes[other]!r} have one text embedding ({error})", file=file
        ) from error
    found_JE = vectors_JD @ torch.cat([weight_DC, bias_D[:, None]], dim=1)
    given_JE = torch.cat([weight_JC, bias_J[:, None]], dim=1).double()
    new = {f"{CLASS_EMBED}.weight": weight_DC, f"{CLASS_EMBED}.bias": bias_D, "classifier.background": background_D}
    return TextLayer(
        state={**{name: value.float() for name, value in new.items()}, "classifier.log_scale": torch.tensor(0.0)},
        error=float((found_JE - given_JE).abs().max()),
        stretch=float(weight_DC.norm() / weight_JC.double().norm()),
    )
