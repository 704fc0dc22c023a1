"""One integer map for all segments, compared with their masks."""

import pytest
import torch

from mmdataseg.ops.id_map import boxes_from_masks, known_at, masks_from_id_map, sample_id_maps, with_border
from mmdataseg.ops.points import sample_maps

ID_MAP = torch.tensor([[0, 0, 1], [-1, 2, 1]], dtype=torch.int32)


def test_masks_by_hand():
    expected = torch.tensor([[[1, 1, 0], [0, 0, 0]], [[0, 0, 1], [0, 0, 1]], [[0, 0, 0], [0, 1, 0]]]).bool()
    assert torch.equal(masks_from_id_map(ID_MAP, 3), expected)
    assert masks_from_id_map(ID_MAP, 0).shape == (0, 2, 3)


def test_every_known_pixel_is_in_one_mask_and_void_in_none():
    id_map = torch.randint(-1, 5, (9, 11), generator=torch.Generator().manual_seed(0))
    assert torch.equal(masks_from_id_map(id_map, 5).sum(0), (id_map >= 0).long())


def test_boxes_by_hand():
    masks = masks_from_id_map(ID_MAP, 4)  # 3 has no pixel
    expected = torch.tensor([[0, 0, 2, 1], [2, 0, 3, 2], [1, 1, 2, 2], [0, 0, 0, 0]]).float()
    torch.testing.assert_close(boxes_from_masks(masks), expected)


def test_boxes_hold_all_pixels_and_touch_them_on_each_side():
    masks = torch.rand(6, 10, 12, generator=torch.Generator().manual_seed(0)) > 0.97
    masks[0] = True
    for mask, box in zip(masks, boxes_from_masks(masks).long().tolist(), strict=True):
        x1, y1, x2, y2 = box
        assert mask[y1:y2, x1:x2].sum() == mask.sum()
        assert all(side.any() for side in (mask[y1], mask[y2 - 1], mask[:, x1], mask[:, x2 - 1]))


def test_without_masks_there_are_no_boxes():
    assert boxes_from_masks(torch.zeros(0, 4, 5, dtype=torch.bool)).shape == (0, 4)
    assert torch.equal(boxes_from_masks(torch.zeros(2, 0, 5, dtype=torch.bool)), torch.zeros(2, 4))


SIZES = torch.tensor([[3.0, 2.0]])  # width and height of ID_MAP
FIRST = torch.zeros(1, dtype=torch.int64)


def padded(id_maps: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, H, W) maps with void beyond the smaller ones, and (B, 2) width and height of each."""
    height, width = (max(part.shape[n] for part in id_maps) for n in (0, 1))
    together = torch.full((len(id_maps), height, width), -1, dtype=torch.int32)
    for place, part in zip(together, id_maps, strict=True):
        place[: part.shape[0], : part.shape[1]] = part
    return together, torch.tensor([[part.shape[1], part.shape[0]] for part in id_maps]).float()


@pytest.mark.parametrize("own_points", [True, False])
def test_reading_the_ids_equals_reading_the_masks_of_each_image(own_points):
    generator = torch.Generator().manual_seed(0)
    id_maps = [torch.randint(-1, 4, size, generator=generator, dtype=torch.int32) for size in ((7, 9), (8, 5), (8, 9))]
    ids = torch.tensor([2, 0, 3, 2])
    points = 1.4 * torch.rand((3, 4 if own_points else 1, 200, 2), generator=generator) - 0.2  # also outside
    maps, sizes = padded(id_maps)
    read = sample_id_maps(with_border(maps), sizes, torch.arange(3)[:, None], ids, points)
    assert read.shape == (3, 4, 200)
    for id_map, own, found in zip(id_maps, points.expand(-1, 4, -1, -1), read, strict=True):
        expected = sample_maps(masks_from_id_map(id_map, 4)[ids].float(), own)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_rows_of_several_images_are_read_in_any_order():
    generator = torch.Generator().manual_seed(0)
    maps, sizes = padded([torch.randint(-1, 3, size, generator=generator) for size in ((7, 9), (8, 5))])
    images, ids = torch.tensor([1, 0, 1]), torch.tensor([0, 2, 1])
    points = torch.rand(3, 20, 2, generator=generator)
    read = sample_id_maps(with_border(maps), sizes, images, ids, points)
    for row in range(3):
        one = sample_id_maps(with_border(maps), sizes, images[row], ids[row], points[row])
        assert torch.equal(read[row], one)


def test_a_sample_by_hand():
    # (1/3, 1/2) is the corner of four pixels 0 0 / -1 2
    corner = torch.tensor([[1 / 3, 0.5]])
    read = sample_id_maps(with_border(ID_MAP[None]), SIZES, FIRST, torch.arange(3), corner)
    torch.testing.assert_close(read, torch.tensor([[0.5], [0.0], [0.25]]))


def test_without_segments_nothing_is_read():
    none = torch.zeros(0, dtype=torch.int64)
    assert sample_id_maps(with_border(ID_MAP[None]), SIZES, FIRST, none, torch.rand(5, 2)).shape == (0, 5)
    assert sample_id_maps(with_border(ID_MAP[None]), SIZES, none, none, torch.rand(0, 5, 2)).shape == (0, 5)


def test_a_point_is_known_if_its_pixel_is_known():
    void = (ID_MAP == -1)[None]
    points = torch.tensor([[0.1, 0.9], [0.33, 0.51], [0.34, 0.51], [0.1, 0.49], [0.0, 1.0], [1.0, 1.0]])
    assert known_at(void, SIZES, FIRST, points[None]).tolist() == [[False, False, True, True, False, True]]


def test_a_point_of_a_smaller_image_is_not_read_beyond_it():
    """Its last pixel is known, and the padding to its right and below is not."""
    void = torch.ones(2, 4, 6, dtype=torch.bool)
    void[0], void[1, :2, :3] = False, False
    sizes = torch.tensor([[6.0, 4.0], [3.0, 2.0]])
    corner = torch.tensor([[1.0, 1.0], [0.999, 0.0]])
    assert known_at(void, sizes, torch.arange(2), corner).all()
    assert not known_at(void, sizes[[0, 0]], torch.arange(2), corner)[1].any()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"id map: expected \(B, H, W\), got shape \(2, 3\)"):
        with_border(ID_MAP)
    with pytest.raises(ValueError, match=r"id map: expected integer ids, got torch.float32"):
        masks_from_id_map(ID_MAP.float(), 3)
    with pytest.raises(ValueError, match=r"id map: expected \(H, W\), got shape \(6,\)"):
        masks_from_id_map(ID_MAP.flatten(), 3)
