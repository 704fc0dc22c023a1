"""From proposals to answers, against brute force and by hand."""

import math

import pytest
import torch

from mmdataseg.ops import box_masks, enlarging, postprocess
from mmdataseg.ops.box_masks import full_masks
from mmdataseg.ops.enlarging import Enlargement
from mmdataseg.ops.postprocess import ImageSizes, box_instances, panoptic_segments, semantic_map
from tests.ops.test_enlarging import enlarged

SURE = 30.0


def plain(*size: int) -> ImageSizes:
    """Logits at the size of the image: nothing is enlarged."""
    return ImageSizes(padded=size, image=size, original=size)


def class_logits(*probs: list[float]) -> torch.Tensor:
    """(Q, K + 1) logits of the given probabilities; the background is last and gets the rest."""
    rows = torch.tensor([[*p, 1 - sum(p)] for p in probs])
    return rows.clamp(min=1e-9).log()


def mask_logits(*probs: list[list[float]]) -> torch.Tensor:
    return torch.tensor(probs).clamp(1e-9, 1 - 1e-6).logit()


class TestSemantic:
    def test_by_hand(self):
        # both maps: pixel 0: class 0 has .6 x .9; pixel 1: class 0 .6 x .5 = .3, class 1 .5 x .55 + ...
        logits = class_logits([0.6, 0.0], [0.0, 0.5], [0.0, 0.3])
        masks = mask_logits([[0.9, 0.5]], [[0.1, 0.55]], [[0.1, 0.6]])
        # class 1 at pixel 1: sum .275 + .18 = .455 > .3, largest .275 < .3
        assert semantic_map(logits, masks, plain(1, 2), merge="probability").tolist() == [[0, 1]]
        assert semantic_map(logits, masks, plain(1, 2), merge="max").tolist() == [[0, 0]]

    @pytest.mark.parametrize("merge", ["probability", "max"])
    def test_equals_brute_force(self, merge):
        generator = torch.Generator().manual_seed(0)
        logits, masks = torch.randn(5, 4, generator=generator), torch.randn(5, 6, 8, generator=generator)
        sizes = ImageSizes(padded=(24, 32), image=(20, 30), original=(33, 41))
        each = logits.softmax(-1)[:, :3, None, None] * enlarged(masks, sizes).sigmoid()[:, None]
        if merge == "max":  # the members of a row share a mask and the mean of their probabilities
            rows: dict[tuple[str, int], list[int]] = {}
            for q, label in enumerate(logits.argmax(-1).tolist()):
                rows.setdefault(("row", label) if label < 3 else ("alone", q), []).append(q)
            probs_Q = logits.softmax(-1)
            probs = torch.stack([probs_Q[max(m, key=lambda q: probs_Q[q].max()), :3] for m in rows.values()])
            masks_of_rows = enlarged(torch.stack([masks[m].amax(0) for m in rows.values()]), sizes).sigmoid()
            each = probs[..., None, None] * masks_of_rows[:, None]
            assert any(len(members) > 1 for members in rows.values())
        merged = each.sum(0) if merge == "probability" else each.amax(0)
        found = semantic_map(logits, masks, sizes, merge=merge)
        assert torch.equal(found, merged.argmax(0))
        best, second = merged.topk(2, dim=0).values
        assert (best - second).min() > 1e-5  # no pixel where rounding decides

    @pytest.mark.parametrize("merge", ["probability", "max"])
    @pytest.mark.parametrize("seed", range(8))
    def test_sure_masks_equal_brute_force_in_every_size_of_tile(self, monkeypatch, merge, seed):
        """Discs of different slopes, so that tiles have one possible class, several or all."""
        generator = torch.Generator().manual_seed(seed)
        y, x = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing="ij")
        top, left, radius, slope = (
            factor * torch.rand(9, 1, 1, generator=generator) for factor in (24.0, 32.0, 12.0, 3.0)
        )
        masks = slope * (radius - ((y - top).square() + (x - left).square()).sqrt())
        logits = 4 * torch.randn(9, 6, generator=generator)
        sizes = ImageSizes(padded=(96, 128), image=(90, 125), original=(177, 240))
        found = []
        for tile in (1, 8, 1000):
            monkeypatch.setattr(enlarging, "TILE", tile)
            found.append(semantic_map(logits, masks, sizes, merge=merge))
        assert torch.equal(found[1], found[0])
        assert torch.equal(found[1], found[2])
        if merge == "probability":
            each = torch.einsum("qk,qhw->khw", logits.softmax(-1)[:, :-1], enlarged(masks, sizes).sigmoid())
            assert torch.equal(found[0], each.argmax(0))

    @pytest.mark.parametrize("merge", ["probability", "max"])
    def test_no_mask_is_enlarged_where_one_class_is_sure(self, monkeypatch, merge):
        read, call = [], Enlargement.__call__

        def enlarge(enlargement, masks, rows, columns, only):
            read.append((len(masks if only is None else only), columns.start, columns.stop))
            return call(enlargement, masks, rows, columns, only)

        monkeypatch.setattr(Enlargement, "__call__", enlarge)
        logits = class_logits([0.9, 0.05, 0.02], [0.05, 0.9, 0.02], [0.0, 0.02, 0.02])
        masks = torch.full((3, 64, 64), -SURE)
        masks[0, :, :30], masks[1, :, 30:] = SURE, SURE
        sizes = ImageSizes(padded=(256, 256), image=(256, 256), original=(256, 256))
        found = semantic_map(logits, masks, sizes, merge=merge)
        assert torch.equal(found, (torch.arange(256) >= 120).int().expand(256, -1))
        assert set(read) == {(3 if merge == "probability" else 2, 96, 128)}  # the tiles of the border

    @pytest.mark.parametrize("merge", ["probability", "max"])
    def test_logits_that_are_not_finite_raise_nothing(self, merge):
        masks = torch.full((2, 4, 4), float("nan"))
        assert semantic_map(torch.zeros(2, 4), masks, plain(4, 4), merge=merge).shape == (4, 4)
        assert semantic_map(torch.full((2, 4), float("nan")), masks, plain(4, 4), merge=merge).shape == (4, 4)

    def test_with_max_a_proposal_of_background_counts_with_its_best_class(self):
        """Every pixel gets a class, even where no proposal predicts one."""
        logits, masks = class_logits([0.1, 0.2], [0.3, 0.1]), mask_logits([[0.9, 0.1]], [[0.2, 0.8]])
        assert semantic_map(logits, masks, plain(1, 2), merge="max").tolist() == [[1, 0]]

    def test_half_precision_outside_changes_nothing(self):
        generator = torch.Generator().manual_seed(0)
        logits, masks = 0.1 * torch.randn(20, 9, generator=generator), torch.randn(20, 8, 8, generator=generator)
        expected = semantic_map(logits, masks, plain(8, 8), merge="probability")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(semantic_map(logits, masks, plain(8, 8), merge="probability"), expected)

    def test_an_unknown_merge_is_refused(self):
        with pytest.raises(ValueError, match=r"merge: expected one of .* got 'mean'"):
            semantic_map(torch.zeros(1, 3), torch.zeros(1, 2, 2), plain(2, 2), merge="mean")


class TestPanoptic:
    STUFF = (False, False, True, True)

    def read(self, logits, masks, size, **changes):
        options = {"mergeable": self.STUFF, "score_threshold": 0.5, "kept_share": 0.8} | changes
        segments, labels, scores = panoptic_segments(logits, masks, plain(*size), **options)
        assert len(scores) == len(labels)
        assert sorted(set(segments.unique().tolist()) - {0}) == list(range(1, len(labels) + 1))
        return segments.tolist(), labels.tolist()

    def test_overlap_by_hand(self):
        # two things of one class and grass below; at pixel 1 the first wins .9 x .8 > .8 x .8, at pixel 2 the second
        logits = class_logits([0.9, 0, 0, 0], [0.8, 0, 0, 0], [0, 0, 0.7, 0])
        masks = mask_logits([[1.0, 0.8, 0.2, 0.0, 0.0]], [[0.0, 0.8, 1.0, 0.0, 0.0]], [[0.0, 0.0, 0.0, 0.9, 0.4]])
        segments, labels = self.read(logits, masks, (1, 5), kept_share=0.5)
        # the last pixel is in no mask: void
        assert labels == [0, 0, 2]
        assert segments == [[1, 1, 2, 3, 0]]

    def test_scores_are_those_of_the_leaders_of_the_segments_that_stay(self):
        # two members of grass, of which the surer one counts; a thing below the threshold; a thing
        logits = class_logits([0, 0, 0.6, 0], [0, 0, 0.9, 0], [0.4, 0, 0, 0], [0.7, 0, 0, 0])
        masks = mask_logits([[1.0, 0, 0, 0]], [[0, 1.0, 0, 0]], [[0, 0, 1.0, 0]], [[0, 0, 0, 1.0]])
        _, labels, scores = panoptic_segments(
            logits, masks, plain(1, 4), mergeable=self.STUFF, score_threshold=0.5, kept_share=0.8
        )
        assert labels.tolist() == [2, 0]
        torch.testing.assert_close(scores, torch.tensor([0.9, 0.7]))

    def test_a_segment_that_keeps_too_little_leaves_void(self):
        logits = class_logits([0.9, 0, 0, 0], [0.8, 0, 0, 0])
        masks = mask_logits([[1.0, 1.0, 0.0, 0.0]], [[0.0, 0.9, 0.9, 0.9]])  # the second keeps 2 of 3
        assert self.read(logits, masks, (1, 4), kept_share=0.6) == ([[1, 1, 2, 2]], [0, 0])
        assert self.read(logits, masks, (1, 4), kept_share=0.7) == ([[1, 1, 0, 0]], [0])

    def test_stuff_of_a_class_is_one_segment(self):
        logits = class_logits([0, 0, 0.9, 0], [0, 0, 0, 0.8], [0, 0, 0.7, 0])
        masks = mask_logits([[1.0, 0, 0, 0]], [[0, 1.0, 0, 0]], [[0, 0, 1.0, 0]])
        assert self.read(logits, masks, (1, 4)) == ([[1, 2, 1, 0]], [2, 3])

    def test_proposals_of_one_stuff_class_do_not_push_each_other_out(self):
        """Training lets several share one region; each keeps half of its own mask, the region all."""
        logits = class_logits([0, 0, 0.9, 0], [0, 0, 0.9, 0])
        masks = mask_logits([[0.9, 0.9, 0.6, 0.6]], [[0.6, 0.6, 0.9, 0.9]])
        assert self.read(logits, masks, (1, 4)) == ([[1, 1, 1, 1]], [2])
        # as things they are separate objects, and both are too uncertain
        assert self.read(logits[:, [2, 1, 0, 3, 4]], masks, (1, 4)) == ([[0, 0, 0, 0]], [])

    def test_a_merged_region_is_what_training_matches(self):
        """The largest mask of its members, and the probability of the surest."""
        logits = class_logits([0, 0, 0.9, 0], [0, 0, 0.6, 0], [0.7, 0, 0, 0])
        masks = mask_logits([[0.9, 0.1, 0.1]], [[0.1, 0.6, 0.1]], [[0.2, 0.55, 0.9]])
        # at pixel 1 grass has .9 x .6 = .54 by the mask of its weaker member, the thing .7 x .55 = .385
        assert self.read(logits, masks, (1, 3), kept_share=0.5) == ([[1, 1, 2]], [2, 0])

    def test_a_weak_proposal_does_not_remove_a_region(self):
        logits, masks = class_logits([0, 0, 0.95, 0], [0, 0, 0.5, 0]), mask_logits([[0.9, 0.9]], [[0.0, 0.0]])
        assert self.read(logits, masks, (1, 2), score_threshold=0.8) == ([[1, 1]], [2])

    def test_equals_brute_force(self):
        generator = torch.Generator().manual_seed(1)  # a case with merged stuff, things, and dropped regions
        logits = 2 * torch.randn(12, 5, generator=generator)
        masks = 3 * torch.randn(12, 5, 6, generator=generator)
        sizes = ImageSizes(padded=(20, 24), image=(18, 22), original=(31, 37))
        segments, labels, _ = panoptic_segments(
            logits, masks, sizes, mergeable=self.STUFF, score_threshold=0.3, kept_share=0.25
        )
        scores_Q, labels_Q = logits.softmax(-1).max(-1)
        regions: dict[tuple[str, int], list[int]] = {}
        for q, label in enumerate(labels_Q.tolist()):
            if label < 4:
                regions.setdefault(("stuff", label) if self.STUFF[label] else ("thing", q), []).append(q)
        regions = {key: members for key, members in regions.items() if scores_Q[members].max() > 0.3}
        probs = enlarged(torch.stack([masks[m].amax(0) for m in regions.values()]), sizes).sigmoid()
        value = torch.stack([scores_Q[m].max() for m in regions.values()])[:, None, None] * probs
        own = probs >= 0.5
        best, second = value.topk(2, dim=0).values
        assert min((best - second).min(), (probs - 0.5).abs().min()) > 1e-5  # no pixel where rounding decides
        for r, members in enumerate(regions.values()):
            mask = (value.argmax(0) == r) & own[r]
            if mask.any() and mask.sum() >= 0.25 * own[r].sum():
                (number,) = segments[mask].unique().tolist()
                assert torch.equal(segments == number, mask)
                assert labels[number - 1] == labels_Q[members[0]]
            else:
                assert (segments[mask] == 0).all()
        # the case has things, merged stuff and dropped regions
        assert {self.STUFF[n] for n in labels.tolist()} == {True, False}
        assert any(len(members) > 1 for members in regions.values())
        assert len(labels) < len(regions)

    @pytest.mark.parametrize("seed", range(8))
    def test_boxes_contain_every_pixel_that_a_row_could_win(self, seed):
        """The same as with all rows at all pixels."""
        generator = torch.Generator().manual_seed(seed)
        classes = 2 * torch.randn(12, 5, generator=generator)
        masks = 3 * torch.randn(12, 5, 6, generator=generator) - seed  # from large masks to hardly any
        sizes = ImageSizes(padded=(20, 24), image=(18, 23), original=(31, 29))
        segments, labels, _ = panoptic_segments(
            classes, masks, sizes, mergeable=(False,) * 4, score_threshold=0.3, kept_share=0.0
        )
        scores, best_class = classes.softmax(-1).max(-1)
        keep = (best_class != 4) & (scores > 0.3)
        logits = enlarged(masks[keep], sizes)
        winner = (scores[keep, None, None] * logits.sigmoid()).argmax(0)
        expected = torch.where(logits.gather(0, winner[None])[0] >= 0, winner, -1)
        present = expected.unique()
        present = present[present >= 0]
        assert torch.equal(labels, best_class[keep][present])
        for number, row in enumerate(present, 1):
            assert torch.equal(segments == number, expected == row)

    @pytest.mark.parametrize("probs", [[0.1, 0.1, 0.1, 0.1], [0.45, 0.4, 0.1, 0.05]])  # background, and uncertain
    def test_without_remaining_proposals_all_pixels_are_void(self, probs):
        segments, labels = self.read(class_logits(probs), mask_logits([[0.9, 0.9]]), (1, 2))
        assert segments == [[0, 0]]
        assert labels == []

    @pytest.mark.parametrize("elements", [1, 90])
    def test_the_size_of_a_block_changes_nothing(self, monkeypatch, elements):
        generator = torch.Generator().manual_seed(2)
        logits, masks = 3 * torch.randn(9, 5, generator=generator), torch.randn(9, 6, 8, generator=generator)
        sizes = ImageSizes(padded=(24, 32), image=(21, 30), original=(37, 51))
        options = dict(mergeable=self.STUFF, score_threshold=0.3, kept_share=0.2)
        whole = panoptic_segments(logits, masks, sizes, **options)
        assert len(whole[1]) > 1
        monkeypatch.setattr(enlarging, "BLOCK_ELEMENTS", {"cpu": elements})
        monkeypatch.setattr(box_masks, "BLOCK_PIXELS", elements)
        for found, expected in zip(panoptic_segments(logits, masks, sizes, **options), whole, strict=True):
            assert torch.equal(found, expected)

    def test_a_wrong_number_of_flags_is_refused(self):
        with pytest.raises(ValueError, match="logits over 4 classes and background, got 4 logits for each query"):
            self.read(torch.zeros(2, 4), torch.zeros(2, 1, 2), (1, 2))


def instances(logits, masks, sizes, **options):
    """`box_instances` with full masks."""
    labels, scores, found = box_instances(logits, masks, sizes, **options)
    return labels, scores, full_masks(found, sizes.original)


class TestInstances:
    THINGS = torch.tensor([True, True, False])

    def test_by_hand(self):
        logits = class_logits([0.6, 0.2, 0.1], [0.1, 0.5, 0.3])
        masks = mask_logits([[0.9, 0.7, 0.2]], [[0.1, 0.4, 0.95]])
        labels, scores, found = instances(logits, masks, plain(1, 3), is_thing_K=self.THINGS, max_instances=3)
        # mean inside: (.9 + .7) / 2 = .8 and .95; pairs .6 x .8 = .48, .5 x .95 = .475, .2 x .8 = .16
        assert labels.tolist() == [0, 1, 1]
        torch.testing.assert_close(scores, torch.tensor([0.48, 0.475, 0.16]))
        assert found.tolist() == [[[True, True, False]], [[False, False, True]], [[True, True, False]]]

    def test_all_pairs_are_returned_if_there_are_fewer_than_requested(self):
        logits, masks = class_logits([0.6, 0.2, 0.1], [0.1, 0.5, 0.3]), mask_logits([[0.9, 0.2]], [[0.1, 0.9]])
        labels, scores, found = instances(logits, masks, plain(1, 2), is_thing_K=self.THINGS, max_instances=100)
        assert len(labels) == len(scores) == len(found) == 4  # 2 proposals x 2 things
        assert sorted(labels.tolist()) == [0, 0, 1, 1]

    def test_an_empty_mask_is_dropped(self):
        logits, masks = class_logits([0.9, 0.0, 0.0], [0.5, 0.0, 0.0]), mask_logits([[0.4, 0.4]], [[0.1, 0.9]])
        labels, scores, _ = instances(logits, masks, plain(1, 2), is_thing_K=self.THINGS, max_instances=2)
        assert labels.tolist() == [0]
        torch.testing.assert_close(scores, torch.tensor([0.45]))

    def test_scores_descend_and_equal_brute_force(self):
        generator = torch.Generator().manual_seed(0)
        logits, masks = torch.randn(6, 4, generator=generator), torch.randn(6, 5, 6, generator=generator)
        sizes = ImageSizes(padded=(20, 24), image=(18, 22), original=(31, 37))
        labels, scores, found = instances(logits, masks, sizes, is_thing_K=self.THINGS, max_instances=8)
        probs = enlarged(masks, sizes).sigmoid()
        inside = probs > 0.5
        assert (probs - 0.5).abs().min() > 1e-5  # no pixel where rounding decides
        quality = (probs * inside).sum((1, 2)) / inside.sum((1, 2))
        pairs = [(float(p), q, k) for q, row in enumerate(logits.softmax(-1)) for k, p in enumerate(row[:2])]
        expected = sorted(((p * float(quality[q]), k, q) for p, q, k in sorted(pairs)[-8:]), reverse=True)
        torch.testing.assert_close(scores, torch.tensor([score for score, _, _ in expected]))
        assert labels.tolist() == [k for _, k, _ in expected]
        assert all(torch.equal(mask, inside[q]) for mask, (_, _, q) in zip(found, expected, strict=True))

    def test_stored_masks_equal_full_ones_to_the_last_bit(self):
        """Against the direct way: enlarge every proposal at full size, then copy the mask of each pair."""
        for seed in range(4):
            generator = torch.Generator().manual_seed(seed)
            logits, masks = torch.randn(9, 4, generator=generator), torch.randn(9, 7, 8, generator=generator) - 1
            masks[:, :, : 2 * seed] -= 9
            sizes = ImageSizes(padded=(28, 32), image=(25, 31), original=(50, 67))
            labels, scores, found = box_instances(logits, masks, sizes, is_thing_K=self.THINGS, max_instances=12)
            whole = enlarged(masks, sizes) > 0
            for mask, score, label in zip(found, scores, labels, strict=True):
                assert any(torch.equal(mask.full(), one) for one in whole)
                assert score <= logits.softmax(-1)[:, label].max()

    def test_instances_of_one_proposal_share_its_mask(self):
        logits, masks = class_logits([0.5, 0.4, 0.1]), mask_logits([[0.9, 0.2]])
        _, _, found = box_instances(logits, masks, plain(1, 2), is_thing_K=self.THINGS, max_instances=5)
        assert len(found) == 2
        assert found[0] is found[1]

    def test_a_minimum_score_leaves_out_what_a_filter_afterwards_would(self, monkeypatch):
        generator = torch.Generator().manual_seed(1)
        logits, masks = 2 * torch.randn(20, 4, generator=generator), torch.randn(20, 6, 8, generator=generator)
        sizes = ImageSizes(padded=(24, 32), image=(24, 32), original=(40, 50))
        options = dict(is_thing_K=self.THINGS, max_instances=30)
        labels, scores, found = box_instances(logits, masks, sizes, **options)
        enlarged_masks: list[int] = []
        real = postprocess.enlarge_boxes
        monkeypatch.setattr(
            postprocess, "enlarge_boxes", lambda m, *rest: enlarged_masks.append(len(m)) or real(m, *rest)
        )
        for least in (0.0, 0.3, float(scores[4]), 1.0):
            some = box_instances(logits, masks, sizes, **options, min_score=least)
            keep = scores >= least
            assert torch.equal(some[0], labels[keep])
            assert torch.equal(some[1], scores[keep])
            assert [mask.box for mask in some[2]] == [mask.box for mask, kept in zip(found, keep, strict=True) if kept]
        assert enlarged_masks == sorted(enlarged_masks, reverse=True)
        assert enlarged_masks[-1] == 0

    def test_without_thing_classes_there_are_no_instances(self):
        labels, scores, found = instances(
            torch.zeros(2, 4), torch.ones(2, 3, 3), plain(3, 3), is_thing_K=torch.zeros(3).bool(), max_instances=10
        )
        assert labels.shape == scores.shape == (0,)
        assert found.shape == (0, 3, 3)

    def test_a_wrong_number_of_flags_is_refused(self):
        with pytest.raises(ValueError, match="logits over 3 classes and background, got 6 columns"):
            instances(
                torch.zeros(2, 6), torch.zeros(2, 1, 2), plain(1, 2), is_thing_K=self.THINGS, max_instances=math.inf
            )
