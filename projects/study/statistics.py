"""Statistics of a study over seeds: means, spreads, and whether a difference is larger than the spread."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Results = Mapping[str, Sequence[Mapping[str, Any]]]
"""Name of a row -> the results of its runs, one per seed, as `projects.study.run.execute` returns them."""

NOT_RUN = "not run"
NO_VALUE = "-"


@dataclass(frozen=True)
class Stat:
    """A score over seeds.

    Args:
        mean: In percent.
        std: Standard deviation over the seeds (n - 1 in the denominator); nan for one seed.
        seeds: Number of seeds.
    """

    mean: float
    std: float
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Stat | None":
        """Return the statistics of the values that are not nan; None if all are."""
        values = [value for value in values if not math.isnan(value)]
        if not values:
            return None
        mean = sum(values) / len(values)
        if len(values) == 1:
            return cls(mean, math.nan, 1)
        return cls(mean, math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1)), len(values))

    def __str__(self) -> str:
        return f"{self.mean:.1f}" if math.isnan(self.std) else f"{self.mean:.1f} ± {self.std:.1f}"


@dataclass(frozen=True)
class Difference:
    """The difference of two scores.

    Args:
        mean: Difference of the means; nan if one of them was not run.
        spread: Root of the sum of both variances over seeds, i.e. the standard deviation of the difference between two
            single runs; nan if one of them has fewer than two seeds.
    """

    mean: float
    spread: float

    @classmethod
    def of(cls, more: Stat | None, less: Stat | None) -> "Difference":
        """Return ``more`` minus ``less``; None: not run."""
        if more is None or less is None:
            return cls(math.nan, math.nan)
        return cls(more.mean - less.mean, math.hypot(more.std, less.std))

    @property
    def verdict(self) -> str:
        """The verdict, by this rule: a difference shows if it is larger than the spread."""
        if math.isnan(self.mean):
            return NOT_RUN
        if math.isnan(self.spread):
            return "one seed: cannot say"
        if abs(self.mean) <= self.spread:
            return "within the spread"
        return "shows" if self.mean > 0 else "the opposite shows"

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return NOT_RUN
        return f"{self.mean:+.1f}" if math.isnan(self.spread) else f"{self.mean:+.1f} ± {self.spread:.1f}"


def stat(results: Results, name: str, metric: str) -> Stat | None:
    """Return a metric of a config over its seeds; None if it was not run, or has no such metric."""
    return Stat.of([run["metrics"].get(metric, math.nan) for run in results.get(name, ())])


def mean_stat(results: Results, names: Sequence[str], metrics: Sequence[str]) -> Stat | None:
    """Average over several configs and metrics for each seed that all configs have, and return the statistics over
    these seeds.

    Returns:
        The statistics; None if one of the configs was not run, or they have no seed in common.
    """
    values: dict[int, list[float]] = {}
    for name in names:
        for run in results.get(name, ()):
            values.setdefault(run["seed"], []).extend(run["metrics"].get(metric, math.nan) for metric in metrics)
    complete = [found for found in values.values() if len(found) == len(names) * len(metrics)]
    return Stat.of([sum(found) / len(found) for found in complete])


def cell(results: Results, name: str, metric: str) -> str:
    """Return a cell of a table: mean ± spread, with the number of runs if some do not have the metric; ``not run``; or
    ``-`` if no run has the metric."""
    runs = results.get(name)
    if not runs:
        return NOT_RUN
    found = stat(results, name, metric)
    if found is None:
        return NO_VALUE
    return str(found) if found.seeds == len(runs) else f"{found} (of {found.seeds})"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown. Columns with numbers are aligned to the right, the others to the left.

    Args:
        head: Names of the columns.
        rows: Rows with the same number of cells.

    Returns:
        The lines, without a line break at the end.
    """
    numbers = [any(re.match(r"[+-]?\d[\d,.]*( |$)", row[column]) for row in rows) for column in range(len(head))]
    lines = [head, ["---:" if number else "---" for number in numbers], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
