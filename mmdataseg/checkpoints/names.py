"""Recognise which project's Mask2Former a state dict is, and give its parameters our names, which are mmdet's.

Parameters that we have no use for are dropped by name. Any other parameter that is left over shows a mistake in the
renaming and must not be hidden.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from mmdataseg.checkpoints.hugging_face import from_hugging_face
from mmdataseg.errors import UserError

CLASS_LAYER = "panoptic_head.cls_embed"
State = Mapping[str, Tensor]

# Before mmdet 3.0.0rc6 the attentions of a layer had numbers.
_OLDER = (
    (re.compile(r"(\.pixel_decoder\.encoder\.layers\.\d+)\.attentions\.0\."), r"\1.self_attn."),
    (re.compile(r"(\.transformer_decoder\.layers\.\d+)\.attentions\.0\."), r"\1.cross_attn."),
    (re.compile(r"(\.transformer_decoder\.layers\.\d+)\.attentions\.1\."), r"\1.self_attn."),
    (re.compile(r"(\.layers\.\d+)\.ffns\.0\."), r"\1.ffn."),
)
# Not needed of mmdet's and mmseg's models: loss weights, pixel means, heads that only training uses.
_NOT_NEEDED = re.compile(
    r"\.loss_cls\.class_weight$|^(panoptic_fusion_head|data_preprocessor|decode_head\.conv_seg|auxiliary_head)\."
)


def from_mmdet(state: State) -> dict[str, Tensor]:
    """Rename parameters of older versions; the others already have our names."""
    renamed = {}
    for name, value in state.items():
        for pattern, replacement in _OLDER:
            name = pattern.sub(replacement, name)
        if not _NOT_NEEDED.search(name):
            renamed[name] = value
    return renamed


def from_mmseg(state: State) -> dict[str, Tensor]:
    """mmseg's head is mmdet's under another name."""
    named = {name: value for name, value in state.items() if not _NOT_NEEDED.search(name)}
    return from_mmdet({re.sub(r"^decode_head\.", "panoptic_head.", name): value for name, value in named.items()})


@dataclass(frozen=True)
class Layout:
    """How a project names the parameters of Mask2Former.

    Args:
        name: Of the project.
        keys: Keys of a state dict, all of which it must have.
        rename: Gives our names.
    """

    name: str
    keys: tuple[str, ...]
    rename: Callable[[State], dict[str, Tensor]]


LAYOUTS = (
    Layout(
        "mmdet", ("panoptic_head.cls_embed.weight", "panoptic_head.pixel_decoder.level_encoding.weight"), from_mmdet
    ),
    Layout("mmseg", ("decode_head.cls_embed.weight", "decode_head.pixel_decoder.level_encoding.weight"), from_mmseg),
    Layout(
        "Hugging Face",
        ("class_predictor.weight", "model.transformer_module.queries_features.weight"),
        from_hugging_face,
    ),
)
# Other files that users may give: pattern of a key -> what the file is, and what to do.
_ONLY = "only Mask2Former can be converted"
_OTHERS = (
    (r"^panoptic_head\.class_embed\.", "a checkpoint of mmdataseg already", "use it as it is"),
    (r"text_mapper|task_encoder|task_mlp", "a OneFormer", _ONLY),
    (r"^(roi_head|bbox_head|rpn_head)\.", "a detection model of mmdet", _ONLY),
    (r"^sem_seg_head\.predictor\.", "a Mask2Former of Detectron2", "give its conversion on Hugging Face"),
    (r"^panoptic_head\.cls_embed\.", "a MaskFormer of mmdet", _ONLY),
    (r"^decode_head\.", "another segmentation model of mmseg", _ONLY),
    (r"^model\.(pixel_level_module|transformer_module)\.", "a MaskFormer of Hugging Face", _ONLY),
    (r"(^|\.)roi_heads\.|^proposal_generator\.", "a detection model of Detectron2", _ONLY),
    (r"^(model\.)?(transformer|query_embed|bbox_embed)\b", "a DETR", _ONLY),
    (r"^(layer[1-4]|blocks|layers|stages|patch_embed)\.", "a backbone alone", "give a whole Mask2Former"),
)


def recognise(state: State, *, file: str) -> Layout:
    """Recognise which project's Mask2Former a state dict is.

    Raises:
        UserError: It is not a Mask2Former; the message says what it is, if that is known.
    """
    for layout in LAYOUTS:
        if all(key in state for key in layout.keys):
            return layout
    for pattern, what, remedy in _OTHERS:
        if any(re.search(pattern, name) for name in state):
            raise UserError(
                f"expected a Mask2Former of mmdet, mmseg or Hugging Face, got {what}", file=file, remedy=remedy
            )
    some = ", ".join(sorted(state)[:3])
    raise UserError(
        f"expected a Mask2Former of mmdet, mmseg or Hugging Face, got parameters such as {some}",
        file=file,
        remedy=_ONLY,
    )
