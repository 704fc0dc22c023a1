"""Maps read as runs, against what numpy finds pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdataseg.ops.run_lengths import count_pairs, map_of_runs, run_lengths, run_starts, unique_values

MAP = np.array([[5, 5, 2], [2, 2, 5]], np.int32)


def test_runs_go_on_in_the_next_row():
    starts = run_starts(MAP)
    assert starts.tolist() == [0, 2, 5]
    assert run_lengths(starts, MAP.size).tolist() == [2, 3, 1]


def test_a_run_of_two_maps_ends_where_one_of_them_changes():
    assert run_starts(MAP, np.array([[0, 1, 1], [1, 0, 0]])).tolist() == [0, 1, 2, 4, 5]


def test_one_value_for_each_run_by_hand():
    found = map_of_runs(np.array([7, 8, 9], np.int16), run_starts(MAP), MAP.shape)
    assert found.tolist() == [[7, 7, 8], [8, 8, 9]]
    assert found.dtype == np.int16


def test_values_and_their_places_by_hand():
    values, index = unique_values(MAP)
    assert values.tolist() == [2, 5]
    assert index.tolist() == [[1, 1, 0], [0, 0, 1]]
    assert index.dtype == np.int64


def test_pairs_by_hand():
    first = np.array([[0, 0, -1], [1, 1, 1]])
    second = np.array([[0, -1, -1], [-1, 0, 0]])
    # rows: void, 0, 1; columns: void, 0
    assert count_pairs(first, second, num_true=2, num_predicted=1).tolist() == [[1, 0], [1, 1], [1, 2]]


@st.composite
def two_maps(draw):
    """Two maps of one small size, values -1 .. 4."""
    size = draw(st.tuples(st.integers(0, 5), st.integers(0, 5)))
    count = size[0] * size[1]
    values = st.lists(st.integers(-1, 4), min_size=count, max_size=count)
    return tuple(np.array(draw(values), np.int32).reshape(size) for _ in range(2))


@given(two_maps())
def test_values_are_those_of_numpy(two):
    values, index = unique_values(two[0])
    expected_values, expected_index = np.unique(two[0], return_inverse=True)
    np.testing.assert_array_equal(values, expected_values)
    np.testing.assert_array_equal(index, expected_index.reshape(two[0].shape))


@given(two_maps())
def test_pairs_are_those_counted_pixel_by_pixel(two):
    expected = np.zeros((6, 6), np.int64)
    np.add.at(expected, (two[0].ravel() + 1, two[1].ravel() + 1), 1)
    np.testing.assert_array_equal(count_pairs(*two, num_true=5, num_predicted=5), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_maps_of_any_integers_are_read(dtype):
    large = np.iinfo(dtype).max
    values, index = unique_values(np.array([[large, 0], [0, large]], dtype))
    assert values.tolist() == [0, large]
    assert index.tolist() == [[1, 0], [0, 1]]


def test_maps_that_are_not_contiguous_are_read():
    values, index = unique_values(MAP.T)
    np.testing.assert_array_equal(values[index], MAP.T)


def test_a_million_pixels_of_one_value_are_counted_exactly():
    one = np.zeros((1000, 1000), np.int64)
    assert count_pairs(one, one, num_true=1, num_predicted=1).tolist() == [[0, 0], [0, 1_000_000]]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"the same size, got \(2, 3\) and \(3, 2\)"):
        count_pairs(MAP, MAP.T, num_true=6, num_predicted=6)
    with pytest.raises(ValueError, match=r"predicted map: expected values in -1 \.\. 4, got 2 \.\. 5"):
        count_pairs(MAP, MAP, num_true=6, num_predicted=5)
    with pytest.raises(ValueError, match=r"true map: expected values in -1 \.\. 5, got -2 \.\. 2"):
        count_pairs(np.array([[-2, 2]]), np.array([[0, 0]]), num_true=6, num_predicted=5)
