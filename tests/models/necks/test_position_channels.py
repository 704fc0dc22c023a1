import pytest
import torch

from mmdataseg.models.necks.position_channels import PositionChannels


def test_positions_by_hand() -> None:
    (out,) = PositionChannels(num_frequencies=1)([torch.full((1, 1, 1, 2), 7.0)])
    # two cells beside each other: centres at x = -1/2 and 1/2, y = 0; sin and cos of pi x, pi y
    expected = torch.tensor([[7, 7], [-0.5, 0.5], [0, 0], [-1, 1], [0, 0], [0, 0], [1, 1]])
    torch.testing.assert_close(out[0, :, 0], expected, atol=1e-6, rtol=0)


def test_maps_keep_their_channels_and_gain_the_same_positions_in_every_image() -> None:
    neck = PositionChannels(num_frequencies=3)
    maps = [torch.randn(2, 4, 8, 6), torch.randn(2, 5, 4, 3, dtype=torch.float64)]
    out = neck(maps)
    for before, after in zip(maps, out, strict=True):
        assert after.dtype == before.dtype
        channels = before.shape[1]
        assert after.shape[1] == channels + 2 + 4 * 3
        torch.testing.assert_close(after[:, :channels], before, atol=0, rtol=0)
        torch.testing.assert_close(after[0, channels:], after[1, channels:], atol=0, rtol=0)


def test_maps_of_all_strides_have_the_same_position_at_the_same_place() -> None:
    neck = PositionChannels(num_frequencies=0)
    fine, coarse = (features[0, 1:] for features in neck([torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 4, 4)]))
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(fine, 2), coarse)


def test_flipped_map_has_the_opposite_position() -> None:
    (out,) = PositionChannels(num_frequencies=2)([torch.zeros(1, 1, 5, 7)])
    x, y = out[0, 1], out[0, 2]
    torch.testing.assert_close(x.flip(-1), -x)
    torch.testing.assert_close(y.flip(-2), -y)


def test_a_negative_number_of_frequencies_is_refused() -> None:
    with pytest.raises(ValueError, match="num_frequencies must not be negative, got -1"):
        PositionChannels(num_frequencies=-1)
