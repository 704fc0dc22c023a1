"""Matching, against scipy one matrix at a time."""

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from mmdataseg.ops.matching import match


def test_by_hand():
    # the cheapest query of both targets is 0, but together 2 -> target 0 and 0 -> target 1 cost 1 + 0 < 0 + 5
    cost = torch.tensor([[[0.0, 0.0], [9.0, 9.0], [1.0, 5.0]]])
    assert match([cost]).tolist() == [[[1, -1, 0]]]


def test_equals_scipy_for_every_image_and_output():
    generator = torch.Generator().manual_seed(0)
    widths = [3, 0, 12, 5]  # more targets than queries, and none
    costs = [torch.randn(4, 5, n, generator=generator) for n in widths]
    found = match(costs)
    assert found.shape == (4, 4, 5)
    for cost, targets in zip(costs, found, strict=True):
        for output in range(4):
            (queries,) = (targets[output] >= 0).nonzero(as_tuple=True)
            matched = targets[output, queries]
            assert len(queries) == matched.unique().numel() == min(5, cost.shape[2])
            rows, columns = linear_sum_assignment(cost[output])
            torch.testing.assert_close(cost[output][queries, matched].sum(), cost[output][rows, columns].sum())


def test_costs_are_copied_to_the_host_once_and_answers_back_once(monkeypatch):
    trips = []
    cpu, to = torch.Tensor.cpu, torch.Tensor.to
    monkeypatch.setattr(torch.Tensor, "cpu", lambda t: (trips.append("to the host"), cpu(t))[1])
    monkeypatch.setattr(torch.Tensor, "to", lambda t, *a, **k: (trips.append("back"), to(t, *a, **k))[1])
    match([torch.randn(6, 5, n) for n in (3, 2, 4)])
    assert trips == ["to the host", "back"]


def test_without_targets_nothing_is_matched():
    targets = match([torch.zeros(3, 5, 0)] * 2)
    assert torch.equal(targets, torch.full((2, 3, 5), -1))
    assert targets.dtype == torch.int64


def test_costs_that_are_not_finite_raise_nothing_and_are_avoided():
    cost = torch.tensor([[[float("nan"), 1.0], [2.0, float("inf")], [float("inf"), float("nan")]]])
    assert match([cost]).tolist() == [[[1, 0, -1]]]


def test_half_precision_costs_are_matched_without_a_gradient():
    cost = torch.randn(1, 4, 2).to(torch.bfloat16).requires_grad_()
    targets = match([cost])
    assert not targets.requires_grad
    assert sorted(targets.flatten().tolist()) == [-1, -1, 0, 1]


class TestLastResorts:
    def test_by_hand(self):
        # queries 0 and 2 suit the targets best, but 0 is a last resort
        cost = torch.tensor([[[-9.0, 0.0], [5.0, 6.0], [0.0, -9.0]]])
        last_resort = torch.tensor([[[True, False, False]]])
        assert match([cost], last_resort).tolist() == [[[-1, 0, 1]]]

    def test_last_resorts_are_used_if_the_others_are_too_few(self):
        cost = torch.tensor([[[3.0, 9.0], [1.0, 4.0], [0.0, 0.5]]])
        targets = match([cost], torch.tensor([[[True, True, False]]]))
        assert targets.tolist() == [[[-1, 0, 1]]]  # 1 + 0.5: as few last resorts as possible, and the cheapest choice

    def test_as_few_last_resorts_as_possible_are_used_whatever_the_costs(self):
        generator = torch.Generator().manual_seed(0)
        costs = [1e4 * torch.randn(3, 12, n, generator=generator) for n in (3, 8, 12, 20)]
        last_resort = torch.rand(4, 3, 12, generator=generator) < 0.6
        for cost, flags, targets in zip(costs, last_resort, match(costs, last_resort), strict=True):
            taken = (flags & (targets >= 0)).sum(1)
            needed = (min(12, cost.shape[2]) - (~flags).sum(1)).clamp(min=0)
            assert torch.equal(taken, needed)

    def test_none_equals_flags_that_are_all_false(self):
        costs = [torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))]
        assert torch.equal(match(costs), match(costs, torch.zeros(1, 2, 6, dtype=torch.bool)))

    def test_another_shape_is_refused(self):
        with pytest.raises(ValueError, match=r"expected last resorts of shape \(1, 2, 6\), got \(1, 2, 5\)"):
            match([torch.zeros(2, 6, 4)], torch.zeros(1, 2, 5, dtype=torch.bool))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="at least one image, got none"):
        match([])
    with pytest.raises(ValueError, match=r"one L and one Q, got \[\(1, 4, 2\), \(1, 5, 2\)\]"):
        match([torch.zeros(1, 4, 2), torch.zeros(1, 5, 2)])
    with pytest.raises(ValueError, match=r"costs must be \(L, Q, N\)"):
        match([torch.zeros(4, 2)])
