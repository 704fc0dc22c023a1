import math

import pytest
import torch
import torch.nn.functional as F

from mmdataseg.errors import UserError
from mmdataseg.models.classifiers.cosine_classifier import CosineClassifier, initial_scale_of
from tests.tolerances import CLASS_LOGITS


class Fixed(CosineClassifier):
    def matrix(self, source: str) -> torch.Tensor:
        return {"any": torch.tensor([[3.0, 0.0], [0.0, 0.5]])}[source]


def test_logits_by_hand() -> None:
    classifier = Fixed(embed_dim=2)
    with torch.no_grad():
        classifier.log_scale.fill_(math.log(10.0))
        classifier.background.copy_(torch.tensor([-2.0, 0.0]))
    logits = classifier(torch.tensor([[0.6, 0.8], [5.0, 0.0]]), classifier.matrix("any"))
    torch.testing.assert_close(logits, torch.tensor([[6.0, 8.0, -6.0], [10.0, 0.0, -10.0]]), **CLASS_LOGITS)


def test_lengths_do_not_matter() -> None:
    classifier = Fixed(embed_dim=2)
    embeds = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    expected = classifier(embeds, classifier.matrix("any"))
    torch.testing.assert_close(classifier(7 * embeds, 0.1 * classifier.matrix("any")), expected, **CLASS_LOGITS)


@pytest.mark.parametrize("length", [1.0, 1e-3, 1e3, 0.0])
def test_values_and_gradients_are_those_of_normalised_embeddings(length: float) -> None:
    classifier = Fixed(embed_dim=2)
    embeds = length * torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    answers = []
    for straightforward in (False, True):
        own = embeds.clone().requires_grad_()
        vectors = classifier.vectors(classifier.matrix("any"), None)
        cosines = classifier.log_scale.exp() * F.normalize(own, dim=-1) @ vectors.T
        logits = cosines if straightforward else classifier(own, classifier.matrix("any"))
        trained = (own, classifier.background, classifier.log_scale)
        answers.append((logits, *torch.autograd.grad((logits * weights).sum(), trained)))
    for ours, expected in zip(*answers, strict=True):
        torch.testing.assert_close(ours, expected, **CLASS_LOGITS)


def test_without_normalising_logits_are_products_with_unit_vectors_by_hand() -> None:
    classifier = Fixed(embed_dim=2, normalize=False)
    with torch.no_grad():
        classifier.background.copy_(torch.tensor([-2.0, 0.0]))
    logits = classifier(torch.tensor([[0.6, 0.8], [5.0, 0.0]]), classifier.matrix("any"))
    torch.testing.assert_close(logits, torch.tensor([[0.6, 0.8, -0.6], [5.0, 0.0, -5.0]]), **CLASS_LOGITS)


def test_normalising_keeps_the_ranking_of_a_proposals_classes() -> None:
    embeds = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    cosines, products = Fixed(embed_dim=2), Fixed(embed_dim=2, normalize=False)
    products.load_state_dict(cosines.state_dict())
    ranks = [c(embeds, c.matrix("any")).argsort(-1) for c in (cosines, products)]
    assert torch.equal(*ranks)


def test_a_classifier_must_define_its_vectors() -> None:
    with pytest.raises(TypeError, match="matrix"):
        CosineClassifier(embed_dim=2)


@pytest.mark.parametrize(
    ("vocabularies", "scale"),
    [
        ([[[1.0, 0.0], [0.0, 3.0]]], 1 / 0.07),  # orthogonal
        ([[[1.0, 0.0], [3.0, 4.0]]], 1 / 0.07 / 0.4),  # cosine 0.6
        ([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [3.0, 4.0]]], 1 / 0.07 / 0.7),  # mean cosine 0.3
        ([[[1.0, 0.0]], [[1.0, 0.0], [3.0, 4.0]]], 1 / 0.07 / 0.4),  # one class has no other
        ([[[1.0, 0.0]]], 1 / 0.07),
        ([], 1 / 0.07),
        ([[[1.0, 0.0], [2.0, 0.0]]], 100.0),  # one direction
        ([[[1.0, 0.0], [-1.0, 0.0]]], 1 / 0.07 / 2),
    ],
)
def test_the_initial_scale_by_hand(vocabularies: list, scale: float) -> None:
    assert initial_scale_of([torch.tensor(rows) for rows in vocabularies]) == pytest.approx(scale, rel=1e-6)


def test_at_the_initial_scale_the_mean_margin_of_a_class_is_that_of_orthogonal_vectors() -> None:
    rows = torch.randn(7, 16, generator=torch.Generator().manual_seed(0)) + 0.7
    classifier = Fixed(embed_dim=16)
    classifier.start_at(initial_scale_of([rows]))
    logits = classifier(rows, rows)[:, :7].detach()
    margins = logits.diagonal()[:, None] - logits
    assert margins.sum() / (7 * 6) == pytest.approx(1 / 0.07, rel=1e-4)


@pytest.mark.parametrize("scale", [0.0, -1.0, 100.1, float("nan")])
def test_a_scale_out_of_range_is_refused(scale: float) -> None:
    with pytest.raises(UserError, match="over 0 and at most 100"):
        Fixed(embed_dim=2).start_at(scale)
