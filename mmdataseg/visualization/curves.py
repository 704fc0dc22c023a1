"""Reads the scalars that mmengine's visualizer logs, and draws learning curves."""

import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curves = dict[str, list[tuple[int, float]]]


def read_curves(work_dir: Path) -> Curves:
    """Read the scalars that the runs of a work_dir logged in ``vis_data/scalars.json`` of their folders.

    Returns:
        Name -> (iteration, value) pairs, sorted by iteration. Where runs overlap, the later run counts.
    """
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    for log in sorted(work_dir.glob("*/vis_data/scalars.json")):
        for line in log.read_text(encoding="utf-8").splitlines():
            scalars = json.loads(line)
            step = scalars.get("iter", scalars.get("step"))
            for name, value in scalars.items():
                if isinstance(value, int | float) and "/" in name:
                    curves[name][step] = value
    return {name: sorted(points.items()) for name, points in curves.items()}


def plot_curves(panels: dict[str, Curves], path: Path) -> None:
    """Draw panels below each other, with one colour per source. A panel of single points is drawn as bars.

    Args:
        panels: Title -> curves named ``<source>/...``; at least one.
        path: Path of the picture.
    """
    from matplotlib.figure import Figure  # not pyplot: no display, and no state between pictures

    figure = Figure(figsize=(11, 4 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    sources = sorted({name.split("/")[0] for curves in panels.values() for name in curves})
    for panel, (title, curves) in zip(axes, panels.items(), strict=True):
        colors = {name: f"C{sources.index(name.split('/')[0])}" for name in curves}
        if max(map(len, curves.values())) == 1:
            _draw_bars(panel, title, curves, colors)
        else:
            _draw_lines(panel, title, curves, colors)
    figure.savefig(path, dpi=110)


def _draw_lines(panel: "Axes", title: str, curves: Curves, colors: dict[str, str]) -> None:
    for i, (name, points) in enumerate(sorted(curves.items())):
        source = name.split("/")[0]
        steps, values = zip(*points, strict=True)
        style = ("-", "--", ":", "-.")[sum(other.split("/")[0] == source for other in sorted(curves)[:i]) % 4]
        marker = "o" if len(points) < 30 else None
        panel.plot(steps, values, style, marker=marker, color=colors[name], label=name, linewidth=1.5)
    panel.set(title=title, xlabel="iteration", ylim=(0, None))
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))


def _draw_bars(panel: "Axes", title: str, curves: Curves, colors: dict[str, str]) -> None:
    names = sorted(curves)
    values = [curves[name][0][1] for name in names]
    bars = panel.barh(names, values, color=[colors[name] for name in names])
    panel.bar_label(bars, [f"{value:.4g}" for value in values], padding=3)
    panel.invert_yaxis()  # the first name on top
    steps = sorted({curves[name][0][0] for name in names})
    panel.set(
        title=f"{title}, at iteration {', '.join(map(str, steps))}", xlim=(0, 1.1 * max(values) or 1)
    )  # room for the values
    panel.grid(alpha=0.3, axis="x")
