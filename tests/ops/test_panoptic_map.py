"""Panoptic maps of two kinds of writers: void has its own id, or it is the number of classes."""

import pytest
import torch

from mmdataseg.ops.panoptic_map import panoptic_masks, read_panoptic_map

FOUR = dict(num_classes=4, offset=1000)


def test_a_map_by_hand():
    # two segments of class 3, one of class 0; 0 is void
    ids = torch.tensor([[0, 1003, 1003], [2000, 0, 3003]])
    rows, labels = read_panoptic_map(ids, **FOUR, ignore_index=0)
    assert rows.tolist() == [[-1, 0, 0], [1, -1, 2]]
    assert labels.tolist() == [3, 0, 3]


def test_by_default_void_is_the_number_of_classes():
    """As in mmdet's own heads; 0 is then a segment: stuff of class 0."""
    rows, labels = read_panoptic_map(torch.tensor([[0, 4, 1000, 2]]), **FOUR)
    assert rows.tolist() == [[0, -1, 2, 1]]
    assert labels.tolist() == [0, 2, 0]


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_labels_are_int64_whatever_the_dtype_of_the_map(dtype):
    """mmdet's fusion heads write int32."""
    rows, labels = read_panoptic_map(torch.tensor([[1002, 4]], dtype=dtype), **FOUR)
    assert (rows.tolist(), labels.tolist()) == ([[0, -1]], [2])
    assert rows.dtype == labels.dtype == torch.int64


def test_each_segment_is_a_row_of_its_class():
    ids = torch.randint(0, 4, (9, 11), generator=torch.Generator().manual_seed(0)) + 1000 * torch.arange(11)
    rows, labels = read_panoptic_map(ids, **FOUR, ignore_index=0)
    known = ids != 0
    assert torch.equal(labels[rows[known]], ids[known] % 1000)
    assert (rows[~known] == -1).all()
    assert len(labels) == ids[known].unique().numel() == rows[known].unique().numel()


def test_a_void_or_empty_map_has_no_segments():
    rows, labels = read_panoptic_map(torch.zeros(2, 3, dtype=torch.long), **FOUR, ignore_index=0)
    assert rows.tolist() == [[-1] * 3] * 2
    assert labels.shape == (0,)
    rows, labels = read_panoptic_map(torch.zeros(0, 3, dtype=torch.long), **FOUR)
    assert (rows.shape, labels.shape) == ((0, 3), (0,))


def test_an_unknown_class_is_refused():
    with pytest.raises(ValueError, match="predicted class 4, the label space has 4 classes"):
        read_panoptic_map(torch.tensor([[1004]]), **FOUR, ignore_index=0)


@pytest.mark.parametrize("ignore_index", [0, None])
def test_the_masks_are_those_of_the_rows(ignore_index):
    ids = torch.tensor([[0, 4, 1002, 2001], [4, 4, 1002, 2003]], dtype=torch.int32)
    ids = ids.masked_fill(ids == 4, 0) if ignore_index == 0 else ids
    rows, labels = read_panoptic_map(ids, **FOUR, ignore_index=ignore_index)
    masks = panoptic_masks(ids, **FOUR, ignore_index=ignore_index)
    assert [label for label, _ in masks] == labels.tolist()
    for row, (_, mask) in enumerate(masks):
        assert torch.equal(mask.full(), rows == row)


def test_a_class_that_does_not_exist_has_no_mask():
    with pytest.raises(ValueError, match="predicted class 4, the label space has 4 classes"):
        panoptic_masks(torch.tensor([[1004]]), **FOUR, ignore_index=0)
