"""The proposals: Mask2Former's pixel and transformer decoder, with a class embedding in place of a classifier.

Letters: B images, L decoder outputs (layers + 1), Q queries, E channels of the queries, C channels of the mask
features, D text dimension, (H, W) the stride-4 grid. A level of the pixel decoder has F channels and S cells, h x w.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmcv.cnn import Conv2d
from mmdet.models.layers import Mask2FormerTransformerDecoder, SinePositionalEncoding
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.config import ConfigDict
from mmengine.model import BaseModule, ModuleList, caffe2_xavier_init
from torch import Tensor, nn

from mmdataseg.errors import UserError
from mmdataseg.ops.attention import attend, masks_to_attention
from mmdataseg.registry import MODELS


class Proposals(NamedTuple):
    """The output of the head; the mask logits of a proposal are <mask_embed, mask_features>.

    Attributes:
        class_embeds_LBQD: Unnormalised class embeddings of each output, to be compared with text embeddings.
        mask_embeds_LBQC: Mask embeddings of each output.
        mask_features_BCHW: The stride-4 map of mask features.
    """

    class_embeds_LBQD: Tensor
    mask_embeds_LBQC: Tensor
    mask_features_BCHW: Tensor


def _mlp(channels: int, out_channels: int, num_layers: int = 3) -> nn.Sequential:
    # not in place: autograd copies the gradients of a view that is overwritten, as a linear layer's output is
    hidden = [part for _ in range(num_layers - 1) for part in (nn.Linear(channels, channels), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(channels, out_channels))


@MODELS.register_module()
class DaTaSegHead(BaseModule):
    """Queries to class and mask embeddings (Gu et al., 2023; Cheng et al., Mask2Former, 2022).

    Parameters are named as in mmdet's ``Mask2FormerHead``, so its checkpoints initialise this head; ``class_embed``
    replaces its classifier ``cls_embed``. The head knows no task and no class, and keeps no state between calls.

    Args:
        in_channels: Channels of the backbone's maps, fine to coarse.
        class_embed_dim: D, the text dimension.
        feat_channels: F, channels of the pixel decoder's levels; E is set in ``transformer_decoder``.
        out_channels: C, channels of the mask features.
        num_queries: Q.
        query_sets: Names (letters, digits, ``_`` and ``-``) of sets of Q queries, of which each image takes one: the
            dataset-specific queries that the paper argues against. None, as in the paper: one set for all images.
        pixel_decoder: Config of mmdet's ``MSDeformAttnPixelDecoder`` or ours, without its channels.
        transformer_decoder: Config of mmdet's ``Mask2FormerTransformerDecoder``.
        positional_encoding: Config of mmdet's ``SinePositionalEncoding``.
        class_embed_layers: Number of layers of ``class_embed``: 3, or 1 for a linear map, as in checkpoints that were
            converted from Mask2Former.
        init_cfg: mmengine's.

    Raises:
        UserError: ``class_embed_layers`` is neither 1 nor 3.
    """

    def __init__(  # noqa: PLR0913 -- ten of its own, and mmengine's
        self,
        *,
        in_channels: Sequence[int],
        class_embed_dim: int,
        pixel_decoder: Mapping[str, Any],
        transformer_decoder: Mapping[str, Any],
        positional_encoding: Mapping[str, Any],
        feat_channels: int = 256,
        out_channels: int = 256,
        num_queries: int = 100,
        query_sets: Sequence[str] | None = None,
        class_embed_layers: int = 3,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.pixel_decoder = MMDET_MODELS.build(
            ConfigDict(pixel_decoder, in_channels=in_channels, feat_channels=feat_channels, out_channels=out_channels)
        )
        self.transformer_decoder = Mask2FormerTransformerDecoder(**transformer_decoder)
        self.num_levels = self.pixel_decoder.num_encoder_levels
        channels = self.transformer_decoder.embed_dims
        self.decoder_input_projs = ModuleList(
            nn.Identity() if channels == feat_channels else Conv2d(feat_channels, channels, kernel_size=1)
            for _ in range(self.num_levels)
        )
        self.decoder_positional_encoding = SinePositionalEncoding(**positional_encoding)
        self.query_sets = None if query_sets is None else tuple(query_sets)
        for suffix in [""] if query_sets is None else [f"_{name}" for name in query_sets]:
            self.add_module(f"query_embed{suffix}", nn.Embedding(num_queries, channels))
            self.add_module(f"query_feat{suffix}", nn.Embedding(num_queries, channels))
        self.level_embed = nn.Embedding(self.num_levels, channels)
        if class_embed_layers not in (1, 3):
            raise UserError(f"class_embed_layers: expected 1 or 3, got {class_embed_layers}; correct it")
        self.class_embed = _mlp(channels, class_embed_dim, class_embed_layers)
        self.mask_embed = _mlp(channels, out_channels)

    def init_weights(self) -> None:
        """Initialise as mmdet's ``Mask2FormerHead`` does, then by ``init_cfg``."""
        for projection in self.decoder_input_projs:
            if isinstance(projection, Conv2d):
                caffe2_xavier_init(projection, bias=0)
        self.pixel_decoder.init_weights()
        for parameter in self.transformer_decoder.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_normal_(parameter)
        super().init_weights()

    def forward(self, features: Sequence[Tensor], query_set_per_image: Sequence[str] | None = None) -> Proposals:
        """Run both decoders.

        Args:
            features: Maps of the backbone, fine to coarse, each (B, channels, height, width).
            query_set_per_image: The name in ``query_sets`` that each image takes; None if all share one set.

        Returns:
            The proposals of all L outputs; the first output is that of the queries before any layer.

        Raises:
            UserError: There is not one known set for each image, or the head has no sets.
        """
        mask_features_BCHW, levels = self.pixel_decoder(features)
        keys, positions = zip(*(self._level(i, level) for i, level in enumerate(levels)), strict=True)
        # resizing is linear: resize the features once per level, not every query's logits once per layer
        to_shrink_BCHW = mask_features_BCHW.detach()
        if to_shrink_BCHW.device.type == "cpu":  # it would change the memory layout once per level
            to_shrink_BCHW = to_shrink_BCHW.contiguous(memory_format=torch.channels_last)
        shrunk = [
            F.interpolate(to_shrink_BCHW, level.shape[-2:], mode="bilinear", align_corners=False) for level in levels
        ]
        queries_BQE, query_pos_BQE = self._queries(len(mask_features_BCHW), query_set_per_image)
        normed = [self.transformer_decoder.post_norm(queries_BQE)]
        mask_embeds = [self.mask_embed(normed[0])]
        for i, layer in enumerate(self.transformer_decoder.layers):
            level = i % self.num_levels
            masked_BQS = masks_to_attention(mask_embeds[-1], shrunk[level])
            queries_BQE = decoder_layer(layer, queries_BQE, query_pos_BQE, keys[level], positions[level], masked_BQS)
            normed.append(self.transformer_decoder.post_norm(queries_BQE))
            mask_embeds.append(self.mask_embed(normed[-1]))
        return Proposals(self.class_embed(torch.stack(normed)), torch.stack(mask_embeds), mask_features_BCHW)

    def _queries(self, batch_size: int, query_set_per_image: Sequence[str] | None) -> tuple[Tensor, Tensor]:
        """Contents and positions of the queries, each (B, Q, E)."""
        if self.query_sets is None and query_set_per_image is None:
            tables = (self.query_feat, self.query_embed)
            return tuple(table.weight.expand(batch_size, -1, -1) for table in tables)
        known = self.query_sets or ()
        if (
            query_set_per_image is None
            or len(query_set_per_image) != batch_size
            or not set(query_set_per_image) <= set(known)
        ):
            expected = (
                f"one of the query sets {known} for each of" if known else "no query sets (the head has only one) for"
            )
            raise UserError(f"expected {expected} {batch_size} images, got {query_set_per_image}")
        return tuple(
            torch.stack([self.get_submodule(f"{kind}_{name}").weight for name in query_set_per_image])
            for kind in ("query_feat", "query_embed")
        )

    def _level(self, index: int, level_BFhw: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and their positions, each (B, S, E)."""
        key_BSE = self.decoder_input_projs[index](level_BFhw).flatten(2).transpose(1, 2)
        key_BSE = key_BSE + self.level_embed.weight[index]
        unpadded = level_BFhw.new_zeros((1, *level_BFhw.shape[-2:]), dtype=torch.bool)
        position_1SE = self.decoder_positional_encoding(unpadded).flatten(2).transpose(1, 2)
        return key_BSE, position_1SE.to(key_BSE)


def decoder_layer(
    layer: nn.Module,
    queries_BQE: Tensor,
    query_pos_BQE: Tensor,
    keys_BSE: Tensor,
    key_pos_1SE: Tensor,
    masked_BQS: Tensor,
) -> Tensor:
    """What mmdet's ``Mask2FormerTransformerDecoderLayer`` computes, with its weights, through fused attention.

    ``masked_BQS`` is bool, True where a query must not attend. Returns the queries, (B, Q, E).
    """
    cross, own = layer.cross_attn, layer.self_attn
    cross_out_BQE = attend(cross.attn, queries_BQE + query_pos_BQE, keys_BSE + key_pos_1SE, keys_BSE, masked_BQS)
    queries_BQE = layer.norms[0](queries_BQE + cross.dropout_layer(cross.proj_drop(cross_out_BQE)))
    with_pos_BQE = queries_BQE + query_pos_BQE
    self_out_BQE = attend(own.attn, with_pos_BQE, with_pos_BQE, queries_BQE, None)
    queries_BQE = layer.norms[1](queries_BQE + own.dropout_layer(own.proj_drop(self_out_BQE)))
    return layer.norms[2](layer.ffn(queries_BQE))
