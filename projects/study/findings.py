"""Findings: two scores compared, and a verdict by one rule."""

from collections.abc import Sequence
from dataclasses import dataclass

from projects.study.statistics import Difference, Stat, markdown_table

RULE = (
    "The rule: a difference of means *shows* where it is larger than its spread, the root of the sum of the two "
    "variances over seeds. Two seeds at least. It is a rule for reading a small table, not a test of significance."
)


@dataclass(frozen=True)
class Finding:
    """A finding of the paper, and one way to look for it.

    Args:
        claim: What the paper found.
        compared: What is compared, in words.
        more: The score that the claim says is larger.
        less: The other one.
    """

    claim: str
    compared: str
    more: Stat | None
    less: Stat | None

    @property
    def difference(self) -> Difference:
        return Difference.of(self.more, self.less)


def verdict_table(findings: Sequence[Finding]) -> str:
    """A table of findings with their differences and verdicts."""
    rows = [[f.claim, f.compared, str(f.difference), f.difference.verdict] for f in findings]
    return markdown_table(["finding", "compared", "difference", "verdict"], rows)
