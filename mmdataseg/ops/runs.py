"""Maps read as runs: pixels that follow each other in reading order and have the same value.

A map of regions has some thousand runs where it has a million pixels. So values are looked up, sorted and counted once
per run. A map of noise has nearly as many runs as pixels, and then takes at most a few tenths longer.

Letters: (H, W) the size of a map, R runs, V different values.
"""

import numpy as np


def run_starts(*maps_HW: np.ndarray) -> np.ndarray:
    """Find where the runs begin: at the first pixel, and at each one that differs in a map from the pixel before it.

    Args:
        maps_HW: (H, W) maps of one size, at least one.

    Returns:
        (R,) int64 positions in the flattened maps, ascending; empty for maps without pixels.
    """
    starts = np.zeros(maps_HW[0].size, bool)
    starts[:1] = True
    for values in (map_HW.ravel() for map_HW in maps_HW):
        starts[1:] |= values[1:] != values[:-1]
    return np.flatnonzero(starts)


def run_lengths(starts_R: np.ndarray, pixels: int) -> np.ndarray:
    """Return the number of pixels of each run.

    Args:
        starts_R: (R,) of `run_starts`.
        pixels: Number of pixels of the map.

    Returns:
        (R,) int64.
    """
    return np.diff(starts_R, append=pixels)


def map_of_runs(values_R: np.ndarray, starts_R: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Write one value for each run.

    Args:
        values_R: (R,) values.
        starts_R: (R,) of `run_starts`.
        size: (H, W).

    Returns:
        (H, W), of the type of the values.
    """
    return np.repeat(values_R, run_lengths(starts_R, size[0] * size[1])).reshape(size)


def unique_values(map_HW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the values of a map, as ``np.unique(map_HW, return_inverse=True)`` does.

    Args:
        map_HW: (H, W) integers.

    Returns:
        (V,) the values, ascending; (H, W) int64, the index of each pixel's value.
    """
    starts_R = run_starts(map_HW)
    values_V, index_R = np.unique(map_HW.ravel()[starts_R], return_inverse=True)
    return values_V, map_of_runs(index_R.astype(np.int64, copy=False), starts_R, map_HW.shape)


def count_pairs(first_HW: np.ndarray, second_HW: np.ndarray, *, num_first: int, num_second: int) -> np.ndarray:
    """Count the pixels of each pair of values, of which -1 is void.

    Args:
        first_HW: (H, W) integers, -1 .. num_first - 1.
        second_HW: (H, W) integers, -1 .. num_second - 1.
        num_first: Number of values of the first map, may be 0.
        num_second: Number of values of the second map, may be 0.

    Returns:
        (num_first + 1, num_second + 1) int64. Row 0 and column 0 are void; value i of the first map is row i + 1, value
        j of the second one is column j + 1.

    Raises:
        ValueError: The maps differ in size, or a value is outside its range.
    """
    if first_HW.shape != second_HW.shape:
        raise ValueError(f"true and predicted map must have the same size, got {first_HW.shape} and {second_HW.shape}")
    starts_R = run_starts(first_HW, second_HW)
    first_R, second_R = (map_HW.ravel()[starts_R].astype(np.int64) for map_HW in (first_HW, second_HW))
    for name, values_R, count in (("true", first_R, num_first), ("predicted", second_R, num_second)):
        if values_R.size and (values_R.min() < -1 or values_R.max() >= count):
            raise ValueError(
                f"{name} map: expected values in -1 .. {count - 1}, got {values_R.min()} .. {values_R.max()}"
            )
    pairs_R = (first_R + 1) * (num_second + 1) + second_R + 1
    bins = (num_first + 1) * (num_second + 1)
    # sums of integers are exact in float64
    counts = np.bincount(pairs_R, weights=run_lengths(starts_R, first_HW.size), minlength=bins)
    return counts.astype(np.int64).reshape(num_first + 1, num_second + 1)
