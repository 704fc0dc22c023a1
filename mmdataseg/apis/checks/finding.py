"""What a check found."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "missing", "broken"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check found.

    Args:
        area: Versions, GPU, and so on.
        name: Of what was checked.
        state: ``missing`` is what some uses do without, ``broken`` what has to be mended.
        text: What was found.
        remedy: What to do; empty where it is ok.
    """

    area: str
    name: str
    state: State
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.state:<8}{self.name}: {self.text}{remedy}"


def guarded(area: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Run a check; one that fails is a finding of its own.

    Args:
        area: Of the check.
        check: Yields findings.

    Yields:
        Its findings, and a broken one where it raises.
    """
    try:
        yield from check()
    except Exception as error:  # whatever is broken in this environment, the other checks go on
        text = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        yield Finding(area=area, name="check", state="broken", text=text, remedy="mend this first")
