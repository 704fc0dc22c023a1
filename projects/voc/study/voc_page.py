"""The page of the study on photographs: tables, pictures, and a verdict on each finding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmdataseg.formats.whole_files import write_whole
from projects.study.findings import RULE, verdict_table
from projects.study.page import (
    StudySetting,
    draw_bars,
    iterations_and_seeds,
    kept_notes,
    picture_links,
    row_table,
    scale_table,
)
from projects.study.statistics import NOT_RUN, Results, cell, markdown_table
from projects.voc.published.sets import SETS
from projects.voc.study.voc_rows import (
    ALL,
    BOXES,
    CAMVID,
    COLUMNS,
    COMBINATIONS,
    ERRORS,
    FILLED,
    LENGTHS,
    SHARES,
    STEADY,
    STEADY_BOXES,
    STEADY_PANOPTIC,
    STEADY_SEMANTIC,
    STEADY_TRAINING,
    TRANSFER,
    UPPER_BOUND,
    WITH_CAMVID,
    findings,
    longer,
    on_training_images,
)


@dataclass(frozen=True, kw_only=True)
class Setting(StudySetting):
    """How the numbers were made.

    Args:
        images: Number of images of each set; empty: not known yet.
        runs: Number of runs of the whole study.
        iterations: Number of iterations of the whole study.
    """

    images: Mapping[str, int]
    runs: int
    iterations: int


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
    stopped = [f"Stopped with an error: {', '.join(failed)}."] if failed else []
    parts = [
        "# The study on photographs",
        "This page repeats the paper's study of training sources on PASCAL VOC, with a pretrained MobileNetV2 and "
        "CLIP's text embeddings, at a size that two CPU cores can train. The notes at the end say what the tables mean "
        "for your own data. [projects/voc](../projects/voc/README.md) says how to prepare the data. A row that nobody "
        f'has run reads "{NOT_RUN}".',
        "## Scale",
        _scale(results, setting),
        f"```shell\n{setting.command}\n```",
        "The command does not repeat a run whose result is in the JSON file beside this page. `--page "
        "work_dirs/mine.md` starts without results; `--only` and `--seeds` choose rows and seeds. Device, threads and "
        "seconds are those of the recorded runs; `--device`, `--threads` and `--jobs` set them.",
        *stopped,
        "## Training sources",
        "S: label maps. P: panoptic segments. B: boxes. Mean and standard deviation over seeds, in percent. A training "
        "has as many iterations as separate models of its sources have together. They are divided among the sources "
        "by the config's ratios. The steady classes are cat, cow, dog, horse, person and sheep, of which the small set "
        "of photographs has many objects. Filled boxes are the same detections with each mask replaced by its box.",
        row_table(results, COMBINATIONS, COLUMNS),
        *picture_links(pictures, ["Scores of the steady classes by training sources"]),
        "## Boxes and masks",
        "The upper bound is S+P+B with the masks of the boxes. The rows below it have 110 images with panoptic "
        "segments (P 110) and a number of other images with boxes (B). They all train equally long.",
        row_table(results, {"S+P+B": ALL, "upper bound": UPPER_BOUND, **SHARES}, COLUMNS),
        *picture_links(pictures, ["Boxes in addition to 110 images with masks"]),
        "## Equal length",
        "The table has trainings of several lengths, so that you can compare those of equal length. All scores are "
        "those of the steady classes, on held-out images and on 110 training images of P. All these trainings except S "
        "include the 110 images. The more a model overfits, the better it is on training images than on held-out ones.",
        _lengths(results),
        *picture_links(pictures, ["PQ on held-out images and on training images"]),
        "## Ablations",
        row_table(results, {"none (S+P+B)": ALL, **{_short(name): name for name in ablations}}, COLUMNS),
        "\n".join(f"- {_short(name)}: {what}" for name, what in ablations.items()),
        "## What goes wrong",
        "The table says what happens to the true things in the panoptic predictions, in percent. "
        "[troubleshooting.md](troubleshooting.md#why-is-pq-low) explains the kinds. Invented things are in percent of "
        "the true ones. Some of these counts, mostly of seed 0, were made before the rule of `split` changed: all "
        "predicted segments of the class counted as parts, so a thing beside another one of its class was seldom "
        "called split. Seed 0 of S, P and B, counted again, has the same numbers.",
        row_table(results, {**COMBINATIONS, "upper bound": UPPER_BOUND}, ERRORS),
        "## A source of another world",
        "CamVid has street scenes and its own vocabulary. S+P+B is tested on it without training on it. S+P+B+CamVid "
        "is trained on it as a fourth source, with a fifth of the batches.",
        row_table(results, {"S+P+B": TRANSFER, "S+P+B+CamVid": WITH_CAMVID}, {"CamVid: mIoU": CAMVID}),
        row_table(results, {"S+P+B": ALL, "S+P+B+CamVid": WITH_CAMVID}, COLUMNS),
        "## What the paper found, and whether it shows here",
        f"All scores are those of the steady classes. {RULE}",
        verdict_table(findings(results)),
        notes,
    ]
    write_whole(page, "\n\n".join(parts) + "\n")


def _scale(results: Results, setting: Setting) -> str:
    images = " / ".join(f"{setting.images[name]:,}" for name in SETS) if setting.images else NOT_RUN
    data = {
        "runs of the whole study": f"{setting.runs}, {setting.iterations:,} iterations",
        "images S / P / B / validation": images,
        "tested images": "every second one of the first 400 of validation",
    }
    return scale_table(results, setting, data)


def _lengths(results: Results) -> str:
    scores = {"mIoU": STEADY_SEMANTIC, "PQ": STEADY_PANOPTIC, "mask AP": STEADY_BOXES}
    head = ["trained on", "iterations", "seeds", *scores, *(f"{score}, training images" for score in scores)]
    semantic = longer(COMBINATIONS["S"], 3)
    rows = [["S", *iterations_and_seeds(results, semantic), *(cell(results, semantic, m) for m in STEADY), *["-"] * 3]]
    rows += [
        [
            label,
            *iterations_and_seeds(results, name),
            *(cell(results, name, metric) for metric in STEADY),
            *(cell(results, on_training_images(name), metric) for metric in STEADY_TRAINING),
        ]
        for label, name in LENGTHS
    ]
    return markdown_table(head, rows)


def _with_training_images(results: Results) -> Results:
    """Add the metrics on training images to those of the runs whose weights were tested on them."""
    seen = {
        (name, run["seed"]): run["metrics"] for _, name in LENGTHS for run in results.get(on_training_images(name), ())
    }
    return {
        name: [{**run, "metrics": {**run["metrics"], **seen.get((name, run["seed"]), {})}} for run in runs]
        for name, runs in results.items()
    }


def _short(name: str) -> str:
    return name.removeprefix("dataseg_voc_3ds_")


def draw(results: Results, folder: Path) -> dict[str, Path]:
    """Draw the main columns as bars with spreads.

    Args:
        results: The results of the whole study.
        folder: Folder for the SVG files.

    Returns:
        Title -> file, of the tables that have a result.
    """
    sources = {"S: mIoU": STEADY_SEMANTIC, "P: PQ": STEADY_PANOPTIC, "B: mask AP": STEADY_BOXES, "filled boxes": FILLED}
    shares = {"P: PQ": STEADY_PANOPTIC, "B: mask AP": STEADY_BOXES, "B: mask AP, all classes": BOXES}
    boxes = {label.partition(" + ")[2]: name for label, name in SHARES.items()}
    lengths = {
        label.replace(" + ", "\n+ ") + "\n" + iterations_and_seeds(results, name)[0]: name for label, name in LENGTHS
    }
    fit = {"held-out images": STEADY_PANOPTIC, "training images": STEADY_TRAINING[1]}
    found = {}
    for title, rows, metrics, name in (
        ("Scores of the steady classes by training sources", COMBINATIONS, sources, "real_study_sources.svg"),
        ("Boxes in addition to 110 images with masks", boxes, shares, "real_study_boxes.svg"),
        ("PQ on held-out images and on training images", lengths, fit, "real_study_lengths.svg"),
    ):
        run = {label: row for label, row in rows.items() if results.get(row)}
        if run:
            folder.mkdir(parents=True, exist_ok=True)
            draw_bars(_with_training_images(results), run, metrics, folder / name, salt="real study")
            found[title] = folder / name
    return found
