"""The page of the toy study: tables, pictures, and a verdict on each finding."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from mmdataseg.formats.whole_files import write_whole
from projects.toy.study.statistics import NO_VALUE, NOT_RUN, Results, cell, markdown_table, stat
from projects.toy.study.toy_findings import (
    ALL,
    BOX_ONLY,
    COLUMNS,
    COMBINATIONS,
    FILLED,
    FOUR,
    OPEN_CHANCE,
    findings,
)

NOTES = ("<!-- notes: what is between these lines is kept -->", "<!-- end of notes -->")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a reader must know about how the numbers came about, besides the results themselves.

    Args:
        iterations_per_source: A training on k sources has k times as many.
        command: That makes the study again.
        image_size: Height and width of the toy world's images, in pixels.
        train_images: Of the three sources.
        val_images: Of each test set.
        seeds: Wanted for each row.
        options: Settings changed for all runs.
    """

    iterations_per_source: int
    command: str
    image_size: int
    train_images: Sequence[int]
    val_images: int
    seeds: int
    options: Mapping[str, object]


def write_page(
    page: Path, results: Results, *, setting: Setting, ablations: Mapping[str, str], failed: Sequence[str] = ()
) -> None:
    """Write the page and, beside it in ``images``, its pictures. Notes written by hand between the marks are kept.

    Args:
        page: A Markdown file; overwritten.
        results: Name of a config -> its runs.
        setting: What the page says of the scale.
        ablations: Name of a config -> what it changes, in words.
        failed: Runs that stopped with an error.
    """
    notes = _notes(page)
    pictures = draw(results, page.parent / "images")
    found = findings(results, ablations)
    verdicts = [[f.claim, f.compared, str(f.difference), f.difference.verdict] for f in found]
    parts = [
        "# The toy study",
        "The paper's study of training sources, on coloured shapes: the same method, losses and sampling, on a world "
        "that a laptop can train on. It says which of the paper's findings come out at this scale and which do not. "
        "It says nothing about scores on real images. Text embeddings come from a hashing encoder, a stand-in for "
        "CLIP: only shared words make two names alike.",
        "## Scale",
        _scale(results, setting),
        f"```shell\n{setting.command}\n```",
        "A run whose result is in the JSON file beside this page is not repeated; `--page work_dirs/mine.md` starts "
        "from nothing. Device, threads and seconds are those of the recorded runs; `--device`, `--threads` and "
        "`--jobs` set them.",
        *([f"Stopped with an error: {', '.join(failed)}."] if failed else []),
        "## Training sources",
        "S: label maps, few images. P: panoptic segments. B: boxes. Mean and standard deviation over seeds, in "
        "percent. A training has as many iterations as separate models of its sources have together, divided among "
        "them by the config's ratios. With equal iterations, so few and from scratch, a row would show how far its "
        "training came, not what a source adds. Box-only classes have masks in no training source. Filled boxes are "
        "the same detections with each mask replaced by its box. Unseen names are new combinations of known words.",
        _table(results, COMBINATIONS, {"chance": OPEN_CHANCE}),
        *[f"![{title}](images/{file.name})" for title, file in pictures.items()],
        "## Ablations",
        _table(results, {"none (S+P+B)": ALL, **{_short(name): name for name in ablations}}, {}),
        *(["\n".join(f"- {_short(name)}: {what}" for name, what in ablations.items())] if ablations else []),
        "## What the paper found, and whether it shows here",
        "The rule: a difference of means *shows* where it is larger than its spread, the root of the sum of the two "
        "variances over seeds. Two seeds at least. It is a rule for reading a small table, not a test of significance.",
        markdown_table(["finding", "compared", "difference", "verdict"], verdicts),
        "\n".join([NOTES[0], notes, NOTES[1]]),
    ]
    write_whole(page, "\n\n".join(parts) + "\n")


def _table(results: Results, rows: Mapping[str, str], baselines: Mapping[str, str]) -> str:
    lines = [
        [label, *_amount(results.get(name, ())), *(cell(results, name, metric) for metric in COLUMNS.values())]
        for label, name in rows.items()
    ]
    for label, metric in baselines.items():  # of the last column
        lines.append([f"{label} (S+P+B)", "", "", *[""] * (len(COLUMNS) - 1), cell(results, ALL, metric)])
    return markdown_table(["trained on", "iterations", "seeds", *COLUMNS], lines)


def _amount(runs: Sequence[Mapping]) -> tuple[str, str]:
    """Iterations and number of a row's runs."""
    iterations = next((run["asked"]["iterations"] for run in runs), None)
    return NOT_RUN if iterations is None else f"{iterations:,}" if iterations else NO_VALUE, str(len(runs))


def _scale(results: Results, setting: Setting) -> str:
    runs = [run for found in results.values() for run in found]

    def all_of(key: str) -> str:
        # results of earlier versions lack the newest keys
        values = sorted({run.get(key) for run in runs} - {None}, key=str)
        return ", ".join(f"{value:,}" if isinstance(value, int) else str(value) for value in values) or NOT_RUN

    seconds = [run["train_seconds"] / run["asked"]["iterations"] for run in runs if run["train_seconds"] is not None]
    took = f"{median(seconds):.2f} seconds (median)" if seconds else "not measured"
    images = " / ".join(str(number) for number in setting.train_images)
    options = ", ".join(f"`{key}={value}`" for key, value in setting.options.items()) or "none"
    lines = [
        ("iterations for each training source", f"{setting.iterations_per_source:,}"),
        ("images per iteration", all_of("batch_size")),
        ("image size", f"{setting.image_size} x {setting.image_size} pixels"),
        ("training images S / P / B", images),
        ("images of each test set", str(setting.val_images)),
        ("seeds wanted", str(setting.seeds)),
        ("parameters", all_of("parameters")),
        ("settings changed for all runs", options),
        ("machine", all_of("machine")),
        ("device, threads per run", f"{all_of('device')}, {all_of('threads')}"),
        ("time per iteration", took),
    ]
    return markdown_table(["what", "here"], [list(line) for line in lines])


def _short(name: str) -> str:
    return name.removeprefix("dataseg_toy_").replace("_", " ")


def _notes(page: Path) -> str:
    """What was written by hand into the page."""
    if not page.is_file():
        return ""
    inside = re.search(f"{re.escape(NOTES[0])}\n(.*?)\n{re.escape(NOTES[1])}", page.read_text(encoding="utf-8"), re.S)
    return inside[1].strip("\n") if inside else ""


def draw(results: Results, folder: Path) -> dict[str, Path]:
    """Draw the tables' main columns as bars with spreads.

    Args:
        results: Of the whole study.
        folder: Where the SVG files go.

    Returns:
        Title -> file; nothing without results.
    """
    rows = {label: name for label, name in COMBINATIONS.items() if results.get(name)}
    if not rows:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    titles = {metric: label for label, metric in COLUMNS.items()}
    pictures = {
        "Scores by training sources": (FOUR, folder / "toy_study_sources.svg"),
        "Masks of the classes that only ever had boxes": ((BOX_ONLY, FILLED), folder / "toy_study_boxes.svg"),
    }
    for metrics, file in pictures.values():
        _bars(results, rows, {titles[metric]: metric for metric in metrics}, file)
    return {title: file for title, (_, file) in pictures.items()}


def _bars(results: Results, rows: Mapping[str, str], metrics: Mapping[str, str], file: Path) -> None:
    import matplotlib

    # text as text and no date or random ids: the file is small, and the same for the same numbers
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "toy study"}):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 3.2), layout="constrained")
        axes = figure.add_subplot()
        width = 0.8 / len(metrics)
        for number, (label, metric) in enumerate(metrics.items()):
            stats = [stat(results, name, metric) for name in rows.values()]
            places = [place + (number - (len(metrics) - 1) / 2) * width for place in range(len(rows))]
            heights = [0.0 if found is None else found.mean for found in stats]
            spreads = [0.0 if found is None or math.isnan(found.std) else found.std for found in stats]
            axes.bar(places, heights, width, yerr=spreads, label=label, capsize=2, error_kw={"linewidth": 0.8})
        axes.set_xticks(range(len(rows)), list(rows))
        axes.set_ylabel("percent")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8, ncols=len(metrics), loc="lower center", bbox_to_anchor=(0.5, 1.0))
        figure.savefig(file, metadata={"Date": None})
