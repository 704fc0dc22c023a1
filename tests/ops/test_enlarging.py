"""Mask logits at the pixels of the original image, against torch's interpolation and by hand."""

import pytest
import torch
import torch.nn.functional as F

from mmdataseg.ops import enlarging
from mmdataseg.ops.enlarging import Enlargement, ImageSizes, enlarge_boxes
from tests.tolerances import SUMS


def enlargement(logits, sizes):
    return Enlargement(tuple(logits.shape[1:]), sizes, logits.device)


def enlarged(logits, sizes):
    return enlargement(logits, sizes)(logits, *(slice(0, side) for side in sizes.original))


def test_by_hand():
    # one row of two cells to four pixels: pixel centres at 0.25, 0.75, 1.25, 1.75 cells
    sizes = ImageSizes(padded=(4, 8), image=(4, 8), original=(1, 4))
    torch.testing.assert_close(enlarged(torch.tensor([[[0.0, 4.0]]]), sizes), torch.tensor([[[0.0, 1.0, 3.0, 4.0]]]))


@pytest.mark.parametrize("original", [(24, 32), (48, 64), (37, 51)])
def test_equals_interpolate_without_padding(original):
    logits = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(0))
    sizes = ImageSizes(padded=(24, 32), image=(24, 32), original=original)
    expected = F.interpolate(logits[None], original, mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(enlarged(logits, sizes), expected, **SUMS)


@pytest.mark.parametrize("elements", [1, 500, 3 * 51 * 36])
def test_the_values_at_a_time_change_nothing(monkeypatch, elements):
    logits = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(0))
    sizes = ImageSizes(padded=(24, 32), image=(21, 30), original=(37, 51))
    whole = enlarged(logits, sizes)
    monkeypatch.setattr(enlarging, "BLOCK_ELEMENTS", {"cpu": elements})
    torch.testing.assert_close(enlarged(logits, sizes), whole, **SUMS)


@pytest.mark.parametrize("original", [(37, 51), (5, 200), (1, 1)])
@pytest.mark.parametrize("tile", [1, 2, 8])
def test_tiles_cover_the_image_and_hold_what_their_bounds_say(monkeypatch, original, tile):
    monkeypatch.setattr(enlarging, "TILE", tile)
    logits = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(0))
    sizes = ImageSizes(padded=(24, 32), image=(21, 30), original=original)
    whole, enlarge = enlarged(logits, sizes), enlargement(logits, sizes)
    rows, columns = enlarge.tiles(3)
    low, high = enlarge.bounds(logits, rows, columns)
    assert low.shape == high.shape == (3, len(rows), len(columns))
    assert [part.start for part in rows] == [0, *(part.stop for part in rows[:-1])]
    assert (rows[-1].stop, columns[-1].stop) == original
    some = torch.tensor([2, 0])
    assert torch.equal(enlarge(logits, rows[0], columns[0], some), enlarge(logits, rows[0], columns[0])[some])
    for y, down in enumerate(rows):
        for x, across in enumerate(columns):
            found = enlarge(logits, down, across)
            torch.testing.assert_close(found, whole[:, down, across], **SUMS)
            assert (found >= low[:, y, x, None, None] - 1e-5).all()
            assert (found <= high[:, y, x, None, None] + 1e-5).all()


def test_bounds_by_hand():
    # one row of four cells to eight pixels, in tiles of two cells: the first reads cells 0 to 2, the second 1 to 3
    logits, sizes = torch.tensor([[[5.0, 1.0, 2.0, 9.0]]]), ImageSizes((4, 16), (4, 16), (1, 8))
    low, high = enlargement(logits, sizes).bounds(logits, [slice(0, 1)], [slice(0, 4), slice(4, 8)])
    assert (low.tolist(), high.tolist()) == ([[[1.0, 1.0]]], [[[5.0, 9.0]]])


@pytest.mark.parametrize("elements", [1, 3 * 100, 3 * 37 * 51])
def test_on_a_cpu_the_memory_of_a_tile_is_bounded(monkeypatch, elements):
    """Also where a few cells make a large image."""
    monkeypatch.setattr(enlarging, "BLOCK_ELEMENTS", {"cpu": elements})
    sizes = ImageSizes(padded=(24, 32), image=(21, 30), original=(3000, 4000))
    rows, columns = Enlargement((6, 8), sizes, torch.device("cpu")).tiles(3)
    assert max(3 * (y.stop - y.start) * (x.stop - x.start) for y in rows[:1] for x in columns[:1]) <= max(3, elements)


def test_on_a_gpu_tiles_are_as_wide_as_the_image_and_of_bounded_memory(monkeypatch):
    monkeypatch.setattr(enlarging, "BLOCK_ELEMENTS_ELSEWHERE", 3 * 51 * 10)
    sizes = ImageSizes(padded=(24, 32), image=(21, 30), original=(37, 51))
    rows, columns = Enlargement((6, 8), sizes, torch.device("meta")).tiles(3)
    assert columns == [slice(0, 51)]
    assert rows == [slice(0, 10), slice(10, 20), slice(20, 30), slice(30, 37)]


@pytest.mark.parametrize("bound", [-2.0, 0.0, 1.5, 100.0])
def test_a_box_holds_every_pixel_from_the_bound_on(bound):
    logits = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(0))
    sizes = ImageSizes(padded=(24, 32), image=(21, 30), original=(37, 51))
    whole = enlarged(logits, sizes)
    outside = torch.ones_like(whole, dtype=torch.bool)
    for mask, box, inside in enlarge_boxes(logits, sizes, torch.full((3,), bound)):
        torch.testing.assert_close(inside, whole[mask][box], **SUMS)
        outside[mask][box] = False
    assert (whole[outside] < bound).all()
    assert outside.all() == (bound == 100.0)


@pytest.mark.parametrize("elements", [1, 300])
def test_a_box_that_is_enlarged_in_parts_is_the_same(monkeypatch, elements):
    logits = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(0))
    sizes = ImageSizes(padded=(24, 32), image=(21, 30), original=(37, 51))
    whole = list(enlarge_boxes(logits, sizes, torch.zeros(3)))
    monkeypatch.setattr(enlarging, "BLOCK_ELEMENTS", {"cpu": elements})
    for (mask, box, inside), expected in zip(enlarge_boxes(logits, sizes, torch.zeros(3)), whole, strict=True):
        assert (mask, box) == expected[:2]
        assert torch.equal(inside, expected[2])


@pytest.mark.parametrize("image", [(16, 24), (15, 22)])
def test_the_content_of_the_padding_changes_nothing(image):
    logits = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(0))
    sizes = ImageSizes(padded=(24, 32), image=image, original=(31, 45))
    before = enlarged(logits, sizes)
    logits[:, 4:] = logits[:, :, 6:] = 1e6
    assert torch.equal(enlarged(logits, sizes), before)


def test_padding_changes_nothing_when_the_image_fills_whole_cells():
    logits = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(0))
    alone = ImageSizes(padded=(16, 24), image=(16, 24), original=(31, 45))
    padded = ImageSizes(padded=(24, 32), image=(16, 24), original=(31, 45))
    torch.testing.assert_close(enlarged(logits, padded), enlarged(logits[:, :4, :6], alone), **SUMS)


def test_without_proposals_the_result_is_empty():
    sizes = ImageSizes(padded=(24, 32), image=(24, 32), original=(5, 7))
    assert enlarged(torch.zeros(0, 6, 8), sizes).shape == (0, 5, 7)
