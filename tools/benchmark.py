"""Compare our code with the best alternatives: ratios of time and peak memory on the same inputs.

    python tools/benchmark.py all                             # sizes for two cores; 6 minutes of processor time
    python tools/benchmark.py train-step --preset paper --device cuda --memory
    python tools/benchmark.py postprocess --rounds 9 --json work_dirs/benchmark/post.json --plot post.png
    python tools/benchmark.py inference --trace trace.json     # for chrome://tracing; ours only, one call per row
    python tools/benchmark.py train-step --operations          # launches on a GPU, counted on a CPU
    python tools/benchmark.py annotations --images 2000 --boxes 30000 --repeats 1
    python tools/benchmark.py saved configs/dataseg_r50_3ds.py  # memory of a training step, without a GPU

Each row is measured in a process of its own, in which both sides run alternately, ours first in even rounds and theirs
first in odd ones. The first round is not counted. Without --rounds, a row then has as many rounds as take three
seconds, at least one. A ratio below 1 means that ours is faster, or smaller. On a CPU, the time is processor time (of
all threads together), which other work on the machine disturbs less than wall-clock time; on a GPU, it is wall-clock
time, synchronised. On a busy CPU, use --threads 1: threads that wait for others count, too. Alternatives that are not
installed are skipped, with the reason. A row whose process fails is named, the others are measured, and the command
then exits with 1.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
# mmengine looks for a GPU at its import; torch's usual way to look starts CUDA, which a forked process cannot use then
os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"

from mmdataseg.apis.parsers import Parser
from mmdataseg.models.targets import mask_targets
from mmdataseg.ops import linear
from mmdataseg.progress import counted, progress_bar
from tools.benchmarks import annotations, answers, comparing, metrics, pipelines, report, sampling, saved, training
from tools.benchmarks.comparing import PRESETS, Comparison, Result, Setting
from tools.benchmarks.operations import operations

_ABOUT = {
    "train-step": "training steps of whole networks, and their parts",
    "inference": "from an image to segments",
    "postprocess": "from proposals to the answer at the size of the image on disk",
    "data": "training pipelines, from files to packed samples",
    "metric": "panoptic quality and mask AP",
    "sampler": "batches of a training, and the start at a late iteration",
    "all": "all of these, but rows with torch.compile",
    "annotations": "time and memory to load the annotations of an Objects365-sized file",
    "saved": "memory that a training step of a config keeps for its backward pass",
}
SUBCOMMANDS: dict[str, Callable[[Setting], list[Comparison]]] = {
    "train-step": training.train_steps,
    "inference": training.inferences,
    "postprocess": answers.postprocessings,
    "data": pipelines.pipelines,
    "metric": metrics.metrics,
    "sampler": sampling.samplers,
}


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line: a subcommand, then its options."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = Parser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s SUBCOMMAND [options]",
        epilog="\n".join(["subcommands:", *(f"  {name:12} {about}" for name, about in _ABOUT.items())]),
    )
    parser.add_argument(
        "subcommand", metavar="SUBCOMMAND", choices=_ABOUT, help="what to measure; options: SUBCOMMAND -h"
    )
    subcommand = parser.parse_args(words[:1]).subcommand
    parser = Parser(prog=f"{parser.prog} {subcommand}", description=_ABOUT[subcommand])
    add_arguments = {"annotations": annotations.add_arguments, "saved": saved.add_arguments}
    add_arguments.get(subcommand, _add_arguments)(parser)
    args = parser.parse_args(words[1:], argparse.Namespace(subcommand=subcommand))
    if args.subcommand == "annotations":
        annotations.check_arguments(args, parser)
    elif args.subcommand == "saved":
        saved.check_arguments(args, parser)
    elif any(value is not None and value < 1 for value in (args.rounds, args.size, args.batch, args.threads)):
        parser.error("--rounds, --size, --batch and --threads must be at least 1")
    elif args.trace and (args.json or args.plot or args.memory):
        parser.error("--trace measures nothing, so --json, --plot and --memory cannot be given with it")
    return args


def _add_arguments(parser: Parser) -> None:
    parser.add_argument("--preset", choices=PRESETS, default="small", help="sizes (default: small)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--size", type=int, help="side of a training image in pixels, instead of the preset's")
    parser.add_argument("--batch", type=int, help="images of a training batch, instead of the preset's")
    parser.add_argument("--rounds", type=int, help="runs of each side (default: by the time of a row)")
    parser.add_argument("--threads", type=int, help="torch's number of threads (default: its own choice)")
    parser.add_argument("--only", default="", help="measure only rows whose name contains this")
    parser.add_argument("--memory", action="store_true", help="also measure peak memory, each side in a fresh process")
    parser.add_argument("--json", type=Path, help="file for all measurements")
    parser.add_argument("--plot", type=Path, help="file for a plot of the ratios")
    parser.add_argument("--operations", action="store_true", help="count torch operations; no times are measured")
    parser.add_argument("--trace", type=Path, help="file for a trace of ours by torch.profiler; no times are measured")
    parser.add_argument("--memory-of", nargs=2, metavar=("NAME", "SIDE"), help=argparse.SUPPRESS)


def setting_of(args: argparse.Namespace) -> Setting:
    """The preset, with the changes of the command line."""
    names = ("size", "batch", "rounds", "threads")
    changes = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return replace(PRESETS[args.preset], device=args.device, **changes)


def comparisons_of(args: argparse.Namespace, setting: Setting) -> list[tuple[str, Comparison]]:
    """(subcommand, row) of the requested comparisons."""
    names = SUBCOMMANDS if args.subcommand == "all" else [args.subcommand]
    rows = [(name, row) for name in names for row in SUBCOMMANDS[name](setting)]
    if args.subcommand == "all":
        rows = [(name, row) for name, row in rows if row.in_all]
    return [(name, row) for name, row in rows if args.only in f"{row.name} / {row.yardstick}"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, write the requested files."""
    args = parse_args(arguments)
    if args.subcommand == "annotations":
        annotations.run(args, Path(__file__))
        return
    if args.subcommand == "saved":
        saved.run(args)
        return
    with comparing.folder_of_temporary_files():
        _run(args)


def _run(args: argparse.Namespace) -> None:
    setting = setting_of(args)
    rows = comparisons_of(args, setting)
    if args.trace or args.operations or args.memory_of:
        comparing.set_threads(setting)
    if args.memory_of:
        name, side = args.memory_of
        row = next(row for _, row in rows if f"{row.name} / {row.yardstick}" == name)
        print(json.dumps({"peak": comparing.peak_memory(row.prepare()[side], setting.device)}))
        return
    if args.trace:
        _trace([row for _, row in rows], args.trace)
        return
    if args.operations:
        _count([row for _, row in rows])
        return
    results = _measure(rows, args, setting)
    if args.json:
        report.write_json(results, {"preset": args.preset, **asdict(setting)}, args.json)
    if args.plot:
        report.plot(results, args.plot)
    failed = sum(bool(result.failed) for result in results)
    if failed:
        sys.exit(f"{counted(failed, 'row')} failed")


def _measure(rows: Sequence[tuple[str, Comparison]], args: argparse.Namespace, setting: Setting) -> list[Result]:
    """Measure all rows, and print each at once, as the next one may take minutes; the skipped ones at the end."""
    results = []
    print(report.HEADER, report.RULE, sep="\n", flush=True)
    tqdm.monitor_interval = 0  # without tqdm's thread: no thread may hold a lock while a process is forked
    for name, row in progress_bar(rows, desc="comparisons"):
        result = comparing.measure(row, setting)
        if args.memory and result.seconds:
            full_name = f"{row.name} / {row.yardstick}"
            memory = comparing.memory_of(full_name, name, _sizes(args), Path(__file__))
            result = replace(result, memory=memory)
        results.append(result)
        if not result.skipped:
            print(report.line(result), flush=True)
    for result in results:
        if result.skipped:
            print(report.line(result))
    return results


def _sizes(args: argparse.Namespace) -> list[str]:
    """The options that determine the inputs, for another process that makes the same ones."""
    words = ["--preset", args.preset, "--device", args.device]
    for name in ("size", "batch", "threads"):
        if getattr(args, name) is not None:
            words += [f"--{name}", str(getattr(args, name))]
    return words


def _count(rows: Sequence[Comparison]) -> None:
    """Print the number of operations of each side of each row, with our products and chunks as on a GPU."""
    linear.MKL_LEAVES_OUT_AVX512 = False
    mask_targets.VALUES_AT_A_TIME["cpu"] = mask_targets.VALUES_AT_A_TIME["gpu"]
    for row in rows:
        try:
            found = ", ".join(f"{side} {count}" for side, count in operations(row).items())
        except comparing.Missing as reason:
            found = f"skipped: {reason}"
        print(f"{row.name} / {row.yardstick}: {found}")


def _trace(rows: Sequence[Comparison], path: Path) -> None:
    """Record one call of ours for each row, after one that is not recorded."""
    calls = []
    for row in rows:
        try:
            calls.append((row.name, row.prepare()["ours"]))
        except comparing.Missing as reason:
            print(f"skipped: {row.name}: {reason}")
    for _, call in calls:
        call()
    with torch.profiler.profile() as profile:
        for name, call in calls:
            with torch.profiler.record_function(name):
                call()
    path.parent.mkdir(parents=True, exist_ok=True)
    profile.export_chrome_trace(str(path))


if __name__ == "__main__":
    main()
