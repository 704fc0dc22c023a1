"""Where names are written."""

import numpy as np
import pytest

from mmdataseg.visualization.labels import Label, innermost_point, write_labels

GREY = np.full((120, 300, 3), 100, np.uint8)


def area(top, left, bottom, right):
    mask = np.zeros(GREY.shape[:2], np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def written(*labels, note=""):
    """Where the picture changed: (height, width) bool."""
    return (write_labels(GREY, labels, note=note, font_size=13) != GREY).any(axis=2)


def label(mask, text="green square"):
    return Label(text=text, color=(255, 0, 0), mask=mask)


def test_the_innermost_point_of_a_rectangle_is_in_its_middle_and_of_a_ring_on_it():
    x, y = innermost_point(area(10, 20, 31, 101))
    assert y == 20
    assert 30 <= x <= 90
    ring = area(0, 0, 120, 300) - area(20, 20, 100, 280)
    x, y = innermost_point(ring)
    assert ring[int(y), int(x)] == 1


@pytest.mark.parametrize("mask", [area(40, 100, 64, 220), area(0, 0, 24, 120), area(96, 180, 120, 300)])
def test_a_name_lies_inside_its_segment_where_it_fits(mask):
    changed = written(label(mask))
    assert changed.any()
    assert not (changed & (mask == 0)).any()


def test_an_l_shape_has_its_name_in_the_arm_where_it_fits():
    """Its innermost point is in the corner, where the name would hang out."""
    mask = np.maximum(area(0, 0, 120, 40), area(98, 0, 120, 300))
    changed = written(label(mask))
    assert changed.any()
    assert not (changed & (mask == 0)).any()


def test_a_name_that_does_not_fit_is_on_its_segment_all_the_same():
    mask = area(50, 140, 60, 150)
    changed = written(label(mask))
    assert changed[50:60, 140:150].mean() > 0.9


def test_a_small_segment_on_a_large_one_keeps_its_place():
    large, small = area(0, 0, 120, 300), area(50, 90, 74, 210)
    both = written(label(large), label(small))
    assert (both & (small == 0)).any(), "the large one's name moved out"
    assert not (written(label(small)) & ~both).any()


def test_the_note_is_in_the_corner_and_names_avoid_it():
    note = written(note="nothing found")
    assert note[100:, :120].any()
    assert not note[:90].any()
    mask = area(90, 0, 120, 300)
    named = written(label(mask), note="nothing found")
    assert named.sum() == written(label(area(90, 140, 120, 300))).sum() + note.sum()


def test_a_box_has_its_name_above_its_corner():
    changed = written(Label(text="dog", color=(255, 0, 0), corner=(50, 60)))
    assert changed[42:61, 50:60].any()
    assert not changed[62:].any()
