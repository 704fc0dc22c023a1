"""Tells which boxes are large enough to train on."""

import numpy as np

MIN_SIDE = 1.0


def large_enough(boxes: np.ndarray) -> np.ndarray:
    """Return whether each box is at least a pixel wide and high.

    Args:
        boxes: (N, 4) xyxy, pixels of the augmented image.

    Returns:
        (N,) bool.
    """
    return ((boxes[:, 2:] - boxes[:, :2]) >= MIN_SIDE).all(axis=1)
