"""MERGE: which proposals are one row, the values of a row, and which members leave it."""

import pytest
import torch

from mmdataseg.ops.merge import (
    followers,
    groups_by_absorption,
    groups_of_rows,
    merge_masks,
    merge_rows,
    row_maxima,
    row_means,
    row_sizes,
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

    @pytest.mark.parametrize("function", [row_means, row_maxima])
    def test_without_values_rows_are_empty(self, function):
        assert function(torch.zeros(1, 4, 0), self.ROWS).shape == (1, 4, 0)

    @pytest.mark.parametrize("function", [row_means, row_maxima])
    def test_rows_of_another_number_of_queries_are_refused(self, function):
        with pytest.raises(ValueError, match=r"expected rows of shape \(1, 3\), got \(1, 4\)"):
            function(torch.zeros(1, 3, 2), torch.zeros(1, 4, dtype=torch.int64))


class TestGroupsOfRows:
    def test_by_hand(self):
        # row 1 = {0, 1, 3}, row 2 = {2}, row 4 = {4}; row 1 is matched as pair 1, row 4 as pair 0
        groups, shares = groups_of_rows(torch.tensor([[1, 1, 2, 1, 4]]), torch.tensor([[4, 1]]))
        assert groups.tolist() == [[1, 1, -1, 1, 0]]
        torch.testing.assert_close(shares, torch.tensor([[1 / 3, 1 / 3, 1.0, 1 / 3, 1.0]]))

    def test_a_member_that_is_matched_leaves_its_row(self):
        groups, shares = groups_of_rows(torch.tensor([[1, 1, 1]]), torch.tensor([[1, 2]]))
        assert groups.tolist() == [[0, 0, 1]]
        assert shares.tolist() == [[0.5, 0.5, 1.0]]

    def test_if_only_a_member_is_matched_the_rest_of_its_row_is_background(self):
        groups, shares = groups_of_rows(torch.tensor([[1, 1, 1]]), torch.tensor([[2]]))
        assert groups.tolist() == [[-1, -1, 0]]
        assert shares.tolist() == [[0.5, 0.5, 1.0]]

    def test_each_row_counts_once(self):
        generator = torch.Generator().manual_seed(0)
        rows = merge_rows(torch.randn(3, 30, BACKGROUND + 1, generator=generator), SEMANTIC)
        _, shares = groups_of_rows(rows, rows[:, :2])
        torch.testing.assert_close(shares.sum(1), torch.tensor([r.unique().numel() for r in rows]).float())

    def test_without_pairs_no_proposal_has_a_group(self):
        groups, shares = groups_of_rows(torch.tensor([[0, 0]]), torch.zeros(1, 0, dtype=torch.int64))
        assert groups.tolist() == [[-1, -1]]
        assert shares.tolist() == [[0.5, 0.5]]


class TestAbsorption:
    def test_by_hand(self):
        # pairs: query 4 with a person, query 1 with a horse, query 0 with a building; horses are not mergeable
        queries, labels = torch.tensor([[4, 1, 0]]), torch.tensor([[PERSON, HORSE, BUILDING]])
        #                   0  1  2  3  4  5  6
        logits = logits_of([[0, 0, 0, 1, 1, 2, BACKGROUND]])
        # 0, 1 and 4 keep their own pair; 2 joins the person, 5 the building; none joins the horse
        groups, shares = groups_by_absorption(logits, queries, labels, (True, False, True))
        assert groups.tolist() == [[2, 1, 0, -1, 0, 2, -1]]
        assert shares.tolist() == [[1, 1, 0, 1, 1, 0, 1]]

    def test_outputs_are_merged_apart(self):
        logits = logits_of([[0, 0, 1], [0, 0, 1]])
        groups, _ = groups_by_absorption(
            logits, torch.tensor([[0], [1]]), torch.tensor([[0], [1]]), (True, False, True)
        )
        assert groups.tolist() == [[0, 0, -1], [-1, 0, -1]]

    def test_without_mergeable_classes_only_matched_proposals_have_a_group(self):
        generator = torch.Generator().manual_seed(0)
        logits = torch.randn(2, 6, 4, generator=generator)
        queries = torch.stack([torch.randperm(6, generator=generator)[:3] for _ in range(2)])
        labels = torch.tensor([[1, 1, 2]]).expand(2, -1)  # two things of one class
        groups, shares = groups_by_absorption(logits, queries, labels, INSTANCE)
        assert (groups >= 0).sum() == 6
        assert torch.equal(groups.gather(1, queries), torch.arange(3).expand(2, -1))
        assert (shares == 1).all()

    def test_without_pairs_no_proposal_has_a_group(self):
        none = torch.zeros(2, 0, dtype=torch.int64)
        groups, shares = groups_by_absorption(torch.randn(2, 5, 4), none, none, SEMANTIC)
        assert groups.tolist() == [[-1] * 5] * 2
        assert (shares == 1).all()

    def test_bad_input_is_refused(self):
        logits = torch.zeros(1, 5, 4)
        with pytest.raises(
            ValueError, match=r"queries and labels must be of one shape \(L, M\), got \(1, 2\), \(1, 3\)"
        ):
            groups_by_absorption(logits, torch.tensor([[0, 1]]), torch.zeros(1, 3, dtype=torch.int64), SEMANTIC)
        with pytest.raises(ValueError, match="logits over 1 classes and background, got 4 logits for each query"):
            groups_by_absorption(logits, torch.tensor([[0]]), torch.tensor([[0]]), (True,))


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
