"""The paper's studies on photographs: all combinations of the three sources, boxes against masks, and the ablations.

    python -m projects.voc.voc_study --jobs 2 --threads 1 --device cpu  # continues docs/real_study.md
    python -m projects.voc.voc_study --page-only                        # no training: writes the page again
    python -m projects.voc.voc_study --page work_dirs/mine.md           # a new study
    python -m projects.voc.voc_study --page work_dirs/short.md --iterations-per-source 20 --seeds 1 --only S S+P+B

projects/voc/README.md says how to prepare the data. A model of several sources trains as long as the separate models
of these sources together: with N iterations per source, S alone gets N, S+P 2N and S+P+B 3N. The rows that add boxes to
110 images with masks get 2N each. Rows whose names end in _x3 or _x6 get 3N or 6N, for comparisons at equal length.

Each run has a folder with its log, checkpoint and result. The same command continues a stopped study. On another
machine, it continues after the last run in the .json file beside the page. Page and file are written after each
finished run.
"""

import argparse
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdataseg.apis.config.reading import read_config
from projects.study import archive
from projects.study.command import (
    Row,
    chosen,
    command_of,
    described,
    make_parser,
    parse,
    plan_runs,
    run_command,
    run_study,
)
from projects.study.run import Run
from projects.study.statistics import Results
from projects.voc.study.voc_data import read_data
from projects.voc.study.voc_page import Setting, write_page
from projects.voc.study.voc_rows import ALL, COMBINATIONS, all_rows

MODULE = "projects.voc.voc_study"
ITERATIONS_PER_SOURCE = 300


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__ or "", iterations=ITERATIONS_PER_SOURCE, page="docs/real_study.md")
    return parse(parser, arguments)


def plan(args: argparse.Namespace, rows: Mapping[str, Row], world: Mapping[str, Any]) -> list[Run]:
    """Return the runs that the command line requests.

    Args:
        args: The command line.
        rows: All rows.
        world: Description of the data.

    Raises:
        SystemExit: ``--only`` has an unknown row.
    """
    return plan_runs(args, chosen(args.only, rows, labels=COMBINATIONS), world=world)


def world_of(results: archive.Archive) -> dict[str, Any]:
    """Return the description of the data of the finished runs; empty without runs.

    Args:
        results: The results beside the page.
    """
    return next((found["asked"]["world"] for seeds in results.values() for found in seeds.values()), {})


def study(args: argparse.Namespace) -> int:
    """Run the study for parsed arguments."""
    rows, ablations = all_rows()
    read_config(Path(rows[ALL].config), args.cfg_options)  # refuses options that no part of the config has
    world = world_of(archive.load(args.page.with_suffix(".json"))) if args.page_only else read_data()
    everything = plan(argparse.Namespace(**{**vars(args), "only": None}), rows, world)
    setting = Setting(
        iterations_per_source=args.iterations_per_source,
        command=command_of(args, MODULE),
        images=world.get("images", {}),
        runs=len(everything),
        iterations=sum(run.iterations for run in everything),
        seeds=args.seeds,
        options=dict(args.cfg_options),
    )

    def page(results: Results, failed: Sequence[str]) -> None:
        write_page(args.page, results, setting=setting, ablations=described(ablations), failed=failed)

    return run_study(args, requested=plan(args, rows, world), everything=everything, write_page=page)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the unfinished runs, and write the page.

    Returns:
        0, or 1 if a run failed.

    Raises:
        SystemExit: The user made a mistake. The message goes to stderr.
    """
    return run_command(study, parse_args(sys.argv[1:] if arguments is None else arguments))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as for Ctrl-C: stop the processes of the runs too
    raise SystemExit(main())
