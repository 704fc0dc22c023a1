import pytest
import torch

from mmdataseg.ops.panoptic_quality import FP, TP, panoptic_counts, segment_intersections
from mmdataseg.ops.segment_errors import KINDS, error_kinds, invented_segments


def pairs_of(gt, pred):
    gt, pred = torch.tensor([gt]), torch.tensor([pred])
    return segment_intersections(gt, pred, num_gt=int(gt.max()) + 1, num_pred=int(pred.max()) + 1)


def labels_of(gt_labels, pred_labels, crowd):
    is_crowd = torch.zeros(len(gt_labels), dtype=torch.bool)
    is_crowd[list(crowd)] = True
    return {
        "gt_labels_N": torch.tensor(gt_labels),
        "gt_is_crowd_N": is_crowd,
        "pred_labels_M": torch.tensor(pred_labels, dtype=torch.long),
        "num_classes": 4,
    }


def kinds_of(gt, pred, gt_labels, pred_labels, crowd=()):
    kinds = error_kinds(pairs_of(gt, pred), **labels_of(gt_labels, pred_labels, crowd))
    return [KINDS[kind] if kind >= 0 else None for kind in kinds.tolist()]


def invented_of(gt, pred, gt_labels, pred_labels, crowd=()):
    return invented_segments(pairs_of(gt, pred), **labels_of(gt_labels, pred_labels, crowd)).tolist()


@pytest.mark.parametrize(
    ("kind", "pred", "labels"),
    [
        ("found", [0, 0, 0, 0, 0, -1], [1]),
        ("wrong_class", [0, 0, 0, 0, 0, -1], [2]),
        ("split", [0, 0, 0, 1, 1, 1], [1, 1]),
        ("ragged", [0, 0, -1, -1, -1, -1], [1]),
        ("unlabelled", [0, 0, -1, -1, -1, -1], [2]),
        ("unlabelled", [-1, -1, -1, -1, -1, -1], []),
        ("absorbed", [0, 0, 0, 1, 1, 1], [2, 3]),
    ],
)
def test_each_kind_of_one_segment_of_six_pixels(kind, pred, labels):
    assert kinds_of([0] * 6, pred, [1], labels) == [kind]


def test_two_objects_under_one_predicted_segment_are_merged():
    # IoU with each is exactly 0.5, so neither matches
    assert kinds_of([0, 0, 0, 1, 1, 1], [0] * 6, [1, 1], [1]) == ["merged", "merged"]


def test_a_small_object_merged_into_a_large_one_that_is_found():
    assert kinds_of([0, 0, 0, 0, 0, 1], [0] * 6, [1, 1], [1]) == ["found", "merged"]


def test_objects_of_different_classes_are_not_called_merged():
    assert kinds_of([0, 0, 0, 1, 1, 1], [0] * 6, [1, 2], [1]) == ["ragged", "absorbed"]


def test_a_split_object_beside_another_object_of_its_class():
    # 0 and 1 are the halves of the first object, 2 is the second one: the three together have IoU 6 / 12 with the first
    assert kinds_of([0] * 6 + [1] * 6, [0, 0, 0, 1, 1, 1] + [2] * 6, [1, 1], [1, 1, 1]) == ["split", "found"]


def test_a_predicted_segment_that_is_not_mostly_inside_is_no_part():
    # part 0 has IoU 2 / 6; of part 1, 2 of 4 pixels are inside, so it does not count: with it, it would be 4 / 8
    assert kinds_of([0] * 6 + [1] * 9, [0, 0, 1, 1, -1, -1, 1, 1] + [-1] * 7, [1, 2], [1, 1])[0] == "ragged"
    # of part 1, 2 of 3 pixels are inside: both together have 4 / 7
    assert kinds_of([0] * 6 + [1] * 9, [0, 0, 1, 1, -1, -1, 1] + [-1] * 8, [1, 2], [1, 1])[0] == "split"


def test_crowd_regions_have_no_kind_and_merge_nothing():
    assert kinds_of([0, 0, 0, 1, 1, 1], [0] * 6, [1, 1], [1], crowd=[1]) == ["ragged", None]


def test_a_true_segment_without_a_pixel_is_absorbed():
    pairs = torch.zeros(2, 1, dtype=torch.long)
    empty = torch.zeros(0, dtype=torch.long)
    kinds = error_kinds(
        pairs, gt_labels_N=torch.tensor([0]), gt_is_crowd_N=torch.tensor([False]), pred_labels_M=empty, num_classes=1
    )
    assert KINDS[kinds[0]] == "absorbed"


def test_invented_segments_touch_no_true_one_and_are_not_on_void():
    # a prediction within a tenth of a large segment, one on void, one that matches
    gt = [0] * 20 + [-1] * 3 + [1] * 4
    pred = [0] + [-1] * 19 + [1] * 3 + [2] * 4
    assert invented_of(gt, pred, [1, 1], [1, 1, 1]) == [True, False, False]


def test_a_small_segment_in_a_crowd_region_of_its_class_is_not_invented():
    gt, pred = [0] * 20, [0] + [-1] * 18 + [1]
    assert invented_of(gt, pred, [1], [1, 2], crowd=[0]) == [False, True]
    assert invented_of(gt, pred, [1], [1, 2]) == [True, True]


def test_a_segment_without_a_pixel_is_not_invented():
    assert invented_of([0, 0], [1, 1], [1], [1, 1]) == [False, False]


def test_found_is_panoptic_qualitys_match_invented_is_its_false_positive_and_every_segment_has_one_kind():
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        gt = torch.randint(-1, 5, (1, 40), generator=generator).sort().values
        pred = torch.where(
            torch.rand(1, 40, generator=generator) < 0.7, gt, torch.randint(-1, 5, (1, 40), generator=generator)
        )
        pairs = segment_intersections(gt, pred, num_gt=5, num_pred=5)
        labels = {
            "gt_labels_N": torch.randint(3, (5,), generator=generator),
            "gt_is_crowd_N": torch.rand(5, generator=generator) < 0.2,
            "pred_labels_M": torch.randint(3, (5,), generator=generator),
            "num_classes": 3,
        }
        kinds = error_kinds(pairs, **labels)
        assert (kinds == 0).sum() == panoptic_counts(pairs, **labels)[:, TP].sum()
        assert ((kinds < 0) == labels["gt_is_crowd_N"]).all()
        invented = labels["pred_labels_M"][invented_segments(pairs, **labels)]
        assert (invented.bincount(minlength=3) <= panoptic_counts(pairs, **labels)[:, FP]).all()


def test_labels_that_do_not_fit_are_refused():
    for function in (kinds_of, invented_of):
        with pytest.raises(ValueError, match="need intersections of shape"):
            function([0, 0], [0, 0], [1, 1], [1])
