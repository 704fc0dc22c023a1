"""The paper's studies on the toy world: all combinations of its sources and the ablations, with several seeds.

    python -m projects.toy.toy_study --seeds 4 --jobs 2       # continues docs/toy_study.md
    python -m projects.toy.toy_study --page-only               # no training: writes the page from finished runs
    python -m projects.toy.toy_study --page work_dirs/mine.md  # from nothing
    python -m projects.toy.toy_study --page work_dirs/short.md --iterations-per-source 50 --seeds 1 --only S S+P+B

A model of several sources trains as long as separate models of these sources together: with N iterations per source, S
alone has N, S+P 2N and S+P+B 3N. The config's ratios divide them among the sources. The full-size configs give all
models the same number instead. With a few hundred iterations from scratch, as here, that would show how far a training
came and not what a source adds (docs/method.md).

Each run has a folder with its log, checkpoint and result. The same command continues a stopped study where it was. On
another machine it continues after the last run in the .json file beside the page; both are written whenever a run is
finished. Every run is tested on all five test sets, including those of the transfer evaluations.
"""

import argparse
import ast
import json
import os
import platform
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from mmdataseg.apis.config_files import leaf_configs
from mmdataseg.apis.runs import read_config
from projects.toy.study import archive
from projects.toy.study.run import RESULT, Run
from projects.toy.study.running import run_all
from projects.toy.study.toy_findings import ALL, COMBINATIONS
from projects.toy.study.toy_page import Setting, write_page

DATA = Path("data/toy")  # where projects/toy/configs look for it


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--iterations-per-source",
        type=int,
        default=400,
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
    parser.add_argument("--page", type=Path, default=Path("docs/toy_study.md"), help="the page (default: %(default)s)")
    parser.add_argument("--page-only", action="store_true", help="run nothing, write the page from the finished runs")
    args = parser.parse_args(arguments)
    args.out = args.out or Path("work_dirs", args.page.stem)
    for name in ("seeds", "jobs", "iterations_per_source", "threads"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return args


def find_configs() -> tuple[dict[str, Path], dict[str, str]]:
    """The configs of the study.

    Returns:
        Name -> path, the combinations first; and for the ablations in ``projects/toy/configs``, name -> what it
        changes.
    """
    leaves = {leaf.stem: leaf for leaf in leaf_configs(Path(__file__).with_name("configs"))}
    ablations = {
        name: (ast.get_docstring(ast.parse(leaf.read_text())) or name).splitlines()[0]
        for name, leaf in leaves.items()
        if leaf.parent.name == "ablations"
    }
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
    wanted = list(configs)
    if args.only:
        unknown = [row for row in args.only if COMBINATIONS.get(row, row) not in configs]
        if unknown:
            raise SystemExit(f"--only {unknown[0]}: expected some of {', '.join([*COMBINATIONS, *configs])}")
        wanted = list(dict.fromkeys(COMBINATIONS.get(row, row) for row in args.only))
    sources = {name: sources_of(configs[name]) for name in wanted}
    if not all(sources.values()) and ALL not in sources:
        sources = {ALL: sources_of(configs[ALL]), **sources}
    return [
        Run(
            config=str(configs[name]),
            folder=str(args.out / name / f"seed{seed}"),
            seed=seed,
            iterations=sources[name] * args.iterations_per_source,
            options=dict(args.cfg_options),
            world=world,
            threads=threads_of(args),
            machine=args.machine or f"{os.cpu_count()} CPU cores ({platform.machine()})",
            weights_of=None if sources[name] else str(args.out / ALL / f"seed{seed}"),
        )
        for seed in range(args.seeds)
        for name in sources
    ]


def sources_of(config: Path) -> int:
    """The number of sources that a config trains on; 0 if it only tests."""
    cfg = Config.fromfile(config)
    return len(cfg.train_dataloader.dataset.sources) if cfg.get("train_cfg") else 0


def threads_of(args: argparse.Namespace) -> int:
    return args.threads or max(1, (os.cpu_count() or 1) // args.jobs)


def environment(args: argparse.Namespace) -> dict[str, str]:
    """Environment variables for the processes of the runs."""
    env = {"OMP_NUM_THREADS": str(threads_of(args))}
    if args.device == "cpu":
        env["CUDA_VISIBLE_DEVICES"] = ""
    elif args.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise SystemExit("--device cuda: torch finds no CUDA device; use --device cpu, or install torch for CUDA")
    return env


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
        ValueError: No run is finished.
    """
    for by_seed in results.values():
        for found in by_seed.values():
            return found["asked"]["world"]
    for file in sorted(out.glob(f"*/*/{RESULT}")):
        return json.loads(file.read_text())["asked"]["world"]
    raise ValueError("--page-only: no run is finished; leave the option out")


def command_of(args: argparse.Namespace) -> str:
    """The command that repeats the whole study: only the arguments that change what is run, without hardware and output
    paths."""
    words = ["python", "-m", "projects.toy.toy_study", "--iterations-per-source", str(args.iterations_per_source)]
    words += ["--seeds", str(args.seeds)]
    if args.cfg_options:
        words += ["--cfg-options", *(f"{key}={value}" for key, value in args.cfg_options.items())]
    return shlex.join(words)


def setting_of(args: argparse.Namespace, world: Mapping[str, Any]) -> Setting:
    """The scale of the study, for the page."""
    return Setting(
        iterations_per_source=args.iterations_per_source,
        command=command_of(args),
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
    args = parse_args(sys.argv[1:] if arguments is None else arguments)
    try:
        return study(args)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def study(args: argparse.Namespace) -> int:
    """Run the study for parsed arguments."""
    configs, ablations = find_configs()
    kept = args.page.with_suffix(".json")
    read_config(configs[ALL], args.cfg_options)  # refuses options that no part of the config has
    world = world_of(archive.load(kept), args.out) if args.page_only else make_data()
    runs = plan(args, configs, world)
    everything = plan(argparse.Namespace(**{**vars(args), "only": None}), configs, world)
    archive.check(kept, everything)
    if not args.page_only:
        archive.restore(kept, runs)

    def write(failed: Sequence[Run] = ()) -> int:
        """Write all finished runs to the page, including those that were not requested."""
        results = {name: list(by_seed.values()) for name, by_seed in archive.save(kept, everything).items()}
        names = [f"{run.name} (seed {run.seed})" for run in failed]
        write_page(args.page, results, setting=setting_of(args, world), ablations=ablations, failed=names)
        return sum(map(len, results.values()))

    failed: list[Run] = []
    if not args.page_only:
        failed = run_all(runs, jobs=args.jobs, env=environment(args), finished=write)
    print(f"{args.page}: {write(failed)} runs in it")
    return int(bool(failed))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as for Ctrl-C: stop the processes of the runs too
    raise SystemExit(main())
