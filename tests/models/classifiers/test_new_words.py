"""Words that a model was not trained on, and words of a converted class layer."""

import math
from copy import deepcopy
from dataclasses import replace
from functools import partial

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from mmdataseg.errors import UserError
from mmdataseg.models import TextClassifier
from tests.models.classifiers.text_sources import AXES, MATRICES, TWO, write
from tests.tolerances import CLASS_LOGITS


@pytest.fixture
def sources(tmp_path):
    return [write(tmp_path, AXES), write(tmp_path, TWO)]


@pytest.fixture
def trained_sources(sources):
    """Trained on AXES only, so that the words of TWO are new."""
    return [replace(sources[0], train={}), sources[1]]


def weighted(sources, weight):
    torch.manual_seed(0)
    return TextClassifier(sources=sources, embed_dim=3, new_words_weight=weight).eval()


def test_the_weight_of_new_words_multiplies_their_odds_by_hand(trained_sources):
    """Logits 1, 0 and -1 for a known word, a new word and the background: only the new one gains log 3."""
    classifier = weighted(trained_sources, 3.0)
    classifier.normalize = False
    with torch.no_grad():
        classifier.background.copy_(torch.tensor([-1.0, 0.0, 0.0]))
        classifier.log_scale.fill_(0.0)
    known_and_new = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]])
    logits = classifier(torch.tensor([1.0, 0.0, 0.0]), known_and_new)
    torch.testing.assert_close(logits, torch.tensor([1.0, math.log(3.0), -1.0]), **CLASS_LOGITS)
    plain = torch.tensor([1.0, 0.0, -1.0])
    odds = logits.detach().softmax(0) / plain.softmax(0)
    assert float(odds[1] / odds[0]) == pytest.approx(3, rel=1e-4)
    assert float(odds[2] / odds[0]) == pytest.approx(1, rel=1e-4)


def test_a_weight_of_one_changes_nothing_and_known_words_never_change(trained_sources):
    embeds = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    plain = TextClassifier(sources=trained_sources, embed_dim=3).eval()
    for weight in (1.0, 0.2, 50.0):
        classifier = weighted(trained_sources, weight)
        classifier.load_state_dict(plain.state_dict())
        known, new = (torch.equal(classifier(embeds, t), plain(embeds, t)) for t in MATRICES.values())
        assert known
        assert new == (weight == 1)


def test_known_words_may_come_in_any_order_and_half_precision(trained_sources):
    classifier = weighted(trained_sources, 9.0)
    embeds = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    mixed = torch.cat([MATRICES["axes"].flip(0), MATRICES["two"]]).half()
    plain = weighted(trained_sources, 1.0)
    gained = (classifier(embeds, mixed) - plain(embeds, mixed)).mean(0)
    expected = torch.tensor([0.0, 0.0, 0.0, math.log(9.0), math.log(9.0), 0.0])
    torch.testing.assert_close(gained, expected, **CLASS_LOGITS)


def test_a_training_has_no_new_words(trained_sources):
    classifier = weighted(trained_sources, 9.0).train()
    embeds = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    plain = weighted(trained_sources, 1.0).train()
    assert torch.equal(classifier(embeds, MATRICES["two"]), plain(embeds, MATRICES["two"]))


@pytest.mark.parametrize("weight", [0.0, -1.0, math.inf, math.nan])
def test_a_weight_that_is_not_above_zero_is_refused(sources, weight):
    with pytest.raises(UserError, match="new_words_weight: expected a number above 0, got"):
        TextClassifier(sources=sources, embed_dim=3, new_words_weight=weight)


def test_without_a_trained_source_no_word_is_known(sources):
    with pytest.raises(UserError, match=r"cannot tell which words are new.*\['axes', 'two'\] is trained on"):
        weighted(sources, 2.0)(torch.randn(5, 3), MATRICES["two"])


# ---- the words of a converted class layer


@pytest.fixture
def converted(sources):
    """Two words along x and y and the background along z; their vectors are 2, 3 and 4 times as long."""
    classifier = TextClassifier(sources=sources, embed_dim=3, normalize=False).eval()
    with torch.no_grad():
        classifier.background.copy_(torch.tensor([0.0, 0.0, 1.0]))
    classifier.class_layer_words.set(torch.eye(3)[:2], torch.diag(torch.tensor([2.0, 3.0, 4.0])))
    return classifier


def test_words_of_the_class_layer_have_its_vectors_by_hand(converted):
    words = torch.tensor([[0.0, 1.0, 0.0], [0.6, 0.8, 0.0], [1.0, 0.0, 0.0]])  # the second word is new
    logits = converted(torch.tensor([5.0, 1.0, -1.0]), words)
    torch.testing.assert_close(logits, torch.tensor([3.0, 3.8, 10.0, -4.0]), **CLASS_LOGITS)


def test_words_are_new_if_the_class_layer_lacks_them(converted):
    converted.new_words_weight = 2.0
    words = torch.tensor([[0.0, 1.0, 0.0], [0.6, 0.8, 0.0]])
    logits = converted(torch.tensor([5.0, 1.0, -1.0]), words)
    torch.testing.assert_close(logits, torch.tensor([3.0, 3.8 + math.log(2.0), -4.0]), **CLASS_LOGITS)


def test_the_words_of_the_class_layer_come_with_the_checkpoint(converted, sources, tmp_path):
    torch.save(converted.state_dict(), tmp_path / "checkpoint.pth")
    other = TextClassifier(sources=sources[1:], embed_dim=3, normalize=False).eval()  # even without their source
    other.load_state_dict(torch.load(tmp_path / "checkpoint.pth", weights_only=True), strict=False)
    embeds, words = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.eye(3)
    assert torch.equal(other(embeds, words), converted(embeds, words))


def test_a_training_step_discards_the_words_of_the_class_layer(converted, sources):
    converted.train()(torch.randn(5, 3), torch.eye(3))
    assert len(converted.class_layer_words) == 0
    other = TextClassifier(sources=sources, embed_dim=3, normalize=False)
    other.load_state_dict(converted.state_dict())
    assert len(other.class_layer_words) == 0


@pytest.mark.parametrize("update_buffers", [False, True])
def test_a_training_step_discards_the_words_of_the_averaged_weights(converted, update_buffers):
    average = ExponentialMovingAverage(converted, update_buffers=update_buffers)
    assert len(average.module.class_layer_words) == 2
    for _ in range(2):
        converted.train()(torch.randn(5, 3), torch.eye(3)).sum().backward()
        average.update_parameters(converted)
    assert len(average.module.class_layer_words) == 0


@pytest.mark.parametrize("update_buffers", [False, True])
def test_averaged_weights_discard_words_that_were_loaded_later(converted, sources, update_buffers):
    """``EMAHook`` copies the model before a checkpoint is loaded, and loads it into the copy as well."""
    model = TextClassifier(sources=sources, embed_dim=3, normalize=False)
    average = ExponentialMovingAverage(model, update_buffers=update_buffers)
    for part in (model, average.module):
        load_state_dict(part, deepcopy(converted.state_dict()), strict=True)
        assert len(part.class_layer_words) == 2
    for _ in range(2):
        model.train()(torch.randn(5, 3), torch.eye(3)).sum().backward()
        average.update_parameters(model)
    assert len(average.module.class_layer_words) == 0
    model.load_state_dict(TextClassifier(sources=sources, embed_dim=3, normalize=False).state_dict())
    assert len(model.class_layer_words.rows) == 0


def test_the_words_are_discarded_before_weights_are_averaged(converted):
    """``EMAHook`` copies the entries of the state dict until its ``begin_iter``."""
    copied = deepcopy(converted)
    converted.train()(torch.randn(5, 3), torch.eye(3))
    entries = converted.state_dict()
    for name, value in copied.state_dict().items():
        value.data.copy_(entries[name].data)
    assert len(copied.class_layer_words) == 0


def test_the_class_layer_needs_a_vector_for_each_word_and_the_background(converted):
    with pytest.raises(ValueError, match=r"expected 3 vectors of 3 dimensions, got \(2, 3\)"):
        converted.class_layer_words.set(torch.eye(3)[:2], torch.eye(3)[:2])


@pytest.mark.parametrize("load", [nn.Module.load_state_dict, partial(load_state_dict, strict=True)])
def test_a_checkpoint_that_lacks_the_entry_of_the_words_is_complete_and_has_none(converted, sources, load):
    """``load`` is torch's loader, then mmengine's."""
    earlier = TextClassifier(sources=sources, embed_dim=3, normalize=False).state_dict()
    del earlier["class_layer_words._extra_state"]
    load(converted, earlier)
    assert len(converted.class_layer_words) == 0
    del earlier["_extra_state"]
    with pytest.raises(RuntimeError, match="_extra_state"):
        load(converted, earlier)


def test_words_of_another_dimension_are_discarded(converted):
    converted.class_layer_words.set_extra_state(torch.ones(5, 4))
    assert len(converted.class_layer_words) == 0


def test_an_entry_that_is_not_of_words_is_refused(converted):
    with pytest.raises(ValueError, match=r"expected 3 vectors of 3 dimensions, got \(2, 3\)"):
        converted.class_layer_words.set_extra_state(torch.ones(4, 3))
