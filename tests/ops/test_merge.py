"""MERGE: which proposals are one row, the values of a row, and which members leave it."""

import pytest
import torch

from mmdataseg.ops.merge import (
    absorb,
    followers,
    merge_masks,
    merge_rows,
    row_maxima,
    row_means,
    row_sizes,
    split_rows,
)

PERSON, HORSE, BUILDING, BACKGROUND = range(4)
SEMANTIC, PANOPTIC, INSTANCE = (True, True, True), (False, False, True), (False, False, False)


def logits_of(classes: list[list[int]], sure: float = 1.0) -> torch.Tensor:
    """(L, Q, J) logits whose most likely classes are the given ones."""
    return sure * torch.nn.functional.one_hot(torch.tensor(classes), BACKGROUND + 1).float()


class TestRows:
    # the paper's figure: two riders, a horse, the left and the right part of one building; and a background proposal
    FIGURE = logits_of([[PERSON, PERSON, HORSE, BUILDING, BUILDING, BACKGROUND]])

    @pytest.mark.parametrize(
        ("mergeable", "expected"),
        [(SEMANTIC, [0, 0, 2, 3, 3, 5]), (PANOPTIC, [0, 1, 2, 3, 3, 5]), (INSTANCE, [0, 1, 2, 3, 4, 5])],
        ids=["semantic", "panoptic", "instance"],
    )
    def test_rows_of_the_papers_figure(self, mergeable, expected):
        assert merge_rows(self.FIGURE, mergeable).tolist() == [expected]

    def test_the_surest_member_leads(self):
        logits = self.FIGURE.clone()
        logits[0, 1, PERSON] += 1
        assert merge_rows(logits, SEMANTIC).tolist() == [[1, 1, 2, 3, 3, 5]]

    def test_proposals_of_background_are_never_merged(self):
        assert merge_rows(logits_of([[BACKGROUND] * 4]), SEMANTIC).tolist() == [[0, 1, 2, 3]]

    def test_identical_proposals_are_one_row_led_by_the_first(self):
        assert merge_rows(logits_of([[HORSE] * 4]), SEMANTIC).tolist() == [[0, 0, 0, 0]]

    def test_outputs_are_merged_apart(self):
        logits = logits_of([[PERSON, PERSON, HORSE], [HORSE, PERSON, HORSE]])
        assert merge_rows(logits, SEMANTIC).tolist() == [[0, 0, 2], [0, 1, 0]]

    def test_leading_dimensions_are_merged_apart(self):
        logits = torch.randn(4, 3, 20, BACKGROUND + 1, generator=torch.Generator().manual_seed(0))
        assert torch.equal(merge_rows(logits, PANOPTIC), torch.stack([merge_rows(part, PANOPTIC) for part in logits]))

    def test_permuting_the_queries_permutes_the_rows(self):
        generator = torch.Generator().manual_seed(0)
        logits = torch.randn(3, 20, BACKGROUND + 1, generator=generator)
        order = torch.randperm(20, generator=generator)
        rows, permuted = merge_rows(logits, PANOPTIC), merge_rows(logits[:, order], PANOPTIC)
        assert torch.equal(order[permuted], rows[:, order])

    def test_a_proposal_without_a_probability_stays_alone(self):
        logits = self.FIGURE.clone()
        logits[0, 1] = float("nan")
        rows = merge_rows(logits, SEMANTIC)
        assert rows[0, [0, 2, 3, 4, 5]].tolist() == [0, 2, 3, 3, 5]
        assert merge_rows(torch.full((2, 3, 4), float("nan")), SEMANTIC).max() < 3

    def test_a_wrong_number_of_flags_is_refused(self):
        with pytest.raises(ValueError, match="logits over 2 classes and background, got 4 logits for each query"):
            merge_rows(self.FIGURE, (True, False))


class TestValuesOfRows:
    ROWS = torch.tensor([[1, 1, 2, 1]])

    def test_by_hand(self):
        values = torch.tensor([[[1.0, 9.0], [4.0, 0.0], [7.0, 7.0], [-2.0, 3.0]]])
        # the leader is query 1; the others keep their own
        assert row_means(values, self.ROWS).tolist() == [[[1.0, 9.0], [1.0, 4.0], [7.0, 7.0], [-2.0, 3.0]]]
        assert row_maxima(values, self.ROWS).tolist() == [[[1.0, 9.0], [4.0, 9.0], [7.0, 7.0], [-2.0, 3.0]]]
        assert row_sizes(self.ROWS).tolist() == [[3, 3, 1, 3]]
        assert followers(self.ROWS).tolist() == [[True, False, False, True]]

    @pytest.mark.parametrize("function", [row_means, row_maxima])
    def test_rows_of_one_change_nothing(self, function):
        values = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
        assert torch.equal(function(values, torch.arange(5).expand(2, -1)), values)

    @pytest.mark.parametrize("function", [row_means, row_maxima])
    def test_each_output_has_rows_of_its_own(self, function):
        generator = torch.Generator().manual_seed(0)
        values = torch.randn(2, 6, 3, generator=generator)
        rows = merge_rows(torch.randn(2, 6, BACKGROUND + 1, generator=generator), SEMANTIC)
        apart = torch.cat([function(values[[output]], rows[[output]]) for output in range(2)])
        torch.testing.assert_close(function(values, rows), apart)
        torch.testing.assert_close(function(values[None], rows[None]), apart[None])
        torch.testing.assert_close(function(values[0], rows[0]), apart[0])

    @pytest.mark.parametrize("function", [row_means, row_maxima])
    def test_without_values_rows_are_empty(self, function):
        assert function(torch.zeros(1, 4, 0), self.ROWS).shape == (1, 4, 0)

    @pytest.mark.parametrize("function", [row_means, row_maxima])
    def test_rows_of_another_number_of_queries_are_refused(self, function):
        with pytest.raises(ValueError, match=r"expected rows of shape \(1, 3\), got \(1, 4\)"):
            function(torch.zeros(1, 3, 2), torch.zeros(1, 4, dtype=torch.int64))


def matched(num_queries: int, *queries: int) -> torch.Tensor:
    """(1, Q) bool, True for the given queries."""
    return torch.isin(torch.arange(num_queries), torch.tensor(queries, dtype=torch.int64))[None]


class TestSplitRows:
    def test_by_hand(self):
        # row 1 = {0, 1, 3}, row 2 = {2}, row 4 = {4}; rows 1 and 4 are matched
        rows, shares = split_rows(torch.tensor([[1, 1, 2, 1, 4]]), matched(5, 1, 4))
        assert rows.tolist() == [[1, 1, 2, 1, 4]]
        torch.testing.assert_close(shares, torch.tensor([[1 / 3, 1 / 3, 1.0, 1 / 3, 1.0]]))

    def test_a_member_that_is_matched_leaves_its_row(self):
        rows, shares = split_rows(torch.tensor([[1, 1, 1]]), matched(3, 1, 2))
        assert rows.tolist() == [[1, 1, 2]]
        assert shares.tolist() == [[0.5, 0.5, 1.0]]

    def test_if_only_a_member_is_matched_the_others_stay_together(self):
        rows, shares = split_rows(torch.tensor([[1, 1, 1]]), matched(3, 2))
        assert rows.tolist() == [[1, 1, 2]]
        assert shares.tolist() == [[0.5, 0.5, 1.0]]

    def test_each_row_counts_once(self):
        generator = torch.Generator().manual_seed(0)
        rows = merge_rows(torch.randn(2, 3, 30, BACKGROUND + 1, generator=generator), SEMANTIC)
        after, shares = split_rows(rows, torch.rand(2, 3, 30, generator=generator) < 0.2)
        number = [row.unique().numel() for row in after.flatten(0, 1)]
        torch.testing.assert_close(shares.sum(2).flatten(), torch.tensor(number).float())

    def test_if_nothing_is_matched_the_rows_stay(self):
        rows = torch.tensor([[0, 0]])
        after, shares = split_rows(rows, matched(2))
        assert torch.equal(after, rows)
        assert shares.tolist() == [[0.5, 0.5]]


class TestAbsorption:
    def test_by_hand(self):
        # query 4 is matched with a person, 1 with a horse, 0 with a building; horses are not mergeable
        labels = torch.tensor([[BUILDING, HORSE, -1, -1, PERSON, -1, -1]])
        #                   0  1  2  3  4  5  6
        logits = logits_of([[0, 0, 0, 1, 1, 2, BACKGROUND]])
        # 0, 1 and 4 lead; 2 joins the person, 5 the building; none joins the horse
        rows, shares = absorb(logits, labels, (True, False, True))
        assert rows.tolist() == [[0, 1, 4, 3, 4, 0, 6]]
        assert shares.tolist() == [[1, 1, 0, 1, 1, 0, 1]]

    def test_outputs_are_merged_apart(self):
        logits, labels = logits_of([[0, 0, 1], [0, 0, 1]]), torch.tensor([[0, -1, -1], [-1, 0, -1]])
        rows, _ = absorb(logits, labels, (True, False, True))
        assert rows.tolist() == [[0, 0, 2], [1, 1, 2]]
        together, _ = absorb(logits[:, None], labels[:, None], (True, False, True))
        assert torch.equal(together[:, 0], rows)

    def test_without_mergeable_classes_each_proposal_is_a_row(self):
        generator = torch.Generator().manual_seed(0)
        labels = torch.tensor([[1, -1, 1, 2, -1, -1]]).expand(2, -1)  # two things of one class
        rows, shares = absorb(torch.randn(2, 6, 4, generator=generator), labels, INSTANCE)
        assert torch.equal(rows, torch.arange(6).expand(2, -1))
        assert (shares == 1).all()

    def test_if_nothing_is_matched_each_proposal_is_a_row(self):
        rows, shares = absorb(torch.randn(2, 5, 4), torch.full((2, 5), -1), SEMANTIC)
        assert torch.equal(rows, torch.arange(5).expand(2, -1))
        assert (shares == 1).all()

    def test_bad_input_is_refused(self):
        logits = torch.zeros(1, 5, 4)
        with pytest.raises(ValueError, match=r"expected labels of shape \(1, 5\), got \(1, 3\)"):
            absorb(logits, torch.zeros(1, 3, dtype=torch.int64), SEMANTIC)
        with pytest.raises(ValueError, match="logits over 1 classes and background, got 4 logits for each query"):
            absorb(logits, torch.full((1, 5), -1), (True,))


class TestMasks:
    def test_the_union_by_hand(self):
        masks = torch.tensor([[[1.0, -2.0]], [[-3.0, -4.0]], [[0.5, 6.0]]])
        merged = merge_masks(masks, torch.tensor([1, 0, 1]), 2)
        assert merged.tolist() == [[[-3.0, -4.0]], [[1.0, 6.0]]]  # below 0 stays below 0

    def test_the_gradient_goes_to_the_member_that_claims_most(self):
        masks = torch.tensor([[[1.0, -2.0]], [[-3.0, -4.0]], [[0.5, 6.0]]], requires_grad=True)
        weights = torch.tensor([[[10.0, 20.0]], [[30.0, 40.0]]])
        (merge_masks(masks, torch.tensor([1, 0, 1]), 2) * weights).sum().backward()
        assert masks.grad.tolist() == [[[30.0, 0.0]], [[10.0, 20.0]], [[0.0, 40.0]]]

    @pytest.mark.parametrize("value", [0.0, 3.0])
    def test_the_whole_gradient_reaches_the_members(self, value):
        """In equal parts if they are equal, whatever their value is."""
        masks = torch.full((3, 1, 1), value, requires_grad=True)
        merge_masks(masks, torch.tensor([0, 0, 1]), 2).sum().backward()
        assert masks.grad.flatten().tolist() == [0.5, 0.5, 1.0]

    def test_groups_of_one_are_only_reordered(self):
        masks, order = torch.randn(4, 3, 5), torch.tensor([2, 0, 3, 1])
        assert torch.equal(merge_masks(masks, order, 4)[order], masks)

    def test_without_masks_the_result_is_empty(self):
        assert merge_masks(torch.zeros(0, 3, 5), torch.zeros(0, dtype=torch.int64), 0).shape == (0, 3, 5)

    def test_another_number_of_groups_is_refused(self):
        with pytest.raises(ValueError, match=r"expected a group for each of 2 masks, got shape \(3,\)"):
            merge_masks(torch.zeros(2, 3, 5), torch.zeros(3, dtype=torch.int64), 1)
