"""What the metrics that count by class have in common."""

from mmengine.evaluator import BaseMetric

from mmdataseg.errors import UserError


class CountMetric(BaseMetric):
    """A metric of counts by class, with chance draws and scores of single classes on demand.

    Args:
        chance: Number of draws in which the predicted classes are replaced at random; 0: none.
        classwise: Report each class too.
        prefix: Goes before the names of the metrics.

    Raises:
        UserError: A negative number of draws.
    """

    default_prefix = ""

    def __init__(self, *, chance: int = 0, classwise: bool = False, prefix: str | None = None) -> None:
        super().__init__(prefix=prefix)
        if chance < 0:
            raise UserError(f"{type(self).__name__}: chance is a number of draws, expected 0 or more, got {chance}")
        self.chance = chance
        self.classwise = classwise
