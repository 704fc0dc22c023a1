"""A third kind of supervision, a click inside each object, needs only one class and its name in the config."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmdataseg.models.targets.base import Annotation, Targets, common_annotation, stacked
from mmdataseg.ops.points import sample_maps
from mmdataseg.registry import MODELS
from tests.models.conftest import make_batch, make_sample, model_config
from tests.models.criterion_cases import (
    BOTTOM_LEFT,
    RIGHT,
    SIZE,
    TOP_LEFT,
    classes_of,
    cross_entropy,
    masks_of,
    proposals_of,
)


@dataclass(frozen=True)
class ClickAnnotation(Annotation):
    clicks_N2: Tensor  # (x, y) in [0, 1] of the image


class ClickTargets(Targets):
    """A mask must contain its click."""

    loss_names = ("loss_click",)

    def read(self, sample, source):
        common = common_annotation(sample, source)
        return ClickAnnotation(common.labels_N, common.size, sample.gt_instances.clicks)

    def cost(self, masks, annotations):
        return F.softplus(-masks.candidates_at(stacked([a.clicks_N2 for a in annotations])))

    def loss(self, mask_logits_RHW, images_R, targets_R, masks, annotations):
        clicks_R12 = stacked([a.clicks_N2 for a in annotations])[images_R, targets_R, None]
        return F.softplus(-sample_maps(mask_logits_RHW, clicks_R12, masks.extents_B2[images_R])).sum()[None]


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(MODELS.module_dict, "ClickTargets", ClickTargets)


TARGETS = {"clicks": {"type": "mmdataseg.ClickTargets"}}


@pytest.mark.usefixtures("registered")
def test_merge_matching_and_class_loss_work_for_a_new_kind():
    criterion = MODELS.build({"type": "mmdataseg.DaTaSegCriterion", "targets": TARGETS})
    # clicks of class 0 on the right and of class 1 on the left; the proposals of class 1 hold a quarter each
    annotation = ClickAnnotation(torch.tensor([0, 1]), SIZE, torch.tensor([[0.75, 0.5], [0.25, 0.9]]))
    masks = masks_of(TOP_LEFT, BOTTOM_LEFT, RIGHT).requires_grad_()
    classes = classes_of(1, 1, 0)
    losses = criterion(
        proposals_of(masks[None]),
        classes,
        [annotation],
        supervision="clicks",
        mergeable=(True, True),
        padded_size=SIZE,
    )
    row = (cross_entropy(classes, 0, 1) + cross_entropy(classes, 1, 1)) / 2
    torch.testing.assert_close(losses["loss_class"], 2 * (row + cross_entropy(classes, 2, 0)) / 2)
    assert 0 < losses["loss_click"] < 1e-4  # both clicks lie in the mask of their row
    losses["loss_click"].backward()
    assert (masks.grad.abs().sum((1, 2)) > 0).tolist() == [False, True, True]  # the part that holds the click


def criterion_with(monkeypatch, **changes):
    monkeypatch.setitem(MODELS.module_dict, "ClickTargets", type("Changed", (ClickTargets,), changes))
    return MODELS.build({"type": "mmdataseg.DaTaSegCriterion", "targets": TARGETS})


@pytest.mark.parametrize("names", [("click",), "loss_click"])
def test_a_term_that_mmengine_would_not_train_is_refused(monkeypatch, names):
    with pytest.raises(ValueError, match=r"Changed.loss_names: expected names that start with 'loss', got '(click|l)'"):
        criterion_with(monkeypatch, loss_names=names)


@pytest.mark.parametrize("names", [("loss_a", "loss_b"), ()])
def test_as_many_terms_as_names(monkeypatch, names):
    criterion = criterion_with(monkeypatch, loss_names=names)
    annotation = ClickAnnotation(torch.tensor([0]), SIZE, torch.tensor([[0.75, 0.5]]))
    with pytest.raises(ValueError, match=r"Changed.loss: expected one value for each of .*, got shape \(1,\)"):
        criterion(
            proposals_of(masks_of(RIGHT)[None]),
            classes_of(0),
            [annotation],
            supervision="clicks",
            mergeable=(True, True),
            padded_size=SIZE,
        )


@pytest.mark.parametrize("lost", [0, 1, 2, 3])
def test_a_cost_that_would_broadcast_is_refused(monkeypatch, lost):
    """Without one of the dimensions of a cost, wrong pairs would be matched."""

    def cost(targets, masks, annotations):
        return ClickTargets.cost(targets, masks, annotations).select(lost, 0)

    criterion = criterion_with(monkeypatch, cost=cost)
    annotation = ClickAnnotation(torch.tensor([0, 1]), SIZE, torch.tensor([[0.75, 0.5], [0.25, 0.9]]))
    shape = [1, 1, 2, 2]
    del shape[lost]
    got = ", ".join(str(side) for side in shape)
    with pytest.raises(ValueError, match=rf"Changed.cost: expected shape \(1, 1, 2, 2\) .*, got \({got}\); "):
        criterion(
            proposals_of(masks_of(RIGHT, TOP_LEFT)[None]),
            classes_of(0, 1),
            [annotation],
            supervision="clicks",
            mergeable=(False, False),
            padded_size=SIZE,
        )


@pytest.mark.usefixtures("registered")
def test_the_model_trains_with_a_new_kind(embeddings_file):
    config = model_config(embeddings_file)
    config["criterion"]["targets"].update(TARGETS)
    config["sources"].append(dict(config["sources"][-1], name="clicked", supervision="clicks", train={}))
    model = MODELS.build(config)
    sample = make_sample("boxes")
    annotated = sample["data_samples"].gt_instances
    annotated.clicks = torch.tensor([[0.25, 0.4], [0.7, 0.6]])
    del annotated.bboxes
    sample["data_samples"].set_metainfo({"source": "clicked"})
    data = model.data_preprocessor(make_batch(sample), training=True)
    losses = model.loss(data["inputs"], data["data_samples"])
    assert set(losses) == {"clicked/loss_class", "clicked/loss_click"}
    sum(losses.values()).backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
