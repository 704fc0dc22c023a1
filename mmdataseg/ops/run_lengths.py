"""Maps read as runs: pixels that follow each other in reading order and have the same value.

A map of regions has some thousand runs where it has a million pixels. So values are looked up, sorted and counted once
per run. This is slower only for maps of noise, which have nearly as many runs as pixels.

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
    """Return the number of pixels of each run, (R,) int64, for the result of `run_starts` and the pixels of the map."""
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


def count_pairs(true_HW: np.ndarray, predicted_HW: np.ndarray, *, num_true: int, num_predicted: int) -> np.ndarray:
    """Count the pixels of each pair of a true and a predicted value, of which -1 is void.

    Args:
        true_HW: (H, W) integers, -1 .. num_true - 1.
        predicted_HW: (H, W) integers, -1 .. num_predicted - 1.
        num_true: Number of values of the true map, may be 0.
        num_predicted: Number of values of the predicted map, may be 0.

    Returns:
        (num_true + 1, num_predicted + 1) int64. Row 0 and column 0 are void; true value i is row i + 1, predicted value
        j column j + 1.

    Raises:
        ValueError: The maps differ in size, or a value is outside its range.
    """
    if true_HW.shape != predicted_HW.shape:
        raise ValueError(
            f"true and predicted map must have the same size, got {true_HW.shape} and {predicted_HW.shape}"
        )
    starts_R = run_starts(true_HW, predicted_HW)
    true_R, predicted_R = (map_HW.ravel()[starts_R].astype(np.int64) for map_HW in (true_HW, predicted_HW))
    for name, values_R, count in (("true", true_R, num_true), ("predicted", predicted_R, num_predicted)):
        if values_R.size and (values_R.min() < -1 or values_R.max() >= count):
            raise ValueError(
                f"{name} map: expected values in -1 .. {count - 1}, got {values_R.min()} .. {values_R.max()}"
            )
    pairs_R = (true_R + 1) * (num_predicted + 1) + predicted_R + 1
    bins = (num_true + 1) * (num_predicted + 1)
    # sums of integers are exact in float64
    counts = np.bincount(pairs_R, weights=run_lengths(starts_R, true_HW.size), minlength=bins)
    return counts.astype(np.int64).reshape(num_true + 1, num_predicted + 1)
