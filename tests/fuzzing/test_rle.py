"""Masks in COCO files: compressed RLE, uncompressed RLE and polygons."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mmdataseg.formats.masks import compressed_runs, decode_mask, describe_mask
from tests.fuzzing.strategies import ODD, masks, mostly, spoilt_bytes

SIZES = st.tuples(st.integers(1, 6), st.integers(1, 6))


def slow_runs(counts: bytes) -> list[int]:
    """Decode the runs of a compressed RLE, character by character."""
    runs: list[int] = []
    at = 0
    while at < len(counts):
        value, shift, more = 0, 0, True
        while more:
            code = counts[at] - 48
            assert 0 <= code < 64
            value |= (code & 31) << shift
            more = bool(code & 32)
            shift += 5
            at += 1
        if code & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs


def slow_mask(runs: list[int], height: int, width: int) -> np.ndarray:
    """Build the mask column by column. Runs alternate between off and on, and the first run is off."""
    pixels: list[int] = []
    for index, run in enumerate(runs):
        pixels += [index % 2] * run
    assert len(pixels) == height * width
    return np.array(pixels, np.uint8).reshape(width, height).T


@given(st.data(), SIZES)
def test_a_mask_survives_writing_and_reading(data: st.DataObject, size: tuple[int, int]) -> None:
    mask = data.draw(masks(*size))
    segmentation = describe_mask(mask)["segmentation"]
    assert (decode_mask(segmentation, *size) == mask).all()
    assert (slow_mask(slow_runs(segmentation["counts"].encode()), *size) == mask).all()


@given(st.data(), SIZES)
def test_damaged_text_is_refused_or_read_as_the_slow_reader_reads_it(
    data: st.DataObject, size: tuple[int, int]
) -> None:
    counts = describe_mask(data.draw(masks(*size)))["segmentation"]["counts"].encode()
    damaged = data.draw(st.one_of(spoilt_bytes(counts), st.binary(max_size=12)))
    try:
        found = decode_mask({"size": list(size), "counts": damaged}, *size)
    except ValueError:
        return
    assert (found == slow_mask(slow_runs(damaged), *size)).all()
    assert compressed_runs(damaged).tolist() == slow_runs(damaged)


@given(st.data(), SIZES)
def test_listed_runs(data: st.DataObject, size: tuple[int, int]) -> None:
    runs: Any = data.draw(mostly(st.lists(mostly(st.integers(0, 12)), max_size=6)))
    sides: Any = data.draw(mostly(st.just(list(size))))
    try:
        found = decode_mask({"size": sides, "counts": runs}, *size)
    except ValueError:
        return
    assert (found == slow_mask([int(run) for run in runs], *size)).all()


@given(st.data(), SIZES)
def test_polygons_give_a_mask_or_a_value_error(data: st.DataObject, size: tuple[int, int]) -> None:
    number = st.one_of(st.floats(-2, 8), st.sampled_from([1e9, -1e9, 1e308, float("nan")]), st.integers(-2, 2**40), ODD)
    right = st.lists(st.floats(-2, 8), min_size=6, max_size=8)
    polygons: Any = data.draw(st.lists(st.one_of(right, right, st.lists(number, max_size=8), ODD), max_size=2))
    try:
        found = decode_mask(polygons, *size)
    except ValueError:
        return
    assert found.shape == size
    assert set(np.unique(found).tolist()) <= {0, 1}
