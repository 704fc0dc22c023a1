import numpy as np
import pytest
import torch
from mmengine.registry import METRICS

from mmdataseg.evaluation.panoptic_quality import PanopticQualityMetric, draw_labels

from .samples import CLASSES, META, id_map, panoptic, score, semantic

# dog 0 | dog 1 | sky 3; one dog found (3 of 4 pixels), the other called a cat, sky found
GT, LABELS = [[0, 0, 0, 0, 1, 1, 2, 2, -1]], [0, 0, 3]
PRED = [[1000, 1000, 1000, 0, 1001, 1001, 2003, 2003, 2003]]


def test_a_hand_worked_image():
    got = score(PanopticQualityMetric(), [panoptic(GT, LABELS, PRED)])
    # dog: tp 1 (iou 0.75), fn 1; cat: fp 1; sky: tp 1 (iou 1, void left out)
    assert got["PQ_th"] == pytest.approx(100 * (0.75 / 1.5 + 0) / 2)
    assert got["SQ_th"] == pytest.approx(100 * (0.75 + 0) / 2)
    assert got["RQ_th"] == pytest.approx(100 * (1 / 1.5 + 0) / 2)
    assert got["PQ_st"] == 100
    assert got["PQ"] == pytest.approx(100 * (0.5 + 0 + 1) / 3)
    assert set(got) == {q + kind for q in ("PQ", "SQ", "RQ") for kind in ("", "_th", "_st")}


def test_the_kinds_of_errors_of_a_hand_worked_image():
    sample = panoptic(GT, LABELS, PRED)
    plain = score(PanopticQualityMetric(), [sample])
    got = score(PanopticQualityMetric(errors=True, chance=2), [sample, sample])
    assert {name: got[name] for name in plain} == plain  # the qualities do not change
    assert (got["found_th"], got["wrong_class_th"], got["found_st"]) == (50, 50, 100)
    assert got["found"] == pytest.approx(200 / 3)
    kinds = ("found", "wrong_class", "merged", "split", "ragged", "unlabelled", "absorbed")
    for suffix in ("", "_th", "_st"):
        assert sum(got[kind + suffix] for kind in kinds) == pytest.approx(100)
        assert got["invented" + suffix] == 0


def test_an_invented_segment_is_counted_for_its_own_kind():
    #      a dog that is found, and a cat on a piece of the sky
    sample = panoptic([[0, 0, *[1] * 20]], [0, 3], [[1000, 1000, 1, *[2003] * 19]])
    got = score(PanopticQualityMetric(errors=True), [sample])
    assert (got["invented_th"], got["invented_st"], got["invented"]) == (100, 0, 50)


def as_samples(data, maps):
    """The reference's cases as the model hands them over, and what of each the metric is to count: class -> counts."""
    label_of = {c["id"]: i for i, c in enumerate(data["categories"])}
    for number, case in enumerate(data["cases"]):
        found = []
        for side, make in (("gt", lambda _, row: row), ("pred", lambda label, row: label + 1000 * (row + 1))):
            segments, ids = case[f"{side}_segments"], maps[f"{side}_{number}"]
            void = -1 if side == "gt" else 0
            table = np.full(max([int(ids.max()), *(s["id"] for s in segments)]) + 1, void)
            table[[s["id"] for s in segments]] = [
                make(label_of[s["category_id"]], row) for row, s in enumerate(segments)
            ]
            found.append(table[ids].tolist())
        truth = case["gt_segments"]
        labels, crowd = [label_of[s["category_id"]] for s in truth], [bool(s["iscrowd"]) for s in truth]
        counts = {label_of[int(k)]: [v[c] for c in ("tp", "fp", "fn", "iou")] for k, v in case["expected"].items()}
        yield panoptic(found[0], labels, found[1], crowd), counts


def test_every_count_of_the_coco_evaluator(panoptic_reference):
    data, maps = panoptic_reference
    is_thing = [bool(c["isthing"]) for c in data["categories"]]
    metric = PanopticQualityMetric()
    metric.dataset_meta = dict(META, classes=[str(c["id"]) for c in data["categories"]], is_thing=is_thing)
    for sample, expected in as_samples(data, maps):
        metric.process(None, [sample.to_dict()])
        labels, counts = metric.results[-1]
        got = dict(zip(labels.tolist(), counts[0].tolist(), strict=True))
        assert got == {k: pytest.approx(v, abs=1e-12) for k, v in expected.items() if any(v)}
    got = metric.evaluate(len(data["cases"]))
    for kind, suffix in (("All", ""), ("Things", "_th"), ("Stuff", "_st")):
        for name in ("PQ", "SQ", "RQ"):
            assert got[name + suffix] == pytest.approx(100 * data["expected_total"][kind][name.lower()], abs=1e-9)


def test_counts_add_up_over_images():
    # dog: found once (iou 1) and missed once
    samples = [panoptic([[0]], [0], [[1000]]), panoptic([[0]], [0], [[0]])]
    assert score(PanopticQualityMetric(), samples)["PQ"] == pytest.approx(100 * 1 / 1.5)


def test_crowd_is_read():
    found = dict(ids=[[0, 0]], labels=[0], predicted=[[0, 0]])
    assert score(PanopticQualityMetric(), [panoptic(**found, crowd=[False])])["PQ"] == 0
    nothing_to_find = score(PanopticQualityMetric(), [panoptic(**found, crowd=[True])])
    assert torch.tensor(list(nothing_to_find.values())).isnan().all()


def test_mmdets_own_format_is_read():
    # void is the number of classes, stuff has no segment number
    sample = panoptic([[0, 1, -1]], [0, 2], [[1000, 2, 4]])
    sample.pred_panoptic_seg = type(sample.pred_panoptic_seg)(sem_seg=torch.tensor([[[1000, 2, 4]]]))
    assert score(PanopticQualityMetric(), [sample])["PQ"] == 100


def test_kinds_without_a_class_are_not_reported():
    got = score(PanopticQualityMetric(), [panoptic([[0]], [0], [[1000]])], dict(META, is_thing=(True,) * 4))
    assert set(got) == {"PQ", "SQ", "RQ", "PQ_th", "SQ_th", "RQ_th"}


def test_thing_classes_of_mmdet_serve_as_flags():
    meta = dict(classes=CLASSES, thing_classes=("dog", "cat"))
    assert score(PanopticQualityMetric(), [panoptic(GT, LABELS, PRED)], meta)["PQ_st"] == 100
    with pytest.raises(ValueError, match="does not know which classes are things"):
        score(PanopticQualityMetric(), [panoptic(GT, LABELS, PRED)], dict(classes=CLASSES))


def test_chance_is_what_perfect_segments_are_worth_when_classes_mean_nothing():
    samples = [panoptic([[0, 1]], [0, 2], [[1000, 1002]], sample_idx=i) for i in range(200)]
    got = score(PanopticQualityMetric(chance=8), samples)
    assert got["PQ"] == 100
    # a dog is called a dog in half of the draws: dog iou 100, fn 100 -> 2 / 3; cat: fp only -> 0
    assert got["PQ_th_chance"] == pytest.approx(100 / 3, abs=2)
    assert got["PQ_st_chance"] == pytest.approx(100 / 3, abs=2)
    again = score(PanopticQualityMetric(chance=8), samples[::-1])
    assert again == got  # draws hang on sample_idx, not on the order


def test_draws_stay_among_their_kind():
    labels = torch.tensor([0, 1, 2, 3] * 50)
    is_thing = torch.tensor([True, True, False, False])
    drawn = draw_labels(labels, is_thing, generator=torch.Generator().manual_seed(0))
    assert torch.equal(is_thing[drawn], is_thing[labels])
    assert drawn.bincount().min() > 30
    assert len(draw_labels(labels[:0], is_thing, generator=torch.Generator())) == 0


def test_classwise_names_each_class():
    got = score(PanopticQualityMetric(classwise=True), [panoptic(GT, LABELS, PRED)])
    assert got["PQ/dog"] == pytest.approx(50)
    assert got["PQ/cat"] == 0
    assert got["PQ/sky"] == 100


def test_it_is_found_by_its_prefixed_name():
    metric = METRICS.build(dict(type="mmdataseg.PanopticQualityMetric", prefix="mine"))
    assert set(score(metric, [panoptic([[0]], [2], [[1002]])])) >= {"mine/PQ", "mine/PQ_st"}


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (semantic([[0]], [0], [[0]], source="pets", img_path="a.png"), "source 'pets', a.png: no prediction"),
        (panoptic([[0]], [0], [[1004]]), "predicted class 4, the label space has 4"),
        (panoptic([[0, 0]], [0], [[1000]]), r"ground truth is \(1, 2\), but the prediction is \(1, 1\)"),
        (panoptic([[1]], [0], [[1000]]), r"'gt_id_map' has ids 1 \.\. 1, but 'gt_instances' has rows 0 \.\. 0"),
        (panoptic([[0]], [7], [[1000]]), r"true labels: expected 0 \.\. 3, got 7"),
    ],
)
def test_bad_samples(sample, message):
    with pytest.raises(ValueError, match=message):
        score(PanopticQualityMetric(), [sample])


def test_a_sample_without_ground_truth_is_refused():
    sample = panoptic([[0]], [0], [[1000]])
    del sample.gt_id_map
    with pytest.raises(ValueError, match="expected ground truth 'gt_id_map' and 'gt_instances'"):
        score(PanopticQualityMetric(), [sample])


def test_ground_truth_that_was_loaded_for_training_is_refused():
    sample = panoptic([[0]], [0], [[1000]], source="pets", img_path="a.png")
    del sample.gt_instances.is_crowd
    with pytest.raises(
        ValueError, match=r"source 'pets', a\.png: .*loaded as for training.*; load it with scoring=True"
    ):
        score(PanopticQualityMetric(), [sample])


def test_bad_arguments():
    with pytest.raises(ValueError, match="expected chance, a number of draws, of at least 0, got -1"):
        PanopticQualityMetric(chance=-1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'chanse'"):
        PanopticQualityMetric(chanse=1)
    with pytest.raises(ValueError, match="does not know its classes"):
        score(PanopticQualityMetric(), [id_map([[0]], [0])], None)


def test_a_subset_is_the_mean_over_its_classes():
    got = score(PanopticQualityMetric(subsets={"dog": [CLASSES[0]], "rest": CLASSES[1:]}), [panoptic(GT, LABELS, PRED)])
    assert got["PQ_dog"] == pytest.approx(50)  # the hand-worked image
    assert got["PQ_rest"] == pytest.approx(100 * (0 + 1) / 2), "the class that does not appear does not count"
