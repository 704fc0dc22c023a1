"""sRGB to L*a*b*."""

import cv2
import numpy as np
import pytest
import torch

from mmdataseg.ops.colors import srgb_to_lab


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((1, 1, 1), (100, 0, 0)),
        # linear 0.21404, its cube root 0.59817: 116 x 0.59817 - 16
        ((0.5, 0.5, 0.5), (53.389, 0, 0)),
        # X, Y, Z = 0.43395, 0.21267, 0.01776; roots 0.75707, 0.59690, 0.26090
        ((1, 0, 0), (53.241, 80.09, 67.20)),
    ],
)
def test_by_hand(rgb, lab):
    found = srgb_to_lab(torch.tensor(rgb, dtype=torch.float32).view(3, 1, 1)).flatten()
    torch.testing.assert_close(found, torch.tensor(lab, dtype=torch.float32), atol=0.02, rtol=0)


def test_greys_have_no_hue_and_get_lighter():
    greys = torch.linspace(0, 1, 33).expand(2, 3, 1, 33)
    lab = srgb_to_lab(greys)
    assert lab[:, 1:].abs().max() < 0.01
    assert (lab[0, 0, 0].diff() > 0).all()


def test_equals_opencv():
    image = np.random.default_rng(0).random((16, 16, 3), dtype=np.float32)
    expected = torch.from_numpy(cv2.cvtColor(image, cv2.COLOR_RGB2LAB)).permute(2, 0, 1)
    torch.testing.assert_close(srgb_to_lab(torch.from_numpy(image).permute(2, 0, 1)), expected, atol=0.5, rtol=0)


def test_an_image_without_three_channels_is_refused():
    with pytest.raises(ValueError, match=r"rgb: expected \(\.\.\., 3, H, W\), got shape \(4, 8, 8\)"):
        srgb_to_lab(torch.zeros(4, 8, 8))
