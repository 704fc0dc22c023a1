"""Turn a linear class layer into a classifier over given vectors, such as text embeddings.

Letters: K classes, J = K + 1 with the background last, C channels of the query, E = C + 1 with the bias last, D text
dimension, R dimensions that the classes span, N other vectors.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

_SAME_WORD = 0.9999  # cosine: rounding to float16 costs 1e-7, and texts that differ in a letter are further apart
_SAME_DIRECTION = 1e-7  # times the largest singular value: a direction below that is a rounding error
_SMALLEST = 1e-9  # eigenvalue of the Gram matrix (their mean is 1): below it the rows count as linearly dependent


def background_direction(vectors_KD: Tensor) -> Tensor:
    """A unit vector for the background, orthogonal to all classes.

    For these classes, any direction of the orthogonal complement will do. A random vector is projected onto it, so that
    no class added later is favoured.

    Args:
        vectors_KD: (K, D) float, of any length.

    Returns:
        (D,) float64, of unit length.

    Raises:
        ValueError: There is no such vector: the K vectors span all D dimensions.
    """
    vectors_KD = vectors_KD.double()
    num_classes, dim = vectors_KD.shape
    _, values, rows_RD = torch.linalg.svd(vectors_KD, full_matrices=False)
    rows_RD = rows_RD[values > _SAME_DIRECTION * values.max()]
    if len(rows_RD) >= dim:
        raise ValueError(
            f"expected fewer independent classes than dimensions, got {num_classes} classes that span all {dim}"
        )
    direction_D = torch.randn(dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for _ in range(2):  # the second pass removes what rounding left
        direction_D = direction_D - rows_RD.T @ (rows_RD @ direction_D)
        direction_D = direction_D / direction_D.norm()
    return direction_D


def class_layer_for_vectors(
    weight_JC: Tensor, bias_J: Tensor, vectors_JD: Tensor, *, ridge: float = 0.0
) -> tuple[Tensor, Tensor]:
    """The linear map of a query to a class embedding whose products with given vectors are a class layer's logits.

    With A the vectors and W, b the class layer, M = Aᵀ (A Aᵀ + ridge I)⁻¹ W and m likewise of b: the smallest M, m that
    minimise |A M - W|² + ridge |M|². Without a ridge, M is the solution by the pseudo-inverse: A (M x + m) = W x + b
    exactly, for every x. A ridge gives up exactness; in return, class embeddings are shorter along directions in which
    the vectors hardly differ.

    Args:
        weight_JC: (K + 1, C), weights of the class layer.
        bias_J: (K + 1,), its biases.
        vectors_JD: (K + 1, D), unit rows: the classes' and the background's, linearly independent unless there is a
            ridge.
        ridge: At least 0; relative to the squared lengths of the vectors, which are 1.

    Returns:
        (D, C) and (D,) float64.

    Raises:
        ValueError: The numbers of rows differ; the ridge is negative; or there is none and the vectors are linearly
            dependent.
    """
    if not len(weight_JC) == len(bias_J) == len(vectors_JD):
        raise ValueError(
            f"expected as many vectors as the class layer has rows and biases, got {len(vectors_JD)} vectors, "
            f"{len(weight_JC)} rows and {len(bias_J)} biases"
        )
    _check_ridge(ridge)
    vectors_JD = vectors_JD.double()
    gram_JJ = vectors_JD @ vectors_JD.T
    values_J, basis_JJ = torch.linalg.eigh(gram_JJ)
    if ridge == 0:
        _require_independent(values_J, gram_JJ)
    layer_JE = torch.cat([weight_JC, bias_J[:, None]], dim=1).double()
    solved_JE = basis_JJ @ ((basis_JJ.T @ layer_JE) / (values_J + ridge)[:, None])
    found_DE = vectors_JD.T @ solved_JE
    return found_DE[:, :-1], found_DE[:, -1]


def _check_ridge(ridge: float) -> None:
    if not 0 <= ridge < float("inf"):
        raise ValueError(f"ridge: expected a number of at least 0, got {ridge}")


def _require_independent(values_J: Tensor, gram_JJ: Tensor) -> None:
    """Refuse linearly dependent vectors, by the ascending eigenvalues of their Gram matrix."""
    if values_J[0] >= _SMALLEST:
        return
    one, other = nearest_pair(gram_JJ)
    raise ValueError(
        f"the vectors are linearly dependent, so no class layer is exact; rows {one} and {other} are the most "
        f"similar, with a product of {float(gram_JJ[one, other]):.6f}; give a ridge"
    )


def exact_vectors(vectors_JD: Tensor, *, ridge: float) -> Tensor:
    """The vectors whose products with the class embeddings of `class_layer_for_vectors` are the class layer's logits.

    With G = A Aᵀ, the products with A are G (G + ridge I)⁻¹ (W x + b). So those with V = (I + ridge G⁻¹) A are
    W x + b, whatever the ridge. Without a ridge, V = A.

    Args:
        vectors_JD: (K + 1, D), the vectors A given to `class_layer_for_vectors`, linearly independent.
        ridge: The ridge given to it, at least 0.

    Returns:
        (K + 1, D) float64; not of unit length if there is a ridge.

    Raises:
        ValueError: The ridge is negative, or the vectors are linearly dependent.
    """
    _check_ridge(ridge)
    vectors_JD = vectors_JD.double()
    gram_JJ = vectors_JD @ vectors_JD.T
    values_J, basis_JJ = torch.linalg.eigh(gram_JJ)
    _require_independent(values_J, gram_JJ)
    return vectors_JD + ridge * basis_JJ @ ((basis_JJ.T @ vectors_JD) / values_J[:, None])


def same_rows(rows_ND: Tensor, vectors_KD: Tensor) -> Tensor:
    """For each row, the vector that has its direction.

    Args:
        rows_ND: (N, D) float, of any length but 0.
        vectors_KD: (K, D) float, of any length but 0; K may be 0.

    Returns:
        (N,) int64: the index of the vector with the largest cosine, if that is at least 0.9999; otherwise -1.
    """
    if not len(vectors_KD):
        return rows_ND.new_full((len(rows_ND),), -1, dtype=torch.int64)
    cosines_NK = normalize(rows_ND.float(), dim=1) @ normalize(vectors_KD.float(), dim=1).T
    best_N, index_N = cosines_NK.max(1)
    return torch.where(best_N >= _SAME_WORD, index_N, -1)


def nearest_pair(gram_KK: Tensor) -> tuple[int, int]:
    """The two different rows with the largest product.

    Args:
        gram_KK: (K, K) float products of K vectors, K at least 2.

    Returns:
        Their indices, the smaller first.

    Raises:
        ValueError: There are fewer than two vectors.
    """
    if len(gram_KK) < 2:
        raise ValueError(f"expected at least two vectors, got {len(gram_KK)}")
    pairs = torch.triu_indices(len(gram_KK), len(gram_KK), offset=1)
    best = int(gram_KK[pairs[0], pairs[1]].argmax())
    return int(pairs[0, best]), int(pairs[1, best])
