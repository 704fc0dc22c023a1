"""Attention with a mask, through the fused kernel.

Letters: B images, Q queries, S keys, C channels, A heads, c = C / A channels per head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdataseg.ops.linear import linear, mask_logits


def attend(
    attention: nn.MultiheadAttention, query_BQC: Tensor, key_BSC: Tensor, value_BSC: Tensor, masked_BQS: Tensor | None
) -> Tensor:
    """What ``attention(query, key, value, attn_mask=...)`` computes, without forming the attention weights.

    ``nn.MultiheadAttention`` needs one mask per head; here one mask per image is broadcast over the heads.

    Args:
        attention: Provides the weights; its ``batch_first`` is not read.
        query_BQC: (B, Q, C) float.
        key_BSC: (B, S, C) float.
        value_BSC: (B, S, C) float.
        masked_BQS: (B, Q, S) bool, True where a query must not attend; None: nothing is masked.

    Returns:
        (B, Q, C).

    Raises:
        ValueError: The keys or values have another width than the queries.
    """
    if attention.in_proj_weight is None:
        raise ValueError(
            f"expected queries, keys and values of one width, got kdim {attention.kdim}, vdim {attention.vdim}"
        )
    weights = attention.in_proj_weight.chunk(3)
    biases = attention.in_proj_bias.chunk(3) if attention.in_proj_bias is not None else (None, None, None)
    query_BAQc, key_BASc, value_BASc = (
        linear(x, w, b).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
        for x, w, b in zip((query_BQC, key_BSC, value_BSC), weights, biases, strict=True)
    )
    allowed = None if masked_BQS is None else ~masked_BQS[:, None]
    dropout = attention.dropout if attention.training else 0.0
    out_BAQc = F.scaled_dot_product_attention(query_BAQc, key_BASc, value_BASc, attn_mask=allowed, dropout_p=dropout)
    return linear(out_BAQc.transpose(1, 2).flatten(2), attention.out_proj.weight, attention.out_proj.bias)


def unmask_fully_masked_rows(masked_BQS: Tensor) -> Tensor:
    """Let a query that must not attend anywhere attend everywhere, as in Mask2Former's code.

    Its attention would be undefined otherwise. Masks are (B, Q, S) bool, True where a query must not attend; each row
    of the result has a False.
    """
    return masked_BQS & ~masked_BQS.all(dim=-1, keepdim=True)


def masks_to_attention(mask_embeds_BQC: Tensor, features_BCHW: Tensor) -> Tensor:
    """The mask of the next layer: a query does not attend where its mask probability is below 1/2 (Cheng et al., 2022,
    equation 2).

    Args:
        mask_embeds_BQC: (B, Q, C).
        features_BCHW: (B, C, H, W), the mask features, resized to the level that is attended to.

    Returns:
        (B, Q, H * W) bool, True where masked; each row has a False.
    """
    with torch.no_grad():
        logits_BQS = mask_logits(mask_embeds_BQC, features_BCHW).flatten(2)
        return unmask_fully_masked_rows(logits_BQS < 0)
