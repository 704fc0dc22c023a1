"""Common parts of the studies' commands: arguments, the list of runs, processes, and the page."""

import argparse
import ast
import os
import platform
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import DictAction

from mmdataseg.apis.config.reading import read_config
from mmdataseg.apis.parsers import Parser
from mmdataseg.errors import UserError
from projects.study import archive
from projects.study.run import Run
from projects.study.running import run_all


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a study: a config, and how long it trains or whose weights it tests.

    Args:
        config: Path of a leaf config.
        parts: Training length in multiples of ``--iterations-per-source``; 0 for a row that only tests.
        weights_of: Name of the row whose weights a row tests; None for a row that trains its own.
    """

    config: Path
    parts: int
    weights_of: str | None = None


@cache
def sources_of(config: Path) -> int:
    """Return the number of sources that a config trains on; 0 if it only tests."""
    cfg = read_config(config)
    return len(cfg.train_dataloader.dataset.sources) if cfg.get("train_cfg") else 0


def make_parser(doc: str, *, iterations: int, page: str) -> Parser:
    """Return the parser of a study's command line.

    Args:
        doc: The help text.
        iterations: Default of ``--iterations-per-source``.
        page: Default of ``--page``.
    """
    parser = Parser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--iterations-per-source",
        type=int,
        default=iterations,
        metavar="N",
        help="a training on k sources has k N, with its schedule scaled (default: %(default)s)",
    )
    parser.add_argument("--seeds", type=int, default=3, help="runs of each config (default: %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="S, P, B, S+P ... or names of configs (default: all)")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="threads per run (default: the cores, shared among the jobs)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default: %(default)s)")
    parser.add_argument("--machine", help="description of the hardware for the page (default: processor and cores)")
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, default={}, metavar="KEY=VALUE", help="settings for all configs"
    )
    parser.add_argument("--out", type=Path, help="folder of the runs (default: work_dirs/NAME for a page NAME.md)")
    parser.add_argument("--page", type=Path, default=Path(page), help="the page (default: %(default)s)")
    parser.add_argument("--page-only", action="store_true", help="run nothing, write the page from the finished runs")
    return parser


def parse(parser: Parser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line, and refuse numbers below 1."""
    args = parser.parse_args(arguments)
    args.out = args.out or Path("work_dirs", args.page.stem)
    for name in ("seeds", "jobs", "iterations_per_source", "threads"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return args


def chosen(only: Sequence[str] | None, rows: Mapping[str, Row], *, labels: Mapping[str, str]) -> dict[str, Row]:
    """Return the rows that ``--only`` names, or all. If a row only tests, the row with its weights is added.

    Args:
        only: Labels or names of rows; None: all.
        rows: All rows by name.
        labels: Label, such as S+P -> name.

    Raises:
        SystemExit: ``only`` has an unknown row.
    """
    unknown = [row for row in only or () if labels.get(row, row) not in rows]
    if unknown:
        raise SystemExit(f"--only {unknown[0]}: expected some of {', '.join([*labels, *rows])}")
    names = list(dict.fromkeys(labels.get(row, row) for row in only or rows))
    needed = [rows[name].weights_of for name in names]
    trained = [name for name in dict.fromkeys(needed) if name is not None and name not in names]
    return {name: rows[name] for name in [*trained, *names]}


def described(leaves: Sequence[Path]) -> dict[str, str]:
    """Return name of a config -> the first line of its docstring."""
    return {
        leaf.stem: (ast.get_docstring(ast.parse(leaf.read_text(encoding="utf-8"))) or leaf.stem).splitlines()[0]
        for leaf in leaves
    }


def plan_runs(args: argparse.Namespace, rows: Mapping[str, Row], *, world: Mapping[str, Any]) -> list[Run]:
    """Return all runs: the first seed of every row, then the second, so that an early page has every row.

    A row that only tests uses weights that were trained with the same seed.

    Args:
        args: The command line.
        rows: The chosen rows by name.
        world: Description of the data, so that no page mixes data.
    """
    return [
        Run(
            name=name,
            config=str(row.config),
            folder=str(args.out / name / f"seed{seed}"),
            seed=seed,
            iterations=row.parts * args.iterations_per_source,
            options=dict(args.cfg_options),
            world=world,
            threads=threads_of(args),
            machine=args.machine or f"{os.cpu_count()} CPU cores ({platform.machine()})",
            weights_of=None if row.weights_of is None else str(args.out / row.weights_of / f"seed{seed}"),
        )
        for seed in range(args.seeds)
        for name, row in rows.items()
    ]


def threads_of(args: argparse.Namespace) -> int:
    """Return the number of threads per run: the requested number, or the run's share of the cores."""
    return args.threads or max(1, (os.cpu_count() or 1) // args.jobs)


def environment(args: argparse.Namespace) -> dict[str, str]:
    """Return the environment variables for the processes of the runs."""
    env = {"OMP_NUM_THREADS": str(threads_of(args))}
    if args.device == "cpu":
        env["CUDA_VISIBLE_DEVICES"] = ""
    elif args.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise SystemExit("--device cuda: torch finds no CUDA device; use --device cpu, or install torch for CUDA")
    return env


def command_of(args: argparse.Namespace, module: str) -> str:
    """Return the command that repeats the whole study: only the arguments that change the runs, without hardware and
    output paths."""
    words = ["python", "-m", module, "--iterations-per-source", str(args.iterations_per_source)]
    words += ["--seeds", str(args.seeds)]
    if args.cfg_options:
        words += ["--cfg-options", *(f"{key}={value}" for key, value in args.cfg_options.items())]
    return shlex.join(words)


def run_study(
    args: argparse.Namespace,
    *,
    requested: Sequence[Run],
    everything: Sequence[Run],
    write_page: Callable[[Mapping[str, list[dict[str, Any]]], list[str]], None],
) -> int:
    """Run the unfinished runs. After each run, write the page and, beside it, a JSON file with the results.

    Args:
        args: The command line.
        requested: The runs that the command line requests.
        everything: All runs of the study. All finished runs are on the page, requested or not.
        write_page: Writes the page from the results (name of a row -> its runs) and the names of the failed runs.

    Returns:
        0, or 1 if a run failed.

    Raises:
        UserError: The file or the folder of the runs has results with other settings.
    """
    kept = args.page.with_suffix(".json")
    archive.check(kept, everything)
    if not args.page_only:
        archive.restore(kept, requested)

    def write(failed: Sequence[Run] = ()) -> int:
        results = {name: list(by_seed.values()) for name, by_seed in archive.save(kept, everything).items()}
        write_page(results, [f"{run.name} (seed {run.seed})" for run in failed])
        return sum(map(len, results.values()))

    failed: list[Run] = []
    if not args.page_only:
        failed = run_all(requested, jobs=args.jobs, env=environment(args), finished=write)
    print(f"{args.page}: {write(failed)} runs in it")
    return int(bool(failed))


def run_command(study: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Run a study. A user's mistake ends it with a one-line message.

    Args:
        study: Runs the study for parsed arguments.
        args: The command line.

    Returns:
        0, or 1 if a run failed.

    Raises:
        SystemExit: The user made a mistake. The message goes to stderr.
    """
    try:
        return study(args)
    except (UserError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
