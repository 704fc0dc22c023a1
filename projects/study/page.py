"""Parts of a study's page: tables of rows, facts about the runs, bars, and handwritten notes."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from projects.study.statistics import NO_VALUE, NOT_RUN, Results, cell, markdown_table, stat

NOTES = ("<!-- notes: what is between these lines is kept -->", "<!-- end of notes -->")


@dataclass(frozen=True, kw_only=True)
class StudySetting:
    """How the numbers were made, for the reader of the results. Each study adds what describes its data.

    Args:
        iterations_per_source: A training on k sources has k times as many.
        command: The command that repeats the study.
        seeds: Number of seeds wanted for each row.
        options: Settings changed for all runs.
    """

    iterations_per_source: int
    command: str
    seeds: int
    options: Mapping[str, object]


def scale_table(results: Results, setting: StudySetting, data: Mapping[str, str]) -> str:
    """Return the table of the size of the study and of the hardware.

    Args:
        results: Results of the whole study.
        setting: How the numbers were made.
        data: Lines that describe the study's data: label -> value.
    """
    lines = {
        "iterations for each training source": f"{setting.iterations_per_source:,}",
        "images per iteration": values_of(results, "batch_size"),
        **data,
        "seeds wanted": str(setting.seeds),
        "parameters": values_of(results, "parameters"),
        "settings changed for all runs": options_in_words(setting.options),
        "machine": values_of(results, "machine"),
        "device, threads per run": f"{values_of(results, 'device')}, {values_of(results, 'threads')}",
        "time per iteration": time_per_iteration(results),
    }
    return markdown_table(["what", "here"], [list(line) for line in lines.items()])


def picture_links(pictures: Mapping[str, Path], titles: Sequence[str]) -> list[str]:
    """Return the Markdown of pictures in the folder ``images`` beside the page. Pictures that were not drawn are left
    out.

    Args:
        pictures: Title -> file, of the pictures that were drawn.
        titles: Titles of the pictures to show, in order.
    """
    return [f"![{title}](images/{pictures[title].name})" for title in titles if title in pictures]


def row_table(
    results: Results,
    rows: Mapping[str, str],
    columns: Mapping[str, str],
    extra: Sequence[Sequence[str]] = (),
) -> str:
    """Return a table of rows with iterations, number of seeds and scores.

    Args:
        results: Results of the whole study.
        rows: Label -> name of a row.
        columns: Label -> metric.
        extra: Further lines, each with a cell for every column of the table.
    """
    lines = [
        [
            label,
            *iterations_and_seeds(results, name),
            *(cell(results, name, metric) for metric in columns.values()),
        ]
        for label, name in rows.items()
    ]
    return markdown_table(["trained on", "iterations", "seeds", *columns], [*lines, *extra])


def iterations_and_seeds(results: Results, name: str) -> tuple[str, str]:
    """Return two cells of a row: the iterations of its training, ``-`` if it only tests, and the number of its runs."""
    runs = results.get(name)
    if not runs:
        return NOT_RUN, "0"
    iterations = runs[0]["asked"]["iterations"]
    return f"{iterations:,}" if iterations else NO_VALUE, str(len(runs))


def values_of(results: Results, key: str) -> str:
    """Return the different values of a key in the runs, as text. Results of earlier versions lack the newest keys.

    Args:
        results: Results of the whole study.
        key: A key of a run's result.
    """
    values = sorted({run.get(key) for found in results.values() for run in found} - {None}, key=str)
    return ", ".join(f"{value:,}" if isinstance(value, int) else str(value) for value in values) or NOT_RUN


def time_per_iteration(results: Results) -> str:
    """Return the median time per iteration, over the runs that were not interrupted."""
    seconds = [
        run["train_seconds"] / run["asked"]["iterations"]
        for found in results.values()
        for run in found
        if run["train_seconds"] is not None
    ]
    return f"{median(seconds):.2f} seconds (median)" if seconds else "not measured"


def options_in_words(options: Mapping[str, object]) -> str:
    """Return the settings that were changed for all runs, as text."""
    return ", ".join(f"`{key}={value}`" for key, value in options.items()) or "none"


def kept_notes(page: Path) -> str:
    """Return the notes that were written into the page by hand, with their marks."""
    found = ""
    if page.is_file():
        text = page.read_text(encoding="utf-8")
        inside = re.search(f"{re.escape(NOTES[0])}\n(.*?)\n{re.escape(NOTES[1])}", text, re.S)
        found = inside[1].strip("\n") if inside else ""
    return "\n".join([NOTES[0], found, NOTES[1]])


def draw_bars(results: Results, rows: Mapping[str, str], metrics: Mapping[str, str], file: Path, *, salt: str) -> None:
    """Draw mean scores as bars, with standard deviations over the seeds, in percent.

    Args:
        results: Results of the whole study.
        rows: Label -> name of a row; a group of bars each. A row without a score has bars of height 0.
        metrics: Label -> metric; a bar of each group.
        file: Path of the SVG file.
        salt: Name of the study, for the ids inside the file.
    """
    import matplotlib

    # text stays text, without date or random ids: the file is small, and identical for identical numbers
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
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
