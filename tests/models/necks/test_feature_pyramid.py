import pytest
import torch

from mmdataseg.models.necks.feature_pyramid import (
    ChannelLayerNorm,
    SimpleFeaturePyramid,
    crop_to_strides,
    pad_to_multiple,
)


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ((4, 6), [(16, 24), (8, 12), (4, 6), (2, 3)]),
        ((5, 3), [(20, 12), (10, 6), (5, 3), (3, 2)]),
        ((1, 1), [(4, 4), (2, 2), (1, 1), (1, 1)]),
    ],
)
def test_four_maps_of_strides_4_to_32(grid: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    pyramid = SimpleFeaturePyramid(in_channels=8, out_channels=6)
    maps = pyramid(torch.randn(2, 8, *grid))
    assert [tuple(features.shape) for features in maps] == [(2, 6, *size) for size in expected]


def test_layer_norm_by_hand() -> None:
    # One position with channels (1, 3): mean 2, deviation 1; the other with (5, 5): all zero.
    features = torch.tensor([[[[1.0, 5.0]], [[3.0, 5.0]]]])
    expected = torch.tensor([[[[-1.0, 0.0]], [[1.0, 0.0]]]])
    normed = ChannelLayerNorm(2)(features)
    torch.testing.assert_close(normed[..., 0], expected[..., 0], atol=1e-5, rtol=0)
    # the second position is divided by sqrt(1e-6), and so is the rounding error of 5
    torch.testing.assert_close(normed[..., 1], expected[..., 1], atol=5 * torch.finfo().eps / 1e-3, rtol=0)


def test_stride_32_sees_the_largest_of_four() -> None:
    # Pooling comes before the convolutions: a value that is not the largest of its 2 x 2 cells changes nothing.
    pyramid = SimpleFeaturePyramid(in_channels=4, out_channels=4)
    features = torch.zeros(1, 4, 4, 4)
    features[:, :, 0, 0] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    lower = features.clone()
    lower[:, :, 1, 1] = 0.5 * features[:, :, 0, 0]
    torch.testing.assert_close(pyramid(lower)[3], pyramid(features)[3], atol=0, rtol=0)
    assert not torch.equal(pyramid(lower)[2], pyramid(features)[2])


def test_every_parameter_gets_a_gradient() -> None:
    torch.manual_seed(0)
    pyramid = SimpleFeaturePyramid(in_channels=8, out_channels=8)
    sum((features * torch.randn_like(features)).sum() for features in pyramid(torch.randn(1, 8, 4, 4))).backward()
    assert [name for name, p in pyramid.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_channels_that_cannot_be_halved_twice_are_refused() -> None:
    with pytest.raises(ValueError, match=r"multiple of 4 .* got 6"):
        SimpleFeaturePyramid(in_channels=6)


def test_pad_and_crop_by_hand() -> None:
    padded = pad_to_multiple(torch.ones(1, 1, 17, 32), 16)
    assert padded.shape == (1, 1, 32, 32)
    assert padded.sum() == 17 * 32
    maps = tuple(torch.zeros(1, 1, 32 // stride, 32 // stride) for stride in (4, 8, 16, 32))
    assert [tuple(m.shape[-2:]) for m in crop_to_strides(maps, (17, 32))] == [(5, 8), (3, 4), (2, 2), (1, 1)]
