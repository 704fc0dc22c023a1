"""How much two ways of computing the same float32 numbers may differ.

Another processor or another number of threads uses other kernels: sums in another order, products fused with sums or
not, another exponential. The same is true of another shape, or of a row at another place in a batch. Equality bit for
bit is therefore required only if the same operations run twice on the same shapes in one process.

If a threshold or an argmax follows, the test also needs a case in which no number is so close to the decision that
kernels could change it. `make test-kernels` runs the tests with other kernels.
"""

# A few operations, or one sum of up to a few thousand terms, on numbers of about 1. A float32 has 1.2e-7.
SUMS = {"rtol": 1e-5, "atol": 1e-5}

# Through several layers: later layers amplify the rounding errors of earlier ones. Seen: 3e-6, and 2.3e-5 relative.
THROUGH_LAYERS = {"rtol": 1e-4, "atol": 1e-4}

# Class logits: cosines times a scale of 14 to 100. One near 0 is off by as much as a cosine times the scale.
CLASS_LOGITS = {"rtol": 1e-5, "atol": 1e-4}
