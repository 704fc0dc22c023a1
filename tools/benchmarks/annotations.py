"""`annotations`: time and memory to load the annotations of an Objects365-sized file: ours against mmdet's.

The file and its (empty) images are drawn from a seed and kept in --folder, so that a second run starts at once. Each
measurement is a separate process: seconds from the dataset's constructor to its first sample's annotations, and the
process's peak resident memory, in total and above that after the imports. Three cases, in turn: our dataset with no
cache yet, our dataset with the cache of the first, mmdet's ``Objects365V2Dataset``.
"""

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from mmdataseg.apis.parsers import Parser
from mmdataseg.formats.whole_files import whole_file
from mmdataseg.progress import progress_bar

CASES = ("ours, first start", "ours, second start", "mmdet Objects365V2Dataset")
_PATCHES = 51
_BLOCK = 10_000
_MIB = 1 << 20


def add_arguments(parser: Parser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument("--images", type=int, default=200_000, help="images in the file (default: 200000)")
    parser.add_argument("--boxes", type=int, default=3_000_000, help="boxes in the file (default: 3000000)")
    parser.add_argument("--repeats", type=int, default=3, help="processes per case; medians are printed (default: 3)")
    parser.add_argument(
        "--ours-only", action="store_true", help="leave out mmdet's, which takes about ten times the memory"
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("work_dirs/benchmark_annotations"), help="folder of the generated data"
    )
    parser.add_argument("--measure", choices=CASES, help=argparse.SUPPRESS)


def check_arguments(args: argparse.Namespace, parser: Parser) -> None:
    """End with a message if a number is below 1."""
    if min(args.images, args.boxes, args.repeats) < 1:
        parser.error("--images, --boxes and --repeats must be at least 1")


def write_data(folder: Path, num_images: int, num_boxes: int) -> Path:
    """Write an Objects365-style JSON and an empty file for each image, unless they are there.

    Args:
        folder: Where to write.
        num_images: Number of images, in the patch folders of the download.
        num_boxes: Number of boxes, spread at random over images and the 365 classes.

    Returns:
        Path of the JSON.
    """
    path = folder / f"annotations/objects365_{num_images}_{num_boxes}.json"
    if path.is_file():
        return path
    from mmdet.datasets import Objects365V2Dataset  # for its names, by which mmdet's reader finds categories

    with whole_file(path) as file:
        names = Objects365V2Dataset.METAINFO["classes"]
        categories = [{"supercategory": "object", "id": i, "name": name} for i, name in enumerate(names, 1)]
        file.write(f'{{"categories": {json.dumps(categories)}, "licenses": [], "info": {{}}, "images": [')
        _write_images(file, folder / "train", num_images)
        file.write('], "annotations": [')
        _write_boxes(file, num_images, num_boxes)
        file.write("]}")
    return path


def _write_images(file, img_dir: Path, num_images: int) -> None:
    for patch in range(_PATCHES):
        (img_dir / f"patch{patch}").mkdir(parents=True, exist_ok=True)
    for i in progress_bar(range(num_images), desc="images"):
        part = f"patch{i % _PATCHES}/objects365_v1_{i:08}.jpg"
        (img_dir / part).touch()
        image = {"height": 512, "id": i, "license": 5, "width": 683, "file_name": f"images/v1/{part}", "url": ""}
        file.write(f"{', ' if i else ''}{json.dumps(image)}")


def _write_boxes(file, num_images: int, num_boxes: int) -> None:
    generator = np.random.default_rng(0)
    for start in progress_bar(range(0, num_boxes, _BLOCK), desc="boxes, in blocks"):
        size = min(_BLOCK, num_boxes - start)
        corners = generator.uniform((0, 0), (500, 400), (size, 2))
        boxes = np.concatenate([corners, generator.uniform(5, 100, (size, 2))], axis=1).tolist()
        images = generator.integers(num_images, size=size).tolist()
        classes = generator.integers(1, 366, size=size).tolist()
        lines = []
        for n, (box, image, number) in enumerate(zip(boxes, images, classes, strict=True), start + 1):
            annotation = {"id": n, "iscrowd": 0, "isfake": 0, "area": box[2] * box[3], "isreflected": 0}
            lines.append(json.dumps(annotation | {"bbox": box, "image_id": image, "category_id": number}))
        file.write((", " if start else "") + ", ".join(lines))


def measure(case: str, path: Path) -> dict[str, float]:
    """Load the file in this process.

    Args:
        case: One of `CASES`.
        path: The JSON.

    Returns:
        Seconds, peak resident MiB of the process, and how many of these MiB are above those after the imports.
    """
    from mmdet.datasets import Objects365V2Dataset

    from mmdataseg.datasets import InstanceSegDataset
    from mmdataseg.text.vocabularies import get_label_space

    classes = get_label_space("objects365").classes
    before = _peak_mib()
    start = time.perf_counter()
    if case.startswith("ours"):
        dataset = InstanceSegDataset(
            ann_file=str(path),
            img_dir=str(path.parents[1] / "train"),
            cache_dir=str(path.parents[1] / "cache"),
            metainfo={"classes": classes},
            path_parts=2,
        )
    else:
        dataset = Objects365V2Dataset(
            ann_file=str(path), data_prefix={"img": str(path.parents[1] / "train")}, pipeline=[]
        )
    dataset.get_data_info(0)
    return {"seconds": time.perf_counter() - start, "peak": _peak_mib(), "added": _peak_mib() - before}


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (_MIB if sys.platform == "darwin" else 1024)


def run_case(case: str, args: argparse.Namespace, script: Path) -> dict[str, float]:
    """Measure a case in a fresh process."""
    command = [sys.executable, str(script), "annotations", "--measure", case, "--folder", str(args.folder)]
    command += ["--images", str(args.images), "--boxes", str(args.boxes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{case}: the process ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def run(args: argparse.Namespace, script: Path) -> None:
    """Write the data, measure the cases in turn, print a table.

    Args:
        args: Parsed arguments of `add_arguments`.
        script: Path of the command, for the processes of the measurements.
    """
    path = write_data(args.folder, args.images, args.boxes)
    if args.measure:
        print(json.dumps(measure(args.measure, path)))
        return
    found: dict[str, list[dict[str, float]]] = {case: [] for case in CASES if not args.ours_only or "ours" in case}
    for _ in progress_bar(range(args.repeats), desc="repeats"):
        shutil.rmtree(args.folder / "cache", ignore_errors=True)
        for case, runs in found.items():
            runs.append(run_case(case, args, script))
    print(f"{args.images} images, {args.boxes} boxes, JSON of {path.stat().st_size / _MIB:.0f} MiB; ", end="")
    print(f"medians of {args.repeats}\n\n| dataset | seconds | peak memory, MiB | of it above the imports, MiB |")
    print("|---|---|---|---|")
    for case, runs in found.items():
        values = [statistics.median(run[key] for run in runs) for key in ("seconds", "peak", "added")]
        print(f"| {case} | {values[0]:.2f} | {values[1]:.0f} | {values[2]:.0f} |")
