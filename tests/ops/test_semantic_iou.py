import pytest
import torch

from mmdataseg.ops.semantic_iou import class_areas, confusion_matrix, semantic_iou

GT = torch.tensor([[0, 0, 1, -1]])
PRED = torch.tensor([[0, 1, 1, 1]])


def test_a_hand_worked_map():
    confusion = confusion_matrix(GT, PRED, num_classes=3)
    assert confusion.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    areas = class_areas(confusion)
    assert areas.tolist() == [[1, 1, 2], [1, 2, 1], [0, 0, 0]]
    iou, accuracy, all_accuracy = semantic_iou(areas)
    assert iou[:2].tolist() == [0.5, 0.5]
    assert accuracy[:2].tolist() == [0.5, 1.0]
    assert iou[2].isnan()
    assert accuracy[2].isnan()
    assert all_accuracy.item() == pytest.approx(2 / 3)


def test_predicted_void_is_a_wrong_answer():
    areas = class_areas(confusion_matrix(torch.tensor([0, 0]), torch.tensor([0, -1]), num_classes=1))
    assert areas.tolist() == [[1, 1, 2]]


def test_a_permutation_renames_what_was_predicted():
    generator = torch.Generator().manual_seed(0)
    gt = torch.randint(-1, 5, (20, 20), generator=generator)
    pred = torch.randint(0, 5, (20, 20), generator=generator)
    order = torch.randperm(5, generator=generator)
    renamed = class_areas(confusion_matrix(gt, order[pred], num_classes=5))
    assert torch.equal(class_areas(confusion_matrix(gt, pred, num_classes=5), order), renamed)
    assert not torch.equal(class_areas(confusion_matrix(gt, pred, num_classes=5)), renamed)


def test_all_void_counts_nothing():
    areas = class_areas(confusion_matrix(torch.full((2, 2), -1), torch.zeros(2, 2).long(), num_classes=2))
    assert not areas.any()
    assert semantic_iou(areas)[2].isnan()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"the same size, got \(1, 4\) and \(4, 1\)"):
        confusion_matrix(GT, PRED.T, num_classes=3)
    with pytest.raises(ValueError, match=r"predicted map: expected values in -1 \.\. 0, got 0 \.\. 1"):
        confusion_matrix(GT.clamp(max=0), PRED, num_classes=1)
    with pytest.raises(ValueError, match=r"got shape \(2, 2\)"):
        class_areas(torch.zeros(2, 2))
    with pytest.raises(ValueError, match=r"got shape \(2, 2\)"):
        semantic_iou(torch.zeros(2, 2))
