"""Points, and maps read at them."""

import pytest
import torch

from mmdataseg.ops import points as points_module
from mmdataseg.ops.id_map import sample_id_maps, with_border
from mmdataseg.ops.points import cell_points, random_points, sample_features, sample_maps, uncertain_points
from tests.tolerances import SUMS

DRAW = {"oversample_ratio": 3.0, "importance_ratio": 0.75}


def test_a_map_read_by_hand():
    # centres of a 2 x 2 map lie at 1/4 and 3/4; the middle is the mean of all; a corner is 1/4 its cell, 3/4 outside
    maps = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    points = torch.tensor([[[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.5, 0.5], [0.0, 0.0], [1.0, 1.0], [2.0, 0.5]]])
    expected = torch.tensor([[1.0, 2.0, 3.0, 2.5, 0.25, 1.0, 0.0]])
    torch.testing.assert_close(sample_maps(maps, points), expected)


def test_points_of_an_image_that_fills_a_part_of_the_map():
    """The image fills half of the width and all of the height."""
    maps, extents = torch.tensor([[[1.0, 2.0, 9.0, 9.0], [3.0, 4.0, 9.0, 9.0]]]), torch.tensor([[0.5, 1.0]])
    points = torch.tensor([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.5, 0.5]])
    expected = torch.tensor([1.0, 2.0, 3.0, 2.5])
    torch.testing.assert_close(sample_maps(maps, points[None], extents)[0], expected)
    torch.testing.assert_close(sample_features(maps[None], points[None], extents)[0, :, 0], expected)


def test_each_map_has_an_extent_of_its_own():
    generator = torch.Generator().manual_seed(0)
    maps, points = torch.randn(3, 5, 4, 6, generator=generator), torch.rand(3, 7, 2, generator=generator)
    extents = torch.tensor([[0.5, 1.0], [0.9, 0.25], [1.0, 1.0]])
    together = sample_features(maps, points, extents)
    for n in range(3):
        torch.testing.assert_close(together[n], sample_features(maps[[n]], points[[n]], extents[[n]])[0])
        torch.testing.assert_close(sample_maps(maps[n], points[n].expand(5, -1, -1), extents[[n]]).T, together[n])


def test_reading_features_and_multiplying_is_multiplying_and_reading():
    torch.manual_seed(0)
    features, embeds, points = torch.randn(5, 6, 7), torch.randn(3, 5), torch.rand(11, 2)
    logits = torch.einsum("qc,chw->qhw", embeds, features)
    expected = sample_maps(logits, points.expand(3, -1, -1))
    torch.testing.assert_close(embeds @ sample_features(features[None], points[None])[0].T, expected, **SUMS)


def test_random_points_lie_in_the_unit_square():
    points = random_points(3, 500, "cpu")
    assert points.shape == (3, 500, 2)
    assert points.min() >= 0
    assert points.max() <= 1
    assert abs(points.mean() - 0.5) < 0.05


def inner(points: torch.Tensor) -> torch.Tensor:
    """The points away from the rim, where logits blend with the 0 outside and look uncertain (as in PointRend)."""
    return ((points > 0.07) & (points < 0.93)).all(-1)


def test_uncertain_points_lie_where_the_logits_are_nearest_zero():
    torch.manual_seed(0)
    ramp = (torch.arange(32.0) - 15.5).expand(1, 32, 32)  # 0 in the middle, growing to both sides
    points = uncertain_points(ramp, num_points=400, **DRAW)
    distance = (points[0, :, 0] - 0.5).abs()
    # the 300 most uncertain of 1200 candidates are the quarter nearest the middle; the other 100 are uniform
    assert distance[:300][inner(points[0, :300])].max() < 0.125 + 0.03
    assert 0.1 < (distance[300:] < 0.125).float().mean() < 0.4


def test_the_uncertain_points_are_the_share_of_the_candidates_nearest_to_zero(monkeypatch):
    """Each candidate is the centre of a cell, so its logit is known."""
    logits = torch.tensor([[[4.0, -1.0, -9.0, 0.5, 7.0, -3.0, 2.0, -0.25]]])
    cells = torch.stack([(torch.arange(8) + 0.5) / 8, torch.full((8,), 0.5)], dim=-1)[None]
    monkeypatch.setattr(points_module, "random_points", lambda _, number, __: cells[:, :number])
    drawn = uncertain_points(logits, num_points=4, oversample_ratio=2, importance_ratio=1)
    assert sorted((drawn[0, :, 0] * 8 - 0.5).long().tolist()) == [1, 3, 6, 7]


def test_every_share_of_uncertain_points_gives_the_same_number_of_points():
    for share in (0.0, 0.3, 1.0):
        points = uncertain_points(torch.randn(2, 4, 4), num_points=7, oversample_ratio=1.0, importance_ratio=share)
        assert points.shape == (2, 7, 2)


def test_points_of_a_padded_map_are_drawn_on_the_image_alone():
    """The map's right half is padding; the points are shares of the image, not of the map."""
    torch.manual_seed(0)
    ramp = (torch.arange(16.0) - 3.5).expand(1, 8, 16).clone()  # 0 in the middle of the image's eight columns
    ramp[:, :, 9:] = 0.0
    points = uncertain_points(ramp, num_points=400, **DRAW, extents_N2=torch.tensor([[0.5, 1.0]]))
    distance = (points[0, :, 0] - 0.5).abs()
    assert distance[:300][inner(points[0, :300])].max() < 0.125 + 0.03
    assert points[0, 300:].max() > 0.95


def test_without_maps_there_are_no_points():
    assert uncertain_points(torch.zeros(0, 4, 4), num_points=8, **DRAW).shape == (0, 8, 2)
    assert sample_maps(torch.zeros(0, 4, 4), torch.zeros(0, 3, 2)).shape == (0, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"oversample_ratio": 0.5}, "oversample_ratio: expected at least 1, got 0.5"),
        ({"importance_ratio": 1.5}, r"importance_ratio: expected a share in \[0, 1\], got 1.5"),
    ],
)
def test_ratios_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        uncertain_points(torch.zeros(1, 4, 4), num_points=8, **{**DRAW, **change})


class TestCellPoints:
    def test_by_hand(self):
        points = cell_points((1, 2), torch.tensor([[1.0, 1.0], [0.75, 1.0]]), 4)
        # the second image has six pixels: the second centre would be at 6 / 6, and is moved to the last pixel's
        expected = torch.tensor([[[0.25, 0.5], [0.75, 0.5]], [[2 / 6, 0.5], [5.5 / 6, 0.5]]])
        torch.testing.assert_close(points, expected)

    def test_reading_a_map_at_its_cells_gives_the_map(self):
        maps, extents = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0)), torch.tensor([[0.96, 0.95]])
        points = cell_points((5, 7), extents, 4)
        assert points.max() < 1
        read = sample_maps(maps, points.expand(3, -1, -1), extents).view(3, 5, 7)
        # the last column and row extend beyond the image by less than half a cell: their centres are on the image
        torch.testing.assert_close(read, maps, atol=1e-5, rtol=1e-4)

    def test_a_centre_beyond_the_image_is_moved_to_its_last_pixel(self):
        # one of the four pixels of the second cell is on the image
        points = cell_points((1, 2), torch.tensor([[5 / 8, 1.0]]), 4)
        torch.testing.assert_close(points[0], torch.tensor([[2 / 5, 0.5], [4.5 / 5, 0.5]]))

    @pytest.mark.parametrize("width", [8, 9, 10, 11])
    def test_a_mask_of_the_whole_image_is_read_as_one(self, width):
        id_map = torch.zeros(1, 4, width, dtype=torch.int32)
        sizes, first = torch.tensor([[width, 4.0]]), torch.tensor([0])
        cells = -(-width // 4)
        points = cell_points((1, cells), torch.tensor([[width / (4 * cells), 1.0]]), 4)
        torch.testing.assert_close(
            sample_id_maps(with_border(id_map), sizes, first, first, points), torch.ones(1, cells)
        )

    def test_bad_input_is_refused(self):
        with pytest.raises(ValueError, match="stride: expected a positive number of pixels, got 0"):
            cell_points((1, 2), torch.tensor([[1.0, 1.0]]), 0)
