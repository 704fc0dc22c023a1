"""What the base class of the metrics does with the arguments that it takes for its subclasses."""

import pytest

from mmdataseg.errors import UserError
from mmdataseg.evaluation import PanopticQualityMetric, SemanticMetric
from mmdataseg.evaluation.count_metric import CountMetric


class Counting(CountMetric):
    """A metric that reports nothing."""

    def process(self, data_batch, data_samples):
        """Ignore the samples."""

    def compute_metrics(self, results):  # noqa: ARG002
        """Report nothing."""
        return {}


class Drawing(Counting):
    draws_chance = True


def test_chance_is_refused_by_a_metric_that_would_ignore_it():
    with pytest.raises(UserError, match="Counting: chance=20, but this metric draws nothing; leave it out"):
        Counting(chance=20)
    assert Counting().chance == Counting(chance=0).chance == 0


@pytest.mark.parametrize("metric", [Drawing, SemanticMetric, PanopticQualityMetric])
def test_chance_is_taken_by_a_metric_that_draws(metric):
    assert metric(chance=20).chance == 20
    with pytest.raises(UserError, match="expected chance, a number of draws, of at least 0, got -1"):
        metric(chance=-1)
