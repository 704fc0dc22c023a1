"""Hugging Face's Mask2Former on Swin, under mmdet's names.

The two differ in names, in how attention keeps its projections (three matrices or one stacked), and in the order in
which Swin joins four neighbouring cells.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_ENCODER = r"^model\.pixel_level_module\.encoder\."
_DECODER = r"^model\.pixel_level_module\.decoder\."
_QUERIES = r"^model\.transformer_module\."
_BLOCK = r"^(backbone\.stages\.\d+\.blocks\.\d+)\."
_LAYER = r"^model\.transformer_module\.decoder\.(layers\.\d+)\."
_OUR_LAYER = r"panoptic_head.transformer_decoder.\1."
# Applied in this order; each rule gets the name that the earlier ones made.
_RULES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # Swin; newer versions of transformers have "swin." in their names
        (_ENCODER + r"(swin\.)?", "backbone."),
        (r"^backbone\.embeddings\.patch_embeddings\.projection\.", "backbone.patch_embed.projection."),
        (r"^backbone\.embeddings\.norm\.", "backbone.patch_embed.norm."),
        (r"^backbone\.encoder\.layers\.", "backbone.stages."),
        (_BLOCK + r"attention\.(self|relative_position_bias)\.relative_position_bias_table$",
         r"\1.attn.w_msa.relative_position_bias_table"),
        (_BLOCK + r"attention\.(self\.query|q_proj)\.", r"\1.attn.w_msa.qkv.0."),
        (_BLOCK + r"attention\.(self\.key|k_proj)\.", r"\1.attn.w_msa.qkv.1."),
        (_BLOCK + r"attention\.(self\.value|v_proj)\.", r"\1.attn.w_msa.qkv.2."),
        (_BLOCK + r"attention\.(output\.dense|o_proj)\.", r"\1.attn.w_msa.proj."),
        (_BLOCK + r"(intermediate\.dense|mlp\.fc1)\.", r"\1.ffn.layers.0.0."),
        (_BLOCK + r"(output\.dense|mlp\.fc2)\.", r"\1.ffn.layers.1."),
        (_BLOCK + r"layernorm_before\.", r"\1.norm1."),
        (_BLOCK + r"layernorm_after\.", r"\1.norm2."),
        # pixel decoder
        (_DECODER, "panoptic_head.pixel_decoder."),
        (r"\.pixel_decoder\.level_embed$", ".pixel_decoder.level_encoding.weight"),
        (r"\.pixel_decoder\.input_projections\.(\d+)\.0\.", r".pixel_decoder.input_convs.\1.conv."),
        (r"\.pixel_decoder\.input_projections\.(\d+)\.1\.", r".pixel_decoder.input_convs.\1.gn."),
        (r"\.pixel_decoder\.mask_projection\.", ".pixel_decoder.mask_feature."),
        (r"\.pixel_decoder\.adapter_1\.0\.", ".pixel_decoder.lateral_convs.0.conv."),
        (r"\.pixel_decoder\.adapter_1\.1\.", ".pixel_decoder.lateral_convs.0.gn."),
        (r"\.pixel_decoder\.layer_1\.0\.", ".pixel_decoder.output_convs.0.conv."),
        (r"\.pixel_decoder\.layer_1\.1\.", ".pixel_decoder.output_convs.0.gn."),
        (r"(\.pixel_decoder\.encoder\.layers\.\d+)\.self_attn_layer_norm\.", r"\1.norms.0."),
        (r"(\.pixel_decoder\.encoder\.layers\.\d+)\.final_layer_norm\.", r"\1.norms.1."),
        # queries and transformer decoder
        (_QUERIES + r"queries_embedder\.", "panoptic_head.query_embed."),
        (_QUERIES + r"queries_features\.", "panoptic_head.query_feat."),
        (_QUERIES + r"level_embed\.", "panoptic_head.level_embed."),
        (_QUERIES + r"input_projections\.", "panoptic_head.decoder_input_projs."),
        (_QUERIES + r"decoder\.layernorm\.", "panoptic_head.transformer_decoder.post_norm."),
        (_QUERIES + r"decoder\.mask_predictor\.mask_embedder\.0\.0\.", "panoptic_head.mask_embed.0."),
        (_QUERIES + r"decoder\.mask_predictor\.mask_embedder\.1\.0\.", "panoptic_head.mask_embed.2."),
        (_QUERIES + r"decoder\.mask_predictor\.mask_embedder\.2\.0\.", "panoptic_head.mask_embed.4."),
        (_LAYER + r"cross_attn_layer_norm\.", _OUR_LAYER + r"norms.0."),
        (_LAYER + r"self_attn_layer_norm\.", _OUR_LAYER + r"norms.1."),
        (_LAYER + r"final_layer_norm\.", _OUR_LAYER + r"norms.2."),
        (_LAYER + r"cross_attn\.", _OUR_LAYER + r"cross_attn.attn."),
        (_LAYER + r"self_attn\.([qkv])_proj\.(weight|bias)$",
         _OUR_LAYER + r"self_attn.attn.in_proj_\3.\2"),
        (_LAYER + r"self_attn\.", _OUR_LAYER + r"self_attn.attn."),
        (_QUERIES + r"decoder\.", "panoptic_head.transformer_decoder."),
        (r"(decoder\.(?:encoder\.)?layers\.\d+)\.fc1\.", r"\1.ffn.layers.0.0."),
        (r"(decoder\.(?:encoder\.)?layers\.\d+)\.fc2\.", r"\1.ffn.layers.1."),
        (r"^class_predictor\.", "panoptic_head.cls_embed."),
    )
)  # fmt: skip
_OUT_NORM = re.compile(r"^backbone\.hidden_states_norms\.(?:stage(\d+)|(\d+))\.")
# Not needed: loss weights, the last norm of Swin's classifier, and a table that every Swin computes for itself.
_NOT_NEEDED = re.compile(r"^criterion\.|^backbone\.layernorm\.|relative_position_index$")
_PART = re.compile(r"^(.*\.qkv)\.[012]\.(weight|bias)$|^(.*\.in_proj_)(weight|bias)\.[qkv]$")
# When it joins 2 x 2 cells, Hugging Face's Swin takes (row, column) = (0, 0), (1, 0), (0, 1), (1, 1), channels inside;
# mmdet unfolds, with the channels outside and the cells row by row.
_THEIR_CELL = (0, 2, 1, 3)


def from_hugging_face(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the parameters of a ``Mask2FormerForUniversalSegmentation`` on Swin to mmdet's names.

    The projections are stacked, the joined cells reordered. The class layer becomes ``panoptic_head.cls_embed``.
    """
    renamed: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        name = rename(name)
        if _NOT_NEEDED.search(name):
            continue
        part = _PART.match(name)
        if part:
            whole = f"{part[1]}.{part[2]}" if part[1] else f"{part[3]}{part[4]}"
            parts.setdefault(whole, {})[name] = value
        elif re.search(r"\.downsample\.(norm\.|reduction\.)", name):
            renamed[name] = unfolded(value)
        else:
            renamed[name] = value
    for whole, found in parts.items():
        order = sorted(found, key=lambda name: "qkv".find(name[-1]) if name[-1] in "qkv" else name)
        renamed[whole] = torch.cat([found[name] for name in order])
    return renamed


def rename(name: str) -> str:
    """mmdet's name of a parameter; a part of a stacked one is marked with the part."""
    for pattern, replacement in _RULES:
        name = pattern.sub(replacement, name)
    found = _OUT_NORM.match(name)
    if found:
        number = int(found[1]) - 1 if found[1] else int(found[2])
        name = f"backbone.norm{number}." + name[found.end() :]
    return name


def unfolded(value: Tensor) -> Tensor:
    """Four cells joined as by mmdet's ``PatchMerging``.

    Args:
        value: (..., 4 C), the cells outside, channels inside.

    Returns:
        (..., 4 C), the channels outside, cells row by row inside.
    """
    cells = value.unflatten(-1, (4, value.shape[-1] // 4))
    return cells[..., _THEIR_CELL, :].transpose(-1, -2).flatten(-2)
