"""Fused attention, against torch's module."""

import pytest
import torch
from torch import nn

from mmdataseg.ops.attention import attend, masks_to_attention, unmask_fully_masked_rows
from tests.tolerances import SUMS


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_equals_the_module(masked, bias):
    torch.manual_seed(0)
    module = nn.MultiheadAttention(16, 4, bias=bias, batch_first=True)
    query, key, value = torch.randn(2, 5, 16), torch.randn(2, 7, 16), torch.randn(2, 7, 16)
    mask = unmask_fully_masked_rows(torch.rand(2, 5, 7) > 0.4) if masked else None
    by_head = mask.repeat_interleave(4, dim=0) if masked else None
    expected, _ = module(query, key, value, attn_mask=by_head)
    torch.testing.assert_close(attend(module, query, key, value, mask), expected, **SUMS)


def test_a_masked_key_has_no_influence():
    torch.manual_seed(0)
    module = nn.MultiheadAttention(16, 4, batch_first=True)
    query, key = torch.randn(1, 3, 16), torch.randn(1, 6, 16)
    mask = torch.zeros(1, 3, 6, dtype=torch.bool)
    mask[:, 1, 4] = True
    before = attend(module, query, key, key, mask)
    key[:, 4] += 100
    after = attend(module, query, key, key, mask)
    torch.testing.assert_close(after[:, 1], before[:, 1])
    assert not torch.allclose(after[:, 0], before[:, 0])


def test_a_query_masked_everywhere_attends_everywhere():
    masked = torch.tensor([[[True, True], [True, False], [False, False]]])
    assert unmask_fully_masked_rows(masked).tolist() == [[[False, False], [True, False], [False, False]]]


def test_the_mask_of_the_next_layer_by_hand():
    features = torch.tensor([[[[1.0, -1.0], [2.0, 0.0]]]])  # one channel
    embeds = torch.tensor([[[1.0], [-1.0], [0.0]]])
    # logits [1, -1, 2, 0], their negatives, and zeros: negative ones are masked, a probability of 1/2 is not
    expected = [[False, True, False, False], [True, False, True, False], [False] * 4]
    assert masks_to_attention(embeds, features).tolist() == [expected]


def test_no_gradient_through_the_mask():
    embeds = torch.randn(1, 3, 4, requires_grad=True)
    assert not masks_to_attention(embeds, torch.randn(1, 4, 2, 2)).requires_grad


def test_keys_of_another_width_are_refused():
    module = nn.MultiheadAttention(16, 4, kdim=8, vdim=8)
    with pytest.raises(ValueError, match="expected queries, keys and values of one width, got kdim 8, vdim 8"):
        attend(module, torch.randn(1, 2, 16), torch.randn(1, 3, 8), torch.randn(1, 3, 8), None)
