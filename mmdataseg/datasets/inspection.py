"""Reads each image of a source and lists every problem, not only the first one."""

import hashlib
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform, LoadAnnotations, LoadImageFromFile
from torch.utils.data import DataLoader, Dataset, Subset

from mmdataseg.datasets.findings import Findings
from mmdataseg.datasets.multi_source import MultiSourceDataset
from mmdataseg.datasets.suspicions import DARK, flag_problems, notes, training_problems
from mmdataseg.datasets.transforms.boxes import large_enough
from mmdataseg.datasets.transforms.loading import LoadInstances, LoadPanopticMap, LoadSemanticMap
from mmdataseg.datasets.transforms.packing import PackInputs
from mmdataseg.errors import UserError
from mmdataseg.formats.png import orientation
from mmdataseg.progress import counted, progress_bar
from mmdataseg.sources import Source

_LOADERS = (LoadImageFromFile, LoadAnnotations, LoadSemanticMap, LoadPanopticMap, LoadInstances)
_SHOWN = 20
_TOGETHER = 32  # images whose findings a worker adds up before it sends them
_WIDE = 1 / 3  # a segment that covers more than this share of the image is wide


class Inspection(Dataset):
    """A dataset of the findings of each image of a source, so that data loader workers can read the images."""

    def __init__(self, dataset: MultiSourceDataset) -> None:
        self.dataset = dataset
        self.transforms = loading_transforms(dataset)
        self.later = later_transforms(dataset)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Findings:
        results = self.dataset.get_data_info(index)
        where = f"source {results['source']!r}: '{results.get('img_path')}'"
        try:
            for transform in self.transforms:
                results = transform(results)
            found = inspect(results)
            image, path = results.get("img"), Path(results["img_path"])
            for transform in self.later:
                results = transform(results)
        except Exception as error:  # each kind of broken file raises its own type; all are listed
            named = isinstance(error, UserError) and error.source is not None
            message = str(error) if named else f"{where}: {type(error).__name__}: {error}"
            return Findings(images=1, problems=[message])
        if path.is_file():
            content = path.read_bytes()
            found.turned = int(orientation(BytesIO(content)) != 1)
            found.paths[hashlib.blake2b(content, digest_size=16).digest()] = [str(path)]
        found.dark = int(image is not None and int(image.max()) < DARK)
        return found


def loading_transforms(dataset: MultiSourceDataset) -> list[BaseTransform]:
    """Return those transforms of a dataset's only source that read files."""
    return [t for t in dataset.datasets[0].pipeline.transforms if isinstance(t, _LOADERS)]


def later_transforms(dataset: MultiSourceDataset) -> list[BaseTransform]:
    """Return `PackInputs` and what follows it in the pipeline of a dataset's only source: own kinds of supervision.

    Nothing is returned if `PackInputs` is the last transform or is not there.
    """
    steps = list(dataset.datasets[0].pipeline.transforms)
    places = [place for place, step in enumerate(steps) if isinstance(step, PackInputs)]
    return steps[places[0] :] if places and places[0] + 1 < len(steps) else []


def inspect(results: Mapping[str, Any]) -> Findings:
    """Return the findings of one image from the output of the loading transforms."""
    found = Findings(images=1)
    annotated = results.get("segments_info", results.get("instances", ()))
    found.crowd = sum(bool(a.get("iscrowd", a.get("ignore_flag", False))) for a in annotated)
    if "gt_segment_labels" in results:
        labels = results["gt_segment_labels"]
        found.pixels = results["gt_seg_map"].size
        found.void = int((results["gt_seg_map"] < 0).sum())
        areas = np.bincount(results["gt_seg_map"].ravel() + 1, minlength=len(labels) + 1)[1:]
        found.wide = Counter(np.unique(labels[areas > _WIDE * found.pixels]).tolist())
    elif "gt_bboxes_labels" in results:
        if results.get("gt_masks") is not None:
            keep = results["gt_masks"].masks.any(axis=(1, 2))
            found.vanished = int((~keep).sum())
            found.fractions = sum(_within_one(instance.get("mask")) for instance in annotated) if found.vanished else 0
        else:
            keep = large_enough(results["gt_bboxes"].tensor.numpy())
            found.tiny = int((~keep).sum())
        labels = results["gt_bboxes_labels"][keep]
    else:
        labels = np.empty(0, np.int64)
    found.classes = Counter(labels.tolist())
    found.empty = int(not len(labels))
    single = [a["category"] for a in annotated if "category" in a and not a.get("iscrowd")]
    pieces = Counter(single) if single else found.classes
    found.images_with = Counter({label: 1 for label in pieces if label >= 0})
    found.in_pieces = Counter({label: 1 for label, count in pieces.items() if label >= 0 and count > 1})
    return found


def _within_one(mask: Any) -> bool:
    """Whether a segmentation consists of polygons with coordinates within 0 .. 1."""
    if not isinstance(mask, list) or not mask:
        return False
    points = np.concatenate([np.asarray(polygon, np.float64).ravel() for polygon in mask])
    return bool(points.size and points.min() >= 0 and points.max() <= 1)


def check_source(source: Source, split: str, workers: int, limit: int | None) -> Findings:
    """Read the images of a source's split, with a progress bar.

    Args:
        source: The source.
        split: ``train`` or ``test``.
        workers: Number of processes that read; 0: this process reads.
        limit: Number of images to read, from the first; None: all.

    Returns:
        The findings in all images read. If the dataset cannot be built, its error is the only problem.
    """
    total = Findings()
    try:
        inspection = Inspection(MultiSourceDataset(sources=[source], split=split))
    except (UserError, OSError) as error:
        total.problems.append(str(error))
        return total
    dataset = inspection.dataset.datasets[0]
    table = getattr(dataset, "table", None)
    for suspicion in getattr(dataset, "suspicions", ()) if table is None else table.suspicions:
        total.problems.append(f"source {source.name!r}: '{dataset.json_file}': {suspicion}")
    if table is not None and table.repeated_ids:
        number = counted(table.repeated_ids, "annotation has", "annotations have")
        total.notes.append(
            f"source {source.name!r}: '{dataset.json_file}': {number} an id that an earlier one has; they are read as "
            "separate objects here, while other tools may keep one per id"
        )
    count = len(inspection) if limit is None else min(limit, len(inspection))
    loader = DataLoader(
        Subset(inspection, range(count)),
        batch_size=_TOGETHER,
        collate_fn=_added,
        num_workers=workers,
        worker_init_fn=_one_thread,
    )
    with progress_bar(desc=f"{source.name} ({split})", unit="images", total=count) as bar:
        for found in loader:
            total.add(found)
            bar.update(found.images)
    judge(source, total, dataset, complete=split == "train" and count == len(inspection))
    return total


def judge(source: Source, total: Findings, dataset: Any, *, complete: bool) -> None:
    """Add the problems and notes that only show over all images to the findings of a source.

    ``complete`` tells whether these are all images of a training split.
    """
    problems = [*flag_problems(source, total)]
    if complete and not total.problems:
        problems += training_problems(source, total, dataset)
    total.problems += [f"source {source.name!r}: {problem}" for problem in problems]
    total.notes += [f"source {source.name!r}: {note}" for note in notes(source, total)]


def report(source: Source, split: str, found: Findings) -> str:
    """Return the text of the findings of a split."""
    classes = source.label_space.classes
    seen = ", ".join(f"{classes[label]} {count}" for label, count in found.classes.most_common())
    unseen = [name for label, name in enumerate(classes) if label not in found.classes]
    counts = [
        counted(found.images, "image"),
        counted(found.classes.total(), "target"),
        f"{counted(found.empty, 'image')} without target",
        counted(found.crowd, "crowd region"),
        f"{counted(found.tiny, 'box', 'boxes')} under a pixel",
    ]
    lines = [f"{source.name} ({split}): {', '.join(counts)}"]
    if found.pixels:
        lines.append(f"void: {100 * found.void / found.pixels:.1f} % of the pixels")
    if found.images:
        lines.append(f"{len(classes) - len(unseen)} of {len(classes)} classes: {seen or 'none'}")
    if found.images and unseen:
        lines.append("never: " + ", ".join(unseen))
    lines.append("in this split: " + (counted(len(found.problems), "problem") if found.problems else "no problem"))
    lines += [f"! {problem}" for problem in found.problems[:_SHOWN]]
    if len(found.problems) > _SHOWN:
        lines.append(f"! and {len(found.problems) - _SHOWN} more")
    lines += [f"? {note}" for note in found.notes]
    return "\n".join(textwrap.fill(line, 120, subsequent_indent="    ", break_on_hyphens=False) for line in lines)


def _added(findings: Iterable[Findings]) -> Findings:
    total = Findings()
    for found in findings:
        total.add(found)
    return total


def _one_thread(_worker: int) -> None:
    # OpenCV's threads would compete with the other workers
    cv2.setNumThreads(0)
