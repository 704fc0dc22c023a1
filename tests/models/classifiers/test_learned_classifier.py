"""Classification without text."""

from dataclasses import replace

import pytest
import torch

from mmdataseg.models import LearnedClassifier, TextClassifier
from mmdataseg.registry import MODELS
from mmdataseg.sources import Source
from mmdataseg.structures import LabelSpace, Task
from mmdataseg.text.embeddings import load_embeddings
from tests.models.conftest import LABEL_SPACE, TEXT_DIM, make_batch, make_sample, model_config, sources
from tests.tolerances import CLASS_LOGITS

AXES = Source(
    name="axes",
    task=Task.SEMANTIC,
    label_space=LabelSpace(name="axes.3", classes=("right", "up", "away"), is_thing=(True, True, False)),
    train={},
)
TESTED = Source(name="tested", task=Task.PANOPTIC, label_space=AXES.label_space)
OTHER = Source(
    name="other",
    task=Task.SEMANTIC,
    label_space=LabelSpace(name="two", classes=("left", "down"), is_thing=(True, True)),
    train={},
)


def test_with_text_embeddings_as_vectors_it_equals_the_text_classifier(embeddings_file):
    """The two differ in where the vectors come from, and so in the scale that they start at."""
    configs = [{**config, "train": {}} for config in sources(embeddings_file)]
    text = TextClassifier(sources=configs, embed_dim=TEXT_DIM)
    learned = LearnedClassifier(sources=configs, embed_dim=TEXT_DIM)
    with torch.no_grad():
        learned.vectors_tiny.weight.copy_(3 * load_embeddings(embeddings_file).matrix)  # the length does not matter
        learned.background.copy_(text.background)
        learned.log_scale.copy_(text.log_scale)
    embeds = torch.randn(2, 5, TEXT_DIM, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        learned(embeds, learned.matrix("panoptic")), text(embeds, text.matrix("panoptic")), **CLASS_LOGITS
    )


def test_vectors_belong_to_the_label_space_and_only_those_used_get_a_gradient():
    classifier = LearnedClassifier(sources=[TESTED, AXES, OTHER], embed_dim=4)
    assert {name: tuple(p.shape) for name, p in classifier.named_parameters()} == {
        "background": (4,), "log_scale": (), "vectors_axes_3.weight": (3, 4), "vectors_two.weight": (2, 4)
    }  # fmt: skip
    assert classifier.matrix("tested") is classifier.matrix("axes")
    classifier(torch.randn(6, 4), classifier.matrix("axes")).log_softmax(-1)[:, 0].sum().backward()
    assert {name for name, p in classifier.named_parameters() if p.grad is None} == {"vectors_two.weight"}
    assert (classifier.matrix("axes").grad.abs().sum(1) > 0).all()


def test_a_vocabulary_that_is_not_trained_on_is_refused():
    with pytest.raises(
        ValueError, match=r"source 'other': no source is trained on label space 'two'.*take the source out"
    ):
        LearnedClassifier(sources=[AXES, replace(OTHER, train=None)], embed_dim=4)


def test_two_label_spaces_with_the_same_name_are_refused():
    turned = LabelSpace(name="axes.3", classes=("up", "right", "away"), is_thing=(True,) * 3)
    with pytest.raises(ValueError, match=r"source 'tested': label space 'axes\.3' has other classes.*rename one"):
        LearnedClassifier(sources=[AXES, replace(TESTED, label_space=turned)], embed_dim=4)


def test_an_unknown_source_is_refused():
    with pytest.raises(ValueError, match=r"has no source 'three'; it was built with \['axes'\]"):
        LearnedClassifier(sources=[AXES], embed_dim=4).matrix("three")


@pytest.mark.parametrize("source", ["semantic", "panoptic", "boxes"])
def test_a_model_without_text_trains_every_parameter_and_answers(source):
    torch.manual_seed(0)
    configs = [{**config, "embeddings": None, "train": {}} for config in sources("")]
    classifier = {"type": "mmdataseg.LearnedClassifier", "embed_dim": TEXT_DIM}
    model = MODELS.build(model_config("", sources=configs, classifier=classifier))
    model.init_weights()
    data = model.data_preprocessor(make_batch(make_sample(source), make_sample(source, seed=1)), training=True)
    with torch.no_grad():  # move parameters away from the zeros of the initialisation
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    sum(model.loss(data["inputs"], data["data_samples"]).values()).backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and not p.grad.abs().sum() > 0] == []
    model.eval()
    with torch.no_grad():
        (answer, _) = model.predict(data["inputs"], data["data_samples"])
    field = {"semantic": "pred_sem_seg", "panoptic": "pred_panoptic_seg", "boxes": "pred_instances"}[source]
    assert field in answer
    assert model.classifier.matrix(source).shape == (len(LABEL_SPACE), TEXT_DIM)
