"""The paper's studies on the toy world: all combinations of its sources and the ablations, with several seeds.

    python -m projects.toy.toy_study --seeds 4 --jobs 2       # continues docs/toy_study.md
    python -m projects.toy.toy_study --page-only               # no training: writes the page from finished runs
    python -m projects.toy.toy_study --page work_dirs/mine.md  # a new study
    python -m projects.toy.toy_study --page work_dirs/short.md --iterations-per-source 50 --seeds 1 --only S S+P+B

A model of several sources trains as long as separate models of these sources together: with N iterations per source, S
alone has N, S+P 2N and S+P+B 3N. The config's ratios divide them among the sources. The full-size configs give all
models the same number instead. With a few hundred iterations from scratch, as here, that would show how far a training
came, not what a source adds (docs/method.md).

Each run has a folder with its log, checkpoint and result. The same command continues a stopped study where it was. On
another machine it continues after the last run in the .json file beside the page; both are written whenever a run is
finished. Every run is tested on all five test sets, including those of the transfer evaluations.
"""

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdataseg.apis.config.files import leaf_configs
from mmdataseg.apis.config.reading import read_config
from mmdataseg.errors import UserError
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
    sources_of,
)
from projects.study.run import RESULT, Run
from projects.study.statistics import Results
from projects.toy.study.toy_findings import ALL, COMBINATIONS
from projects.toy.study.toy_page import Setting, write_page

MODULE = "projects.toy.toy_study"
DATA = Path("data/toy")  # where projects/toy/configs look for it


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    return parse(make_parser(__doc__ or "", iterations=400, page="docs/toy_study.md"), arguments)


def find_configs() -> tuple[dict[str, Path], dict[str, str]]:
    """The configs of the study.

    Returns:
        Name -> path, the combinations first; and for the ablations in ``projects/toy/configs``, name -> what it
        changes.
    """
    leaves = {leaf.stem: leaf for leaf in leaf_configs(Path(__file__).with_name("configs"))}
    ablations = described([leaf for leaf in leaves.values() if leaf.parent.name == "ablations"])
    return {name: leaves[name] for name in [*COMBINATIONS.values(), *ablations]}, ablations


def plan(args: argparse.Namespace, configs: dict[str, Path], world: Mapping[str, Any]) -> list[Run]:
    """All runs: the first seed of every config, then the second, so that an early page has every row.

    A config that only tests uses the weights of S+P+B of the same seed. That run is added and comes first, if it is
    missing.

    Args:
        args: The command line.
        configs: Name -> path.
        world: The arguments that the data are made with.

    Raises:
        SystemExit: ``--only`` names an unknown row.
    """
    rows = {}
    for name, config in configs.items():
        parts = sources_of(config)
        rows[name] = Row(config=config, parts=parts, weights_of=None if parts else ALL)
    return plan_runs(args, chosen(args.only, rows, labels=COMBINATIONS), world=world)


def make_data() -> dict:
    """Draw the toy world, or complete the existing one.

    Returns:
        The arguments it was made with.
    """
    file = DATA / "toy.json"
    options: list[object] = []
    if file.is_file():
        world = json.loads(file.read_text())["world"]
        options = ["--seed", world["seed"], "--size", world["size"]]
        options += ["--train-images", *world["train_images"], "--val-images", world["val_images"]]
    subprocess.run([sys.executable, "-m", "projects.toy.make_toy", str(DATA), *map(str, options)], check=True)
    return json.loads(file.read_text())["world"]


def world_of(results: archive.Archive, out: Path) -> dict:
    """The arguments that the data of finished runs were made with.

    Args:
        results: The results beside the page.
        out: Folder of the runs.

    Returns:
        The arguments of `projects/toy/make_toy.py`.

    Raises:
        UserError: No run is finished.
    """
    for by_seed in results.values():
        for found in by_seed.values():
            return found["asked"]["world"]
    for file in sorted(out.glob(f"*/*/{RESULT}")):
        return json.loads(file.read_text())["asked"]["world"]
    raise UserError("--page-only: no run is finished; leave the option out")


def setting_of(args: argparse.Namespace, world: Mapping[str, Any]) -> Setting:
    """The scale of the study, for the page."""
    return Setting(
        iterations_per_source=args.iterations_per_source,
        command=command_of(args, MODULE),
        image_size=world["size"],
        train_images=world["train_images"],
        val_images=world["val_images"],
        seeds=args.seeds,
        options=dict(args.cfg_options),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is not finished yet, and write the page.

    Returns:
        0, or 1 if a run failed.

    Raises:
        SystemExit: A user's mistake; the message goes to stderr.
    """
    return run_command(study, parse_args(sys.argv[1:] if arguments is None else arguments))


def study(args: argparse.Namespace) -> int:
    """Run the study for parsed arguments."""
    configs, ablations = find_configs()
    read_config(configs[ALL], args.cfg_options)  # refuses options that no part of the config has
    world = world_of(archive.load(args.page.with_suffix(".json")), args.out) if args.page_only else make_data()

    def page(results: Results, failed: Sequence[str]) -> None:
        write_page(args.page, results, setting=setting_of(args, world), ablations=ablations, failed=failed)

    return run_study(
        args,
        requested=plan(args, configs, world),
        everything=plan(argparse.Namespace(**{**vars(args), "only": None}), configs, world),
        write_page=page,
    )


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as for Ctrl-C: stop the processes of the runs too
    raise SystemExit(main())
