import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric

from mmdataseg.errors import UserError
from mmdataseg.evaluation.semantic import SemanticMetric
from mmdataseg.sources import Source

from .samples import CLASSES, META, panoptic, score, semantic

SPACE = {"name": "two", "classes": ["cat", "sky"], "is_thing": [True, False]}


def test_a_hand_worked_image():
    # rows in another order than the classes; row 2 is a second segment of class 0
    got = score(SemanticMetric(), [semantic([[0, 0, 1, 2, -1]], [2, 0, 0], [[2, 0, 0, 0, 1]])])
    assert got["mIoU"] == pytest.approx(100 * (2 / 3 + 1 / 2) / 2)
    assert got["mAcc"] == pytest.approx(100 * (1 + 1 / 2) / 2)
    assert got["aAcc"] == pytest.approx(75)
    assert set(got) == {"mIoU", "mAcc", "aAcc"}


def test_it_equals_mmseg():
    generator = torch.Generator().manual_seed(0)
    num_classes = 6
    meta = dict(classes=[f"class {i}" for i in range(num_classes)], is_thing=[False] * num_classes)
    theirs = IoUMetric(ignore_index=255)
    theirs.dataset_meta = meta
    samples, batch = [], []
    for _ in range(4):
        labels = torch.randperm(num_classes, generator=generator)[:4]
        ids = torch.randint(-1, 4, (13, 17), generator=generator)
        predicted = torch.randint(0, num_classes - 1, (13, 17), generator=generator)
        samples.append(semantic(ids.tolist(), labels.tolist(), predicted.tolist()))
        true = torch.where(ids < 0, 255, labels[ids.clamp(min=0)])
        batch.append(dict(pred_sem_seg=dict(data=predicted[None]), gt_sem_seg=dict(data=true[None])))
    theirs.process({}, batch)
    expected = theirs.compute_metrics(theirs.results)
    got = score(SemanticMetric(), samples, meta)
    assert {name: round(value, 2) for name, value in got.items()} == pytest.approx(expected, abs=0.011)


def test_crowd_regions_keep_their_class():
    sample = panoptic([[0, 1]], [0, 2], [[0, 0]], crowd=[True, False])
    sample.pred_sem_seg = semantic([[0]], [0], [[0, 2]]).pred_sem_seg
    assert score(SemanticMetric(), [sample])["mIoU"] == 100


def test_all_void_has_no_score():
    got = score(SemanticMetric(), [semantic([[-1, -1]], [], [[0, 0]])])
    assert torch.tensor(list(got.values())).isnan().all()


def test_chance_permutes_what_was_predicted():
    samples = [semantic([[0, 1]], [0, 1], [[0, 1]], sample_idx=i) for i in range(300)]
    got = score(SemanticMetric(chance=4), samples)
    assert got["mIoU"] == 100
    # each of 4 classes is right in a quarter of the images. Classes 0 and 1: 75 of 300 true, 150 predicted pixels
    # (a permutation puts one of the two regions there in half of the images) -> 75 / (300 + 150 - 75); 2 and 3: 0
    assert got["mIoU_chance"] == pytest.approx(100 * (2 * 75 / 375) / 4, abs=1)
    assert score(SemanticMetric(chance=4), samples[::-1]) == got


def test_classwise_names_each_class():
    got = score(SemanticMetric(classwise=True), [semantic([[0, 0]], [1], [[1, 0]])])
    assert got["IoU/cat"] == 50
    assert got["IoU/dog"] == 0
    assert [f"IoU/{name}" in got for name in CLASSES] == [True] * 4


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (
            panoptic([[0]], [0], [[1000]], source="pets", img_path="a.png"),
            "source 'pets', a.png: no prediction 'pred_sem",
        ),
        (
            semantic([[0]], [0], [[4]], source="pets", img_path="a.png"),
            r"a.png: predicted map: expected values in -1 \.\. 3",
        ),
        (semantic([[0, 0]], [0], [[0]]), r"ground truth is \(1, 2\), but the prediction is \(1, 1\)"),
    ],
)
def test_bad_samples(sample, message):
    with pytest.raises(ValueError, match=message):
        score(SemanticMetric(), [sample], META)


def test_bad_arguments():
    with pytest.raises(ValueError, match="expected chance, a number of draws, of at least 0, got -2"):
        SemanticMetric(chance=-2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'iou_metrics'"):
        SemanticMetric(iou_metrics=["mIoU"])


def test_a_subset_is_the_mean_over_its_classes_that_count():
    sample = semantic(
        [[0, 0, 1, 2, -1]], [2, 0, 0], [[2, 0, 0, 0, 1]]
    )  # the hand-worked image: class 2 1/2, class 0 2/3
    subsets = {"one": [CLASSES[2]], "both": [CLASSES[0], CLASSES[2]], "absent": [CLASSES[3]]}
    got = score(SemanticMetric(subsets=subsets), [sample])
    assert got["mIoU_one"] == pytest.approx(50)
    assert got["mIoU_both"] == pytest.approx(got["mIoU"])
    assert np.isnan(got["mIoU_absent"])


def test_a_subset_with_an_unknown_class_is_refused_before_the_training():
    source = Source.from_config({"name": "pets", "task": "semantic", "label_space": SPACE})
    SemanticMetric(subsets={"steady": ["cat"]}).check_source(source)
    with pytest.raises(UserError, match="source 'pets': subset 'steady': label space 'two' has no class 'cow'"):
        SemanticMetric(subsets={"steady": ["cat", "cow"]}).check_source(source)
    with pytest.raises(UserError, match="subset 'none' has no class; name its classes"):
        SemanticMetric(subsets={"none": []})
