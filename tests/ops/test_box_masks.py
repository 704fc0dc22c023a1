"""Masks that are stored in their box, against full masks."""

import numpy as np
import pytest
import torch

from mmdataseg.ops import box_masks
from mmdataseg.ops.box_masks import full_boxes, full_masks, look_up_, masks_of_map, pack_mask
from mmdataseg.ops.id_map import boxes_from_masks


def test_by_hand():
    part = torch.tensor([[0, 0, 0], [0, 1, 1], [0, 0, 1]], dtype=torch.bool)
    mask = pack_mask(part, corner=(2, 4), size=(6, 8))
    assert (mask.box, mask.area) == ((5, 3, 7, 5), 3)
    assert mask.window().tolist() == [[True, True], [False, True]]
    assert mask.full().nonzero().tolist() == [[3, 5], [3, 6], [4, 6]]


@pytest.mark.parametrize("width", [1, 7, 8, 9, 30])
def test_a_stored_mask_is_the_mask(width):
    generator = torch.Generator().manual_seed(width)
    for share in (0.02, 0.5, 1.0):
        part = torch.rand(5, width, generator=generator) < share
        expected = torch.zeros(9, 40, dtype=torch.bool)
        expected[3:8, 6 : 6 + width] = part
        mask = pack_mask(part, corner=(3, 6), size=(9, 40))
        assert torch.equal(mask.full(), expected)
        assert mask.area == int(expected.sum())
        assert list(mask.box) == boxes_from_masks(expected[None])[0].tolist()


def test_an_empty_mask():
    for shape in ((2, 3), (0, 3), (2, 0)):
        mask = pack_mask(torch.zeros(shape, dtype=torch.bool), corner=(1, 1), size=(4, 5))
        assert (mask.box, mask.area) == ((0, 0, 0, 0), 0)
        assert torch.equal(mask.full(), torch.zeros(4, 5, dtype=torch.bool))


def test_a_stored_mask_has_one_bit_per_pixel_of_its_box():
    part = torch.zeros(500, 800, dtype=torch.bool)
    part[100:200, 80:160] = True
    mask = pack_mask(part, corner=(0, 0), size=(500, 800))
    assert mask.window.args[0].nbytes == 100 * 80 / 8


def test_numpy_reads_it_as_a_full_mask():
    mask = pack_mask(torch.ones(2, 3, dtype=torch.bool), corner=(1, 0), size=(4, 5))
    np.testing.assert_array_equal(np.asarray(mask), mask.full().numpy())
    assert np.asarray(mask, dtype=np.uint8).dtype == np.uint8


def test_all_masks_and_their_boxes():
    masks = [pack_mask(torch.ones(1, n, dtype=torch.bool), corner=(n, 0), size=(4, 5)) for n in (1, 3)]
    full = full_masks(masks, (4, 5))
    assert torch.equal(full, torch.stack([mask.full() for mask in masks]))
    assert torch.equal(full_boxes(masks), boxes_from_masks(full))
    assert full_masks([], (4, 5)).shape == (0, 4, 5)
    assert full_boxes([]).shape == (0, 4)


@pytest.mark.parametrize("pixels", [1, 30, 10**6])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_the_masks_of_a_map_are_where_it_has_the_value(monkeypatch, pixels, dtype):
    """Also if the map is looked at row by row."""
    monkeypatch.setattr(box_masks, "BLOCK_PIXELS", pixels)
    ids = torch.tensor([0, 3, 7, 200])[torch.randint(4, (11, 13), generator=torch.Generator().manual_seed(0))].to(dtype)
    ids[:4] = 3
    masks = masks_of_map(ids)
    assert list(masks) == [0, 3, 7, 200]
    for value, mask in masks.items():
        assert torch.equal(mask.full(), ids == value)
        assert mask.area == int((ids == value).sum())
        assert list(mask.box) == boxes_from_masks((ids == value)[None])[0].tolist()


def test_negative_values_are_values_and_an_empty_map_has_none():
    assert list(masks_of_map(torch.tensor([[-1, 5]]))) == [-1, 5]
    assert masks_of_map(torch.zeros(0, 3, dtype=torch.int32)) == {}


def test_what_is_not_a_map_is_refused():
    with pytest.raises(ValueError, match=r"expected a map \(H, W\) of integers, got shape \(1, 2, 3\) of torch.int64"):
        masks_of_map(torch.zeros(1, 2, 3).long())
    with pytest.raises(ValueError, match="of torch"):
        masks_of_map(torch.zeros(2, 3))


@pytest.mark.parametrize("pixels", [1, 10**6])
def test_values_are_looked_up_in_place(monkeypatch, pixels):
    monkeypatch.setattr(box_masks, "BLOCK_PIXELS", pixels)
    ids = torch.tensor([[0, 2], [1, 0]], dtype=torch.int32)
    assert look_up_(ids, torch.tensor([70, 80, 90])) is ids
    assert ids.tolist() == [[70, 90], [80, 70]]
