"""Findings of the paper, each checked by comparing two scores with one rule."""

from collections.abc import Sequence
from dataclasses import dataclass

from projects.study.statistics import Difference, Stat, markdown_table

RULE = (
    "A difference of means *shows* if it is larger than its spread, the root of the sum of the two variances over "
    "seeds, with at least two seeds. This is a rule for reading a small table, not a test of significance."
)


@dataclass(frozen=True)
class Finding:
    """A finding of the paper, and one way to check it.

    Args:
        claim: The finding of the paper.
        compared: Description of the two scores.
        more: The score that is larger according to the claim.
        less: The other score.
    """

    claim: str
    compared: str
    more: Stat | None
    less: Stat | None

    @property
    def difference(self) -> Difference:
        """``more`` minus ``less``."""
        return Difference.of(self.more, self.less)


def verdict_table(findings: Sequence[Finding]) -> str:
    """Return a table of findings with their differences and verdicts."""
    rows = [[f.claim, f.compared, str(f.difference), f.difference.verdict] for f in findings]
    return markdown_table(["finding", "compared", "difference", "verdict"], rows)
