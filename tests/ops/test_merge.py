"""MERGE in training: who joins whom, and what the union is."""

import pytest
import torch

from mmdataseg.ops.merge import absorb, merge_masks

BACKGROUND = 3


def logits_of(classes: list[list[int]]) -> torch.Tensor:
    """(L, Q, K + 1) logits whose most likely classes are the given ones."""
    return torch.nn.functional.one_hot(torch.tensor(classes), BACKGROUND + 1).float()


def test_by_hand():
    # pairs: query 4 with a target of class 0 (mergeable), query 1 with class 1 (not), query 0 with class 2 (mergeable)
    queries, labels = torch.tensor([[4, 1, 0]]), torch.tensor([[0, 1, 2]])
    mergeable = torch.tensor([[True, False, True]])
    #                   0  1  2  3  4  5  6
    logits = logits_of([[0, 0, 0, 1, 1, 2, BACKGROUND]])
    # 0, 1 and 4 stay with their own pair whatever they say; 2 joins class 0, 5 class 2; class 1 takes none
    assert absorb(logits, queries, labels, mergeable).tolist() == [[2, 1, 0, -1, 0, 2, -1]]


def test_outputs_are_merged_apart():
    queries, labels = torch.tensor([[0], [1]]), torch.tensor([[0], [0]])
    logits = logits_of([[0, 0, 1], [0, 0, 1]])
    mergeable = torch.tensor([[True], [False]])
    assert absorb(logits, queries, labels, mergeable).tolist() == [[0, 0, -1], [-1, 0, -1]]


def test_without_mergeable_targets_only_the_matched_belong():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 6, 4, generator=generator)
    queries = torch.stack([torch.randperm(6, generator=generator)[:3] for _ in range(2)])
    labels = torch.tensor([[1, 1, 2]]).expand(2, -1)  # two things of one class
    groups = absorb(logits, queries, labels, torch.zeros(2, 3, dtype=torch.bool))
    assert (groups >= 0).sum() == 6
    assert torch.equal(groups.gather(1, queries), torch.arange(3).expand(2, -1))


def test_absorb_without_pairs():
    none = torch.zeros(2, 0, dtype=torch.int64)
    groups = absorb(torch.randn(2, 5, 4), none, none, none.bool())
    assert groups.tolist() == [[-1] * 5] * 2


def test_absorb_refuses_pairs_of_different_shape():
    with pytest.raises(ValueError, match=r"queries, labels and mergeable must be of one shape.*\(1, 2\), \(1, 3\)"):
        absorb(
            torch.zeros(1, 5, 4),
            torch.tensor([[0, 1]]),
            torch.zeros(1, 3, dtype=torch.int64),
            torch.zeros(1, 2, dtype=torch.bool),
        )


def test_the_union_by_hand():
    masks = torch.tensor([[[1.0, -2.0]], [[-3.0, -4.0]], [[0.5, 6.0]]])
    merged = merge_masks(masks, torch.tensor([1, 0, 1]), 2)
    assert merged.tolist() == [[[-3.0, -4.0]], [[1.0, 6.0]]]  # below 0 stays below 0


def test_the_gradient_goes_to_the_member_that_claims_most():
    masks = torch.tensor([[[1.0, -2.0]], [[-3.0, -4.0]], [[0.5, 6.0]]], requires_grad=True)
    (merge_masks(masks, torch.tensor([1, 0, 1]), 2) * torch.tensor([[[10.0, 20.0]], [[30.0, 40.0]]])).sum().backward()
    assert masks.grad.tolist() == [[[30.0, 0.0]], [[10.0, 20.0]], [[0.0, 40.0]]]


def test_groups_of_one_are_only_put_in_order():
    masks, order = torch.randn(4, 3, 5), torch.tensor([2, 0, 3, 1])
    assert torch.equal(merge_masks(masks, order, 4)[order], masks)


def test_no_mask_to_merge():
    assert merge_masks(torch.zeros(0, 3, 5), torch.zeros(0, dtype=torch.int64), 0).shape == (0, 3, 5)


def test_merge_masks_refuses_another_number_of_groups():
    with pytest.raises(ValueError, match=r"expected a group for each of 2 masks, got shape \(3,\)"):
        merge_masks(torch.zeros(2, 3, 5), torch.zeros(3, dtype=torch.int64), 1)
