"""One integer map for all segments, compared with their masks."""

import pytest
import torch

from mmdataseg.ops.id_map import boxes_from_masks, known_at, masks_from_id_map, sample_bitmaps, sample_id_map
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


@pytest.mark.parametrize("own_points", [True, False])
def test_reading_the_ids_equals_reading_the_masks(own_points):
    generator = torch.Generator().manual_seed(0)
    id_map = torch.randint(-1, 4, (7, 9), generator=generator, dtype=torch.int32)
    ids = torch.tensor([2, 0, 3, 2])
    points = 1.4 * torch.rand((4, 200, 2) if own_points else (200, 2), generator=generator) - 0.2  # also outside
    masks = masks_from_id_map(id_map, 4)[ids]
    expected = sample_maps(masks.float(), points if own_points else points.expand(4, -1, -1))
    torch.testing.assert_close(sample_id_map(id_map, ids, points), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(sample_bitmaps(masks, points), expected)


def test_a_sample_by_hand():
    # (1/3, 1/2) is the corner of four pixels 0 0 / -1 2
    corner = torch.tensor([[1 / 3, 0.5]])
    torch.testing.assert_close(sample_id_map(ID_MAP, torch.arange(3), corner), torch.tensor([[0.5], [0.0], [0.25]]))


def test_without_segments_nothing_is_read():
    none = torch.zeros(0, dtype=torch.int64)
    assert sample_id_map(ID_MAP, none, torch.rand(5, 2)).shape == (0, 5)
    assert sample_id_map(ID_MAP, none, torch.rand(0, 5, 2)).shape == (0, 5)
    assert sample_bitmaps(torch.zeros(0, 2, 3, dtype=torch.bool), torch.rand(5, 2)).shape == (0, 5)


def test_a_point_is_known_if_its_pixel_is_known():
    void = ID_MAP == -1
    points = torch.tensor([[0.1, 0.9], [0.33, 0.51], [0.34, 0.51], [0.1, 0.49], [0.0, 1.0], [1.0, 1.0]])
    assert known_at(void, points).tolist() == [False, False, True, True, False, True]
    assert known_at(void, points.view(2, 3, 2)).shape == (2, 3)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"id map: expected \(H, W\), got shape \(1, 2, 3\)"):
        sample_id_map(ID_MAP[None], torch.arange(2), torch.rand(5, 2))
    with pytest.raises(ValueError, match=r"id map: expected integer ids, got torch.float32"):
        masks_from_id_map(ID_MAP.float(), 3)
    with pytest.raises(ValueError, match=r"id map: expected \(H, W\), got shape \(6,\)"):
        masks_from_id_map(ID_MAP.flatten(), 3)
