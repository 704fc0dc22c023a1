"""Which segments are the same object, and which are at the same place."""

import numpy as np
import pytest

from mmdataseg.visualization.drawing import Segment
from mmdataseg.visualization.overlaps import best_at_each_place, overlap, same_objects


def columns(first, last, label=0, name=""):
    """A segment of whole columns of an image of 4 x 10 pixels."""
    mask = np.zeros((4, 10), bool)
    mask[:, first:last] = True
    return Segment(name=name, color=(1, 2, 3), mask=mask, label=label)


def box(x1, x2, label=0):
    return Segment(name="", color=(1, 2, 3), box=(x1, 0, x2, 4), label=label)


def test_intersection_over_union_of_masks_and_boxes():
    found = overlap([columns(0, 4), box(0, 4)], [columns(2, 6), columns(0, 4), box(4, 8)])
    np.testing.assert_allclose(found, [[2 / 6, 1, 0], [2 / 6, 1, 0]])
    assert overlap([], [columns(0, 1)]).shape == (0, 1)
    assert overlap([columns(0, 1)], []).shape == (1, 0)


def test_an_empty_mask_overlaps_nothing():
    assert overlap([columns(0, 0)], [columns(0, 4)]).tolist() == [[0]]


def test_pairs_are_of_one_class_and_those_that_overlap_most_come_first():
    first = [columns(0, 4), columns(0, 5), columns(6, 10, label=1)]
    second = [columns(0, 5), columns(6, 10)]
    assert same_objects(first, second) == {1: 0}, "0 overlaps it less, 2 is of another class"
    assert same_objects(first, [*second, columns(1, 4)]) == {1: 0, 0: 2}
    assert same_objects([], second) == {}


def test_segments_are_the_same_object_from_an_overlap_of_three_tenths_on():
    assert same_objects([columns(0, 10)], [columns(0, 3)]) == {0: 0}
    assert same_objects([columns(0, 10)], [columns(0, 2)]) == {}


@pytest.mark.parametrize(("last_column", "kept"), [(4, "bc"), (3, "abc")])
def test_of_segments_at_one_place_the_best_is_kept(last_column, kept):
    """The last one is the best. a and b share 4 of 6 columns, or 3, which is exactly half; b and c share 1 of 10."""
    a, b, c = columns(0, last_column, name="a"), columns(0, 6, label=1, name="b"), columns(5, 10, name="c")
    assert "".join(s.name for s in best_at_each_place([a, b, c])) == kept


def test_what_is_left_out_does_not_leave_out_others():
    """a is at the place of b, and b at that of c; a is not at the place of c, so only b goes."""
    a, b, c = columns(0, 4, name="a"), columns(1, 5, name="b"), columns(2, 6, name="c")
    assert [s.name for s in best_at_each_place([a, b, c])] == ["a", "c"]
    assert best_at_each_place([]) == []
