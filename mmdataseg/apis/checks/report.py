"""Run all checks and print the report as text or JSON."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import asdict

from mmdataseg.apis.checks.environment import check_gpu, check_operators, check_versions
from mmdataseg.apis.checks.files import check_data, check_embeddings
from mmdataseg.apis.checks.finding import Finding, State, guarded
from mmdataseg.apis.checks.forward import check_forward

CHECKS: dict[str, Callable[[], Iterable[Finding]]] = {
    "versions": check_versions,
    "gpu": check_gpu,
    "operators": check_operators,
    "forward pass": check_forward,
    "data": check_data,
    "embeddings": check_embeddings,
}


def run_all() -> Iterator[Finding]:
    """Run all checks in order, and yield their findings."""
    for area, check in CHECKS.items():
        yield from guarded(area, check)


def print_report(findings: Iterable[Finding], *, as_json: bool = False) -> int:
    """Print each finding as soon as it is known, or with ``as_json`` a single JSON list at the end.

    Returns:
        0, or 1 if something is broken.
    """
    seen: list[Finding] = []
    for finding in _quietly(findings):
        if not as_json:
            if not seen or seen[-1].area != finding.area:
                print(f"{finding.area}:", flush=True)
            print(f"  {finding}", flush=True)
        seen.append(finding)
    counts = Counter(finding.state for finding in seen)
    if as_json:
        print(json.dumps([asdict(finding) for finding in seen], indent=1))
    else:
        print(_summary(counts))
    return 1 if counts["broken"] else 0


def _summary(counts: Mapping[State, int]) -> str:
    """Say whether the installation works."""
    broken, optional = counts.get("broken", 0), counts.get("optional", 0)
    verdict = "Something is broken: repair what those lines name." if broken else "The installation works."
    hint = " The first steps in docs/getting_started.md need nothing optional." if optional and not broken else ""
    return f"{verdict} {counts.get('ok', 0)} ok, {optional} optional and not there, {broken} broken.{hint}"


def _quietly(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings, with the libraries' output sent to stderr, so that stdout has only the report."""
    steps = iter(findings)
    while True:
        with redirect_stdout(sys.stderr):
            finding = next(steps, None)
        if finding is None:
            return
        yield finding
