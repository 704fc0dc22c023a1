"""The base class of metrics that count per class."""

from collections.abc import Mapping, Sequence

from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmdataseg.errors import UserError
from mmdataseg.evaluation.class_counts import mean_percent
from mmdataseg.sources import Source


class CountMetric(BaseMetric):
    """A metric of counts per class, with optional chance draws and per-class scores.

    This class takes the arguments and checks them. A subclass uses them: `process` appends one `pack_counts` per image,
    with a version of the counts for each chance draw (none: a leading dimension of 1). `compute_metrics` adds them up
    with `sum_counts` and reports what the arguments ask for. A subclass that draws ``chance`` times says so by
    ``draws_chance = True``; of another one, ``chance`` is refused.

    Args:
        chance: Number of draws in which random classes replace the predicted ones; 0: none.
        classwise: Also report each class.
        subsets: Name of a group of classes -> its classes. The mean over each group is also reported, as
            ``mIoU_<name>`` or ``PQ_<name>``.
        prefix: Prefix of the names of the metrics.

    Raises:
        UserError: The number of draws is negative, or the metric does not draw; or a group has no classes.
    """

    default_prefix = ""
    draws_chance = False

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
            raise UserError(f"{type(self).__name__}: expected chance, a number of draws, of at least 0, got {chance}")
        if chance and not self.draws_chance:
            raise UserError(
                f"{type(self).__name__}: chance={chance}, but this metric draws nothing", remedy="leave it out"
            )
        self.chance = chance
        self.classwise = classwise
        self.subsets = {name: tuple(classes) for name, classes in (subsets or {}).items()}
        empty = [name for name, classes in self.subsets.items() if not classes]
        if empty:
            raise UserError(f"{type(self).__name__}: subset {empty[0]!r} has no class", remedy="name its classes")

    def check_source(self, source: Source) -> None:
        """Compare the groups of classes with the source, at the start of a training.

        Raises:
            UserError: A class of a group is not in the label space.
        """
        for name, classes in self.subsets.items():
            try:
                source.label_space.index(classes)
            except UserError as error:
                raise UserError(f"subset {name!r}: {error}", source=source.name) from None

    def subset_means(self, name: str, values_K: Tensor, classes: Sequence[str]) -> dict[str, float]:
        """Return the means over the groups of classes.

        Args:
            name: Name of the quality, such as ``mIoU``.
            values_K: (K,) quality of each class in 0 .. 1; nan for classes that do not count.
            classes: Names of the K classes.

        Returns:
            ``<name>_<group>`` -> percent; nan if no class of the group counts.
        """
        return {
            f"{name}_{group}": mean_percent(values_K[[classes.index(member) for member in members]])
            for group, members in self.subsets.items()
        }
