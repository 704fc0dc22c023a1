"""How shapes and textures of the toy world are drawn."""

import numpy as np
import pytest

from projects.toy.world import vocabulary as v
from projects.toy.world.drawing import paste, shape_coverage, stuff_texture


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        ("disc", np.pi / 4),
        ("ring", np.pi / 4 * (1 - 0.56**2)),
        ("square", 0.7**2),
        ("triangle", 3 * np.sqrt(3) / 16),
        ("cross", 4 * 0.15 * (0.475 - 0.15) * 2 + 0.3**2),
        ("star", 10 * 0.5 * 0.5 * 0.22 * np.sin(np.pi / 5)),
    ],
)
@pytest.mark.parametrize("degrees", [0.0, 20.0])
def test_covered_areas_equal_those_of_the_shapes(shape, area, degrees):
    """Areas worked out by hand, for a circle of diameter 1 around the shape."""
    assert shape_coverage(shape, 80.0, degrees).sum() == pytest.approx(area * 80**2, rel=0.06)


@pytest.mark.parametrize("shape", v.SHAPES)
def test_shapes_stay_inside_their_circle(shape):
    coverage = shape_coverage(shape, 40.0, 33.0)
    ys, xs = np.nonzero(coverage > 0)
    centre = (coverage.shape[0] - 1) / 2
    assert coverage.min() >= 0
    assert coverage.max() == 1
    assert np.hypot(ys - centre, xs - centre).max() <= 20 + 1


def test_ring_star_and_crescent_leave_much_of_their_boxes_empty():
    def filled(shape):
        mask = shape_coverage(shape, 50.0, 15.0) >= 0.5
        ys, xs = np.nonzero(mask)
        return mask.sum() / (np.ptp(ys) + 1) / (np.ptp(xs) + 1)

    assert filled("disc") > 0.75
    assert max(filled(shape) for shape in ("ring", "star", "crescent")) < 0.6
    assert shape_coverage("ring", 50.0, 0.0)[26, 26] == 0


def test_paste_clips_at_the_border_and_returns_what_it_covers():
    image = np.zeros((4, 4, 3), np.float32)
    coverage = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.4], [1.0, 1.0, 1.0]], np.float32)
    mask = paste(image, np.full((3, 3, 3), 100, np.float32), coverage, (-1, 2))
    expected = np.zeros((4, 4), bool)
    expected[0:2, 2:4] = True
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_array_equal(image[..., 0], np.where(expected, 100, 0))


def test_paste_outside_the_image_changes_nothing():
    image = np.zeros((4, 4, 3), np.float32)
    assert not paste(image, np.ones((2, 2, 3), np.float32), np.ones((2, 2), np.float32), (9, 9)).any()
    assert not image.any()


def test_patterns_of_one_material_differ():
    textures = {p: stuff_texture(np.random.default_rng(0), (p, "sand"), 64).mean(2) for p in v.PATTERNS}
    for one in textures:
        for other in textures:
            if one < other:
                assert np.corrcoef(textures[one].ravel(), textures[other].ravel())[0, 1] < 0.8
