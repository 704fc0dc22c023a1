"""How far two ways of computing the same float32 numbers may lie apart.

Another processor or another number of threads takes other kernels: sums in another order, products fused with sums or
not, another exponential. So does another shape, or a row at another place of a batch. Bit for bit is therefore for the
same way twice: the same operations on the same shapes in one process.

Where a threshold or an argmax comes after the numbers, the test also needs a case in which no number lies as near to
the decision as the kernels differ. `make test-kernels` runs the tests with other kernels.
"""

# A few operations, or one sum of up to a few thousand terms, on numbers of about 1. A float32 has 1.2e-7.
SUMS = {"rtol": 1e-5, "atol": 1e-5}

# Through several layers: the next layers enlarge what the first ones round. Seen: 3e-6, and 2.3e-5 relative.
THROUGH_LAYERS = {"rtol": 1e-4, "atol": 1e-4}

# Class logits: cosines times a scale of 14 to 100. One near 0 is off by as much as a cosine times the scale.
CLASS_LOGITS = {"rtol": 1e-5, "atol": 1e-4}
