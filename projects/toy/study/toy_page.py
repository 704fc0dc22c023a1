"""The page of the toy study: tables, pictures, and a verdict on each finding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmdataseg.formats.whole_files import write_whole
from projects.study.findings import RULE, verdict_table
from projects.study.page import StudySetting, draw_bars, kept_notes, picture_links, row_table, scale_table
from projects.study.statistics import Results, cell
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


@dataclass(frozen=True, kw_only=True)
class Setting(StudySetting):
    """How the numbers were made.

    Args:
        image_size: Height and width of the toy world's images, in pixels.
        train_images: Numbers of training images of the three sources.
        val_images: Number of images of each test set.
    """

    image_size: int
    train_images: Sequence[int]
    val_images: int


def write_page(
    page: Path, results: Results, *, setting: Setting, ablations: Mapping[str, str], failed: Sequence[str] = ()
) -> None:
    """Write the page and, beside it in ``images``, its pictures. Notes written by hand between the marks are kept.

    Args:
        page: A Markdown file; overwritten.
        results: Name of a row -> its runs.
        setting: How the numbers were made.
        ablations: Name of a config -> what it changes, in words.
        failed: Runs that stopped with an error.
    """
    notes = kept_notes(page)
    pictures = draw(results, page.parent / "images")
    # of the last column alone
    chance = ["chance (S+P+B)", "", "", *[""] * (len(COLUMNS) - 1), cell(results, ALL, OPEN_CHANCE)]
    stopped = [f"Stopped with an error: {', '.join(failed)}."] if failed else []
    listed = ["\n".join(f"- {_short(name)}: {what}" for name, what in ablations.items())] if ablations else []
    parts = [
        "# The toy study",
        "This page repeats the paper's study of training sources on coloured shapes, with the same method, losses and "
        "sampling, in a world that a laptop can train on. It says which of the paper's findings show at this scale. It "
        "says nothing about scores on real images. Text embeddings come from the hashing encoder, a stand-in for CLIP: "
        "two names are alike only if they share words.",
        "## Scale",
        _scale(results, setting),
        f"```shell\n{setting.command}\n```",
        "The command does not repeat a run whose result is in the JSON file beside this page. `--page "
        "work_dirs/mine.md` starts without results. Device, threads and seconds are those of the recorded runs; "
        "`--device`, `--threads` and `--jobs` set them.",
        *stopped,
        "## Training sources",
        "S: label maps, few images. P: panoptic segments. B: boxes. Mean and standard deviation over seeds, in "
        "percent. A training has as many iterations as separate models of its sources have together. They are divided "
        "among the sources by the config's ratios. If all trainings had equally few iterations, a row would show how "
        "far its training came, not what a source adds. Box-only classes have masks in no training source. Filled "
        "boxes are the same detections with each mask replaced by its box. Unseen names are new combinations of known "
        "words.",
        row_table(results, COMBINATIONS, COLUMNS, [chance]),
        *picture_links(pictures, list(pictures)),
        "## Ablations",
        row_table(results, {"none (S+P+B)": ALL, **{_short(name): name for name in ablations}}, COLUMNS),
        *listed,
        "## What the paper found, and whether it shows here",
        RULE,
        verdict_table(findings(results, ablations)),
        notes,
    ]
    write_whole(page, "\n\n".join(parts) + "\n")


def _scale(results: Results, setting: Setting) -> str:
    data = {
        "image size": f"{setting.image_size} x {setting.image_size} pixels",
        "training images S / P / B": " / ".join(str(number) for number in setting.train_images),
        "images of each test set": str(setting.val_images),
    }
    return scale_table(results, setting, data)


def _short(name: str) -> str:
    return name.removeprefix("dataseg_toy_").replace("_", " ")


def draw(results: Results, folder: Path) -> dict[str, Path]:
    """Draw the tables' main columns as bars with spreads.

    Args:
        results: The results of the whole study.
        folder: Folder for the SVG files.

    Returns:
        Title -> file; empty without results.
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
        draw_bars(results, rows, {titles[metric]: metric for metric in metrics}, file, salt="toy study")
    return {title: file for title, (_, file) in pictures.items()}
