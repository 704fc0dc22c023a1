import numpy as np
import pytest
import torch

from mmdataseg.ops.panoptic_quality import (
    FN,
    FP,
    IOU,
    TP,
    excused_segments,
    panoptic_counts,
    panoptic_quality,
    segment_intersections,
)


def count(gt, pred, gt_labels, pred_labels, crowd=()):
    pairs = segment_intersections(
        torch.tensor(gt), torch.tensor(pred), num_gt=len(gt_labels), num_pred=len(pred_labels)
    )
    is_crowd = torch.zeros(len(gt_labels), dtype=torch.bool)
    is_crowd[list(crowd)] = True
    return panoptic_counts(
        pairs,
        gt_labels_N=torch.tensor(gt_labels, dtype=torch.long),
        gt_is_crowd_N=is_crowd,
        pred_labels_M=torch.tensor(pred_labels, dtype=torch.long),
        num_classes=3,
    )


def test_intersections_of_a_hand_worked_map():
    pairs = segment_intersections(
        torch.tensor([[-1, 0, 0], [1, 1, 1]]), torch.tensor([[0, 0, -1], [0, 1, 1]]), num_gt=2, num_pred=2
    )
    #                      void  p0  p1
    assert pairs.tolist() == [[0, 1, 0], [1, 1, 0], [0, 1, 2]]


def test_a_match_needs_the_class_and_more_than_half():
    # p0 and g0: 3 shared of 4 together; p1 covers g1 but is of another class
    got = count([[0, 0, 0, 0, 1, 1]], [[0, 0, 0, -1, 1, 1]], [0, 1], [0, 2])
    assert got.tolist() == [[1, 0, 0, 0.75], [0, 0, 1, 0], [0, 1, 0, 0]]


def test_an_iou_of_exactly_half_is_not_a_match():
    got = count([[0, 0, 0, 0]], [[0, 0, -1, -1]], [0], [0])
    assert got[0].tolist() == [0, 1, 1, 0]


def test_void_inside_a_prediction_is_left_out_of_the_union():
    # 2 shared, union 2 + 4 - 2 - 2 void = 2
    got = count([[0, 0, -1, -1]], [[0, 0, 0, 0]], [0], [0])
    assert got[0].tolist() == [1, 0, 0, 1.0]


@pytest.mark.parametrize(("on_void", "false_positives"), [(2, 1), (3, 0)])
def test_a_prediction_mostly_on_void_is_excused(on_void, false_positives):
    gt = [-1] * on_void + [0] * (4 - on_void) + [0] * 6
    got = count([gt], [[0] * 4 + [-1] * 6], [1], [0])
    assert got[0, FP] == false_positives
    assert got[1, FN] == 1


@pytest.mark.parametrize(("label", "false_positives"), [(0, 0), (1, 1)])
def test_a_crowd_region_excuses_predictions_of_its_class_only(label, false_positives):
    # perfect overlap with the crowd region: neither a match nor a miss
    got = count([[0, 0, 0]], [[0, 0, 0]], [0], [label], crowd=[0])
    assert got[:, TP].sum() == 0
    assert got[:, FN].sum() == 0
    assert got[label, FP] == false_positives


@pytest.mark.parametrize(("crowd_row", "false_positives"), [(0, 1), (1, 0)])
def test_of_several_crowd_regions_of_a_class_the_last_one_counts(crowd_row, false_positives):
    gt = [[crowd_row] * 3 + [1 - crowd_row] * 2]
    got = count(gt, [[0, 0, 0, -1, -1]], [0, 0], [0], crowd=[0, 1])
    assert got[0].tolist() == [0, false_positives, 0, 0]


def test_excused_segments_by_hand():
    gt, pred = torch.tensor([[0, 0, 1, 1, 1, -1, -1]]), torch.tensor([[0, 0, 1, 1, 2, 3, 3]])
    excused = excused_segments(
        segment_intersections(gt, pred, num_gt=2, num_pred=5),
        gt_labels_N=torch.tensor([2, 2]),
        gt_is_crowd_N=torch.tensor([True, True]),
        pred_labels_M=torch.tensor([2, 2, 1, 0, 0]),
    )
    # on the earlier crowd region, on the last one, on one of another class, on void, nowhere
    assert excused.tolist() == [False, True, False, True, False]


def test_images_without_true_or_predicted_segments_are_counted():
    nothing = count([[-1, -1]], [[-1, -1]], [], [])
    assert nothing.shape == (3, 4)
    assert not nothing.any()
    assert count([[0, 0]], [[-1, -1]], [2], [])[2].tolist() == [0, 0, 1, 0]
    assert count([[-1, 0]], [[-1, -1]], [2, 1], [0])[:, FN].tolist() == [0, 1, 1]  # true segment 1 has no pixel
    assert count([[-1, 0]], [[-1, -1]], [2], [0])[:, FP].sum() == 0  # predicted segment 0 has no pixel


def test_a_map_against_itself_is_perfect_and_renumbering_changes_nothing():
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        ids = torch.randint(0, 5, (9, 11), generator=generator)
        pred = torch.randint(0, 4, (9, 11), generator=generator)
        labels = [0, 1, 1, 2, 0]
        same = count(ids.tolist(), ids.tolist(), labels, labels)
        assert panoptic_quality(same)[0].tolist() == [1, 1, 1]
        order = torch.randperm(4, generator=generator)
        pred_labels = torch.tensor([0, 1, 2, 1])
        renumbered = torch.empty(4, dtype=torch.long)
        renumbered[order] = pred_labels
        one = count(ids.tolist(), pred.tolist(), labels, pred_labels.tolist())
        other = count(ids.tolist(), order[pred].tolist(), labels, renumbered.tolist())
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_quality_of_a_hand_worked_table():
    table = torch.tensor([[2, 1, 1, 1.5], [0, 3, 0, 0], [0, 0, 0, 0]])
    pq, sq, rq = panoptic_quality(table)
    assert pq[:2].tolist() == [0.5, 0.0]
    assert sq[:2].tolist() == [0.75, 0.0]
    assert rq[:2].tolist() == [2 / 3, 0.0]
    assert torch.isnan(torch.stack([pq, sq, rq])[:, 2]).all()
    assert pq.nanmean() == 0.25


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"the same size, got \(1, 2\) and \(2, 1\)"):
        segment_intersections(torch.zeros(1, 2).int(), torch.zeros(2, 1).int(), num_gt=1, num_pred=1)
    with pytest.raises(ValueError, match=r"true map: expected values in -1 \.\. 0, got 1 \.\. 1"):
        segment_intersections(torch.ones(1, 2).int(), torch.zeros(1, 2).int(), num_gt=1, num_pred=1)
    with pytest.raises(ValueError, match=r"predicted labels: expected 0 \.\. 2, got 3 \.\. 3"):
        count([[0]], [[0]], [0], [3])
    with pytest.raises(ValueError, match=r"need intersections of shape \(2, 3\), got \(2, 2\)"):
        panoptic_counts(
            torch.zeros(2, 2).long(),
            gt_labels_N=torch.zeros(1),
            gt_is_crowd_N=torch.zeros(1),
            pred_labels_M=torch.zeros(2),
            num_classes=1,
        )
    with pytest.raises(ValueError, match="a crowd flag for each of 1"):
        panoptic_counts(
            torch.zeros(2, 2).long(),
            gt_labels_N=torch.zeros(1),
            gt_is_crowd_N=torch.zeros(3),
            pred_labels_M=torch.zeros(1),
            num_classes=1,
        )
    with pytest.raises(ValueError, match=r"got shape \(2, 3\)"):
        panoptic_quality(torch.zeros(2, 3))


def rows(ids, segments):
    """Convert an id map as on disk (0 = void) to row numbers, by look-up table."""
    table = np.full(max([int(ids.max()), *(s["id"] for s in segments)]) + 1, -1)
    table[[s["id"] for s in segments]] = np.arange(len(segments))
    return torch.from_numpy(table[ids])


def test_every_count_of_the_coco_evaluator(panoptic_reference):
    data, maps = panoptic_reference
    label_of = {c["id"]: i for i, c in enumerate(data["categories"])}
    total = torch.zeros(len(label_of), 4, dtype=torch.float64)
    for number, case in enumerate(data["cases"]):
        gt, pred = case["gt_segments"], case["pred_segments"]
        counts = panoptic_counts(
            segment_intersections(
                rows(maps[f"gt_{number}"], gt), rows(maps[f"pred_{number}"], pred), num_gt=len(gt), num_pred=len(pred)
            ),
            gt_labels_N=torch.tensor([label_of[s["category_id"]] for s in gt]),
            gt_is_crowd_N=torch.tensor([s["iscrowd"] for s in gt]),
            pred_labels_M=torch.tensor([label_of[s["category_id"]] for s in pred]),
            num_classes=len(label_of),
        )
        expected = torch.zeros_like(counts)
        for category, values in case["expected"].items():
            expected[label_of[int(category)]] = torch.tensor([values[k] for k in ("tp", "fp", "fn", "iou")])
            got = counts[label_of[int(category)]].tolist()
            assert got[:3] == [values["tp"], values["fp"], values["fn"]], (number, category)
            assert got[IOU] == pytest.approx(values["iou"], abs=1e-12), (number, category)
        assert torch.equal(counts[:, :IOU], expected[:, :IOU]), number  # other classes have none
        total += counts
    assert len(data["cases"]) >= 60
    qualities = panoptic_quality(total)
    is_thing = torch.tensor([bool(c["isthing"]) for c in data["categories"]])
    for kind, wanted in (("All", is_thing | True), ("Things", is_thing), ("Stuff", ~is_thing)):
        for key, values in zip(("pq", "sq", "rq"), qualities, strict=True):
            assert values[wanted].nanmean().item() == pytest.approx(data["expected_total"][kind][key], abs=1e-12)
        assert int((~qualities[0][wanted].isnan()).sum()) == data["expected_total"][kind]["n"]
