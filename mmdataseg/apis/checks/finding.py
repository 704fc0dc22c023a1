"""The result of a check."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

State = Literal["ok", "optional", "broken"]


@dataclass(frozen=True)
class Finding:
    """One result of a check.

    Args:
        name: The item that was checked.
        state: ``ok``, ``optional`` (not there, and only some uses need it) or ``broken`` (must be repaired).
        text: What was found.
        remedy: What to do about it; empty if the state is ``ok``.
        area: Group of the check, such as ``versions`` or ``gpu``; `guarded` sets it.
    """

    name: str
    state: State
    text: str
    remedy: str = ""
    area: str = ""

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.state:<9}{self.name}: {self.text}{remedy}"


def guarded(area: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Run a check, and yield its findings with their area, and a broken one if the check raises."""
    try:
        for finding in check():
            yield replace(finding, area=area)
    except Exception as error:  # the other checks continue, whatever is broken here
        text = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        yield Finding("check", "broken", text, "repair this first", area)
