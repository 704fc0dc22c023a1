"""A class layer as products with vectors: by hand, exact without a ridge, shorter with one."""

import pytest
import torch

from mmdataseg.ops.class_layer import (
    background_direction,
    class_layer_for_vectors,
    exact_vectors,
    nearest_pair,
    same_rows,
)


def unit_rows(num, dim, seed=0):
    rows = torch.randn(num, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=1)


def test_a_layer_worked_out_by_hand():
    """Two classes along the axes x and (0.6, 0.8): e must have the products 1 and 2 with them, so e = (1, 1.75)."""
    vectors = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]])
    weight, bias = class_layer_for_vectors(torch.tensor([[1.0], [2.0]]), torch.tensor([0.0, 0.8]), vectors)
    torch.testing.assert_close(weight, torch.tensor([[1.0], [1.75], [0.0]], dtype=torch.float64))
    torch.testing.assert_close(bias, torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64))


def test_a_ridge_worked_out_by_hand():
    """One class along x: (1 + ridge)^-1 of the weight."""
    weight, bias = class_layer_for_vectors(torch.tensor([[3.0]]), torch.tensor([6.0]), torch.eye(1, 2), ridge=2.0)
    torch.testing.assert_close(weight, torch.tensor([[1.0], [0.0]], dtype=torch.float64))
    torch.testing.assert_close(bias, torch.tensor([2.0, 0.0], dtype=torch.float64))


def test_without_a_ridge_the_products_are_the_logits_of_any_layer():
    vectors, generator = unit_rows(9, 16), torch.Generator().manual_seed(1)
    weight, bias = torch.randn(9, 5, generator=generator), torch.randn(9, generator=generator)
    found, offset = class_layer_for_vectors(weight, bias, vectors)
    query = torch.randn(7, 5, dtype=torch.float64, generator=generator)
    expected = query @ weight.T.double() + bias.double()
    torch.testing.assert_close((query @ found.T + offset) @ vectors.T, expected)


def test_without_a_ridge_the_map_is_the_pseudo_inverse_solution():
    vectors, weight = unit_rows(6, 8), unit_rows(6, 4, seed=2)
    found, _ = class_layer_for_vectors(weight, torch.zeros(6), vectors)
    torch.testing.assert_close(found, torch.linalg.pinv(vectors) @ weight)


def test_a_larger_ridge_gives_shorter_class_embeddings_and_a_larger_error():
    vectors, weight = unit_rows(6, 8), unit_rows(6, 4, seed=2)
    lengths, errors = [], []
    for ridge in (0.0, 0.01, 0.1, 1.0, 10.0):
        found, _ = class_layer_for_vectors(weight, torch.zeros(6), vectors, ridge=ridge)
        lengths.append(float(found.norm()))
        errors.append(float((vectors @ found - weight).norm()))
    assert lengths == sorted(lengths, reverse=True)
    assert errors == sorted(errors)
    assert errors[0] < 1e-12


def test_the_order_of_the_classes_does_not_matter():
    vectors, weight, order = unit_rows(6, 8), unit_rows(6, 4, seed=2), torch.randperm(6)
    for ridge in (0.0, 0.3):
        one, _ = class_layer_for_vectors(weight, torch.zeros(6), vectors, ridge=ridge)
        other, _ = class_layer_for_vectors(weight[order], torch.zeros(6), vectors[order], ridge=ridge)
        torch.testing.assert_close(one, other)


def test_exact_vectors_worked_out_by_hand():
    """One class along x with ridge 2: the class embedding is a third of the logit, so the vector is three times x."""
    torch.testing.assert_close(exact_vectors(torch.eye(1, 2), ridge=2.0), torch.tensor([[3.0, 0.0]]).double())


@pytest.mark.parametrize("ridge", [0.0, 0.003, 0.3, 3.0])
def test_products_with_exact_vectors_are_the_logits_whatever_the_ridge(ridge):
    vectors, generator = unit_rows(9, 16), torch.Generator().manual_seed(1)
    weight, bias = torch.randn(9, 5, generator=generator), torch.randn(9, generator=generator)
    found, offset = class_layer_for_vectors(weight, bias, vectors, ridge=ridge)
    query = torch.randn(7, 5, dtype=torch.float64, generator=generator)
    expected = query @ weight.T.double() + bias.double()
    torch.testing.assert_close((query @ found.T + offset) @ exact_vectors(vectors, ridge=ridge).T, expected)


def test_exact_vectors_need_independent_vectors_and_a_ridge_of_at_least_0():
    vectors = unit_rows(4, 8)
    with pytest.raises(ValueError, match=r"ridge: expected a number of at least 0, got -1\.0"):
        exact_vectors(vectors, ridge=-1.0)
    vectors[3] = vectors[1]
    with pytest.raises(ValueError, match="rows 1 and 3 are the most similar"):
        exact_vectors(vectors, ridge=0.3)


def test_the_same_rows_are_found_by_hand():
    vectors = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    rows = torch.tensor([[0.0, 0.5], [1.0, 1.0], [-1.0, 0.0], [3.0, 0.0]])
    assert same_rows(rows, vectors).tolist() == [1, -1, -1, 0]
    assert same_rows(rows, vectors[:0]).tolist() == [-1] * 4


def test_rows_rounded_to_half_precision_are_still_the_same():
    vectors = unit_rows(30, 512).float()
    assert same_rows(vectors.half(), vectors).tolist() == list(range(30))


def test_the_background_by_hand_is_the_remaining_axis():
    direction = background_direction(torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]]))
    torch.testing.assert_close(direction.abs(), torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))


def test_the_background_is_orthogonal_to_every_class_even_if_two_are_equal():
    vectors = unit_rows(12, 16)
    vectors[3] = vectors[4]
    direction = background_direction(vectors)
    torch.testing.assert_close(direction.norm(), torch.tensor(1.0, dtype=torch.float64))
    assert float((vectors @ direction).abs().max()) < 1e-12
    torch.testing.assert_close(direction, background_direction(vectors))


def test_classes_that_span_everything_leave_no_background():
    with pytest.raises(ValueError, match="got 4 classes that span all 3"):
        background_direction(unit_rows(4, 3))


def test_two_classes_with_the_same_vector_need_a_ridge():
    vectors = unit_rows(4, 8)
    vectors[3] = vectors[1]
    layer = (torch.zeros(4, 2), torch.zeros(4), vectors)
    with pytest.raises(ValueError, match=r"rows 1 and 3 are the most similar, with a product of 1\.0"):
        class_layer_for_vectors(*layer)
    class_layer_for_vectors(*layer, ridge=1e-3)


@pytest.mark.parametrize(
    ("rows", "ridge", "message"),
    [(3, 0.0, "got 4 vectors, 3 rows and 3 biases"), (4, -1.0, "ridge: expected a number"), (4, float("nan"), "nan")],
)
def test_a_wrong_layer_or_ridge_is_refused(rows, ridge, message):
    with pytest.raises(ValueError, match=message):
        class_layer_for_vectors(torch.zeros(rows, 2), torch.zeros(rows), unit_rows(4, 8), ridge=ridge)


def test_the_nearest_pair_by_hand():
    assert nearest_pair(torch.tensor([[1.0, 0.2, 0.5], [0.2, 1.0, 0.9], [0.5, 0.9, 1.0]])) == (1, 2)
    with pytest.raises(ValueError, match="at least two vectors, got 1"):
        nearest_pair(torch.ones(1, 1))
