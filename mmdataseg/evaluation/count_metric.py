"""What the metrics that count by class have in common."""

from collections.abc import Mapping, Sequence

from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmdataseg.errors import UserError
from mmdataseg.evaluation.class_counts import mean_percent
from mmdataseg.sources import Source


class CountMetric(BaseMetric):
    """A metric of counts by class, with chance draws and scores of single classes on demand.

    Args:
        chance: Number of draws in which the predicted classes are replaced at random; 0: none.
        classwise: Report each class too.
        subsets: Name of a group of classes -> its classes; the mean over each group is reported too, as
            ``mIoU_<name>`` or ``PQ_<name>``.
        prefix: Goes before the names of the metrics.

    Raises:
        UserError: A negative number of draws, or a group without classes.
    """

    default_prefix = ""

    def __init__(
        self,
        *,
        chance: int = 0,
        classwise: bool = False,
        subsets: Mapping[str, Sequence[str]] | None = None,
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        if chance < 0:
            raise UserError(f"{type(self).__name__}: chance is a number of draws, expected 0 or more, got {chance}")
        self.chance = chance
        self.classwise = classwise
        self.subsets = {name: tuple(classes) for name, classes in (subsets or {}).items()}
        empty = [name for name, classes in self.subsets.items() if not classes]
        if empty:
            raise UserError(f"{type(self).__name__}: subset {empty[0]!r} has no class", remedy="name its classes")

    def check_source(self, source: Source) -> None:
        """Compare the groups of classes with the source, at the start of a training.

        Args:
            source: To be tested.

        Raises:
            UserError: The label space lacks a class of a group.
        """
        for name, classes in self.subsets.items():
            try:
                source.label_space.index(classes)
            except UserError as error:
                raise UserError(f"subset {name!r}: {error}", source=source.name) from None

    def subset_means(self, name: str, values_K: Tensor, classes: Sequence[str]) -> dict[str, float]:
        """Means over the groups of classes.

        Args:
            name: Of the quality, such as ``mIoU``.
            values_K: (K,) quality of each class in 0 .. 1, nan where a class does not count.
            classes: Names of the K classes.

        Returns:
            ``<name>_<group>`` -> percent; nan where no class of the group counts.
        """
        return {
            f"{name}_{group}": mean_percent(values_K[[classes.index(member) for member in members]])
            for group, members in self.subsets.items()
        }
