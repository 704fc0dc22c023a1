"""A linear class layer turned into one that answers to vectors: text embeddings, or any others.

Letters: K classes, J = K + 1 with the background last, C channels of the query, D text dimension.
"""

import torch
from torch import Tensor

_SAME_DIRECTION = 1e-7  # of the largest singular value: below it a direction is rounding
_SMALLEST = 1e-9  # of the Gram matrix's eigenvalues, whose mean is 1: below it two rows are one


def background_direction(vectors_KD: Tensor, *, seed: int = 0) -> Tensor:
    """A unit vector that is orthogonal to all classes: what stands for the background.

    Any direction of the orthogonal complement does for these classes. For words to come it should favour none, so a
    random one is projected.

    Args:
        vectors_KD: (K, D).
        seed: Of the random direction.

    Returns:
        (D,) float64.

    Raises:
        ValueError: No such vector: K vectors span all D dimensions.
    """
    vectors_KD = vectors_KD.double()
    num_classes, dim = vectors_KD.shape
    _, values, rows_RD = torch.linalg.svd(vectors_KD, full_matrices=False)
    rows_RD = rows_RD[values > _SAME_DIRECTION * values.max()]
    if len(rows_RD) >= dim:
        raise ValueError(
            f"expected fewer independent classes than dimensions, got {num_classes} classes that span all {dim}"
        )
    direction_D = torch.randn(dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    for _ in range(2):  # once more, for what rounding left
        direction_D = direction_D - rows_RD.T @ (rows_RD @ direction_D)
        direction_D = direction_D / direction_D.norm()
    return direction_D


def class_layer_for_vectors(
    weight_JC: Tensor, bias_J: Tensor, vectors_JD: Tensor, *, ridge: float = 0.0
) -> tuple[Tensor, Tensor]:
    """The linear map of a query to a class embedding whose products with given vectors are a class layer's logits.

    With A the vectors and W, b the class layer, M = Aᵀ (A Aᵀ + ridge I)⁻¹ W and m likewise of b: the smallest M, m that
    minimise |A M - W|² + ridge |M|². Without a ridge A (M x + m) = W x + b for every x, exactly: M is the
    pseudo-inverse's. A ridge gives up exactness for class embeddings that are shorter along directions in which the
    vectors hardly differ.

    Args:
        weight_JC: (K + 1, C) of the class layer.
        bias_J: (K + 1,).
        vectors_JD: (K + 1, D), unit rows: the classes' and the background's, linearly independent unless there is a
            ridge.
        ridge: Not negative; of the scale of the vectors' squared lengths, which are 1.

    Returns:
        (D, C) and (D,) float64.

    Raises:
        ValueError: Other numbers of rows; a negative ridge; without one, vectors that depend on each other.
    """
    if not len(weight_JC) == len(bias_J) == len(vectors_JD):
        raise ValueError(
            f"expected as many vectors as the class layer has rows and biases, got {len(vectors_JD)} vectors, "
            f"{len(weight_JC)} rows and {len(bias_J)} biases"
        )
    if not 0 <= ridge < float("inf"):
        raise ValueError(f"ridge: expected a number that is not negative, got {ridge}")
    vectors_JD = vectors_JD.double()
    gram_JJ = vectors_JD @ vectors_JD.T
    values_J, turned_JJ = torch.linalg.eigh(gram_JJ)
    if ridge == 0 and values_J[0] < _SMALLEST:
        one, other = nearest_pair(gram_JJ)
        raise ValueError(
            f"the vectors depend on each other, so no class layer is exact; rows {one} and {other} are the nearest, "
            f"with a product of {float(gram_JJ[one, other]):.6f}; give a ridge"
        )
    layer_JE = torch.cat([weight_JC, bias_J[:, None]], dim=1).double()
    solved_JE = turned_JJ @ ((turned_JJ.T @ layer_JE) / (values_J + ridge)[:, None])
    found_DE = vectors_JD.T @ solved_JE
    return found_DE[:, :-1], found_DE[:, -1]


def nearest_pair(gram_KK: Tensor) -> tuple[int, int]:
    """The two different rows with the largest product.

    Args:
        gram_KK: (K, K) products of K vectors, K at least 2.

    Returns:
        Their numbers, the smaller first.

    Raises:
        ValueError: Fewer than two vectors.
    """
    if len(gram_KK) < 2:
        raise ValueError(f"expected at least two vectors, got {len(gram_KK)}")
    pairs = torch.triu_indices(len(gram_KK), len(gram_KK), offset=1)
    best = int(gram_KK[pairs[0], pairs[1]].argmax())
    return int(pairs[0, best]), int(pairs[1, best])
