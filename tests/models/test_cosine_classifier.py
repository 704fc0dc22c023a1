import math

import pytest
import torch

from mmdataseg.models.cosine_classifier import CosineClassifier
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


def test_a_classifier_says_where_its_vectors_come_from() -> None:
    with pytest.raises(TypeError, match="matrix"):
        CosineClassifier(embed_dim=2)
