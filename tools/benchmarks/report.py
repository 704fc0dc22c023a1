"""The table of ratios, the JSON and the plot of a benchmark."""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from tools.benchmarks.comparing import Result

PACKAGES = (
    "torch",
    "onedl-mmcv",
    "mmcv",
    "onedl-mmdetection",
    "mmdet",
    "transformers",
    "torchmetrics",
    "vernier",
    "hotcoco",
)
HEADER = "| what | sizes | against | time | one round | memory |"
RULE = "|---|---|---|---|---|---|"


def versions() -> dict[str, str]:
    """Versions of Python and of the compared packages that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def line(row: Result) -> str:
    """A row of the table in Markdown, with the ratios ours / theirs: below 1 is faster, or smaller. A comparison that
    was skipped or failed has its reason instead."""
    if not row.seconds:
        state, reason = ("failed", row.failed) if row.failed else ("skipped", row.skipped)
        return f"{state}: {row.name}, against {row.yardstick}: {reason}"
    low, high = row.spread
    spread = f"{_number(low)} to {_number(high)}" if len(row.seconds["ours"]) > 1 else "one round"
    memory = "-" if row.memory_ratio is None else f"{row.memory_ratio:.2f}"
    cells = (row.name, row.sizes, row.yardstick, _number(row.ratio), spread, memory)
    return f"| {' | '.join(cells)} |"


def _number(ratio: float) -> str:
    """A ratio with two decimals, or with one digit if it is below 0.01."""
    return f"{ratio:.2f}" if ratio >= 0.01 else f"{ratio:.1g}"


def write_json(results: Sequence[Result], settings: Mapping[str, Any], path: Path) -> None:
    """Everything that was measured, with versions and sizes."""
    content = {
        "settings": dict(settings),
        "versions": versions(),
        "threads": settings["threads"] or torch.get_num_threads(),
        "results": [row.as_dict() for row in results],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def plot(results: Sequence[Result], path: Path) -> None:
    """A point for each ratio, with its spread and a line at 1, on a logarithmic axis."""
    from matplotlib.figure import Figure

    rows = [row for row in results if row.seconds][::-1]
    figure = Figure(figsize=(9, 0.28 * len(rows) + 1), layout="constrained")
    axes = figure.add_subplot()
    errors = [[max(0, row.ratio - row.spread[0]) for row in rows], [max(0, row.spread[1] - row.ratio) for row in rows]]
    names = [f"{row.name} / {row.yardstick}" for row in rows]
    axes.errorbar([row.ratio for row in rows], names, xerr=errors, fmt="o", markersize=4)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("time, ours / theirs: left of the line, ours is faster")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
