"""Read each image of a source, and find all that is wrong with it and not only the first thing."""

import textwrap
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform, LoadAnnotations, LoadImageFromFile
from torch.utils.data import DataLoader, Dataset, Subset

from mmdataseg.datasets.multi_source import MultiSourceDataset
from mmdataseg.datasets.transforms.boxes import large_enough
from mmdataseg.datasets.transforms.loading import LoadInstances, LoadPanopticMap, LoadSemanticMap
from mmdataseg.errors import UserError
from mmdataseg.progress import progress_bar
from mmdataseg.sources import Source

_LOADERS = (LoadImageFromFile, LoadAnnotations, LoadSemanticMap, LoadPanopticMap, LoadInstances)
_SHOWN = 20


@dataclass
class Findings:
    """What one image has, or the sum over many.

    Args:
        images: How many were read.
        classes: Segments or boxes of each label.
        pixels: Annotated and void pixels of id maps.
        void: Those that are void.
        crowd: Crowd regions: void for training.
        tiny: Boxes that no training sees, less than a pixel wide or high.
        empty: Images without any target.
        problems: Messages, with source and file.
    """

    images: int = 0
    classes: Counter[int] = field(default_factory=Counter)
    pixels: int = 0
    void: int = 0
    crowd: int = 0
    tiny: int = 0
    empty: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        """Add another one's figures to these."""
        for name in ("images", "pixels", "void", "crowd", "tiny", "empty"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.classes.update(other.classes)
        self.problems += other.problems


class Inspection(Dataset):
    """The findings of each image of a source, made where a data loader wants them."""

    def __init__(self, dataset: MultiSourceDataset) -> None:
        self.dataset = dataset
        self.transforms = loading_transforms(dataset)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Findings:
        results = self.dataset.get_data_info(index)
        where = f"source {results['source']!r}: '{results.get('img_path')}'"
        try:
            for transform in self.transforms:
                results = transform(results)
        except Exception as error:  # each kind of broken file raises its own, and all of them are to be listed
            named = isinstance(error, UserError) and error.source is not None
            message = str(error) if named else f"{where}: {type(error).__name__}: {error}"
            return Findings(images=1, problems=[message])
        return inspect(results)


def loading_transforms(dataset: MultiSourceDataset) -> list[BaseTransform]:
    """The transforms of the only source's pipeline that read files."""
    return [t for t in dataset.datasets[0].pipeline.transforms if isinstance(t, _LOADERS)]


def inspect(results: Mapping[str, Any]) -> Findings:
    """Figures of one image, from what the loading transforms wrote."""
    found = Findings(images=1)
    annotated = results.get("segments_info", results.get("instances", ()))
    found.crowd = sum(bool(a.get("iscrowd", a.get("ignore_flag", False))) for a in annotated)
    if "gt_segment_labels" in results:
        labels = results["gt_segment_labels"]
        found.pixels = results["gt_seg_map"].size
        found.void = int((results["gt_seg_map"] < 0).sum())
    elif "gt_bboxes_labels" in results:
        keep = large_enough(results["gt_bboxes"].tensor.numpy())
        found.tiny = int((~keep).sum())
        labels = results["gt_bboxes_labels"][keep]
    else:
        labels = np.empty(0, np.int64)
    found.classes = Counter(labels.tolist())
    found.empty = int(not len(labels))
    return found


def check_source(source: Source, split: str, workers: int, limit: int | None) -> Findings:
    """Read the images of a source's split, with a progress bar.

    Args:
        source: The source.
        split: ``train`` or ``test``.
        workers: Processes that read; 0: this one.
        limit: Read only the first so many; None: all.
    """
    total = Findings()
    try:
        inspection = Inspection(MultiSourceDataset(sources=[source], split=split))
    except (UserError, OSError) as error:
        total.problems.append(str(error))
        return total
    table = getattr(inspection.dataset.datasets[0], "table", None)
    for suspicion in () if table is None else table.suspicions:
        total.problems.append(f"source {source.name!r}: '{inspection.dataset.datasets[0].json_file}': {suspicion}")
    count = len(inspection) if limit is None else min(limit, len(inspection))
    loader = DataLoader(
        Subset(inspection, range(count)), batch_size=None, num_workers=workers, worker_init_fn=_one_thread
    )
    for found in progress_bar(loader, desc=f"{source.name} ({split})", unit="images"):
        total.add(found)
    return total


def report(source: Source, split: str, found: Findings) -> str:
    """What was found, in words."""
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
    lines.append(counted(len(found.problems), "problem") if found.problems else "no problem")
    lines += [f"! {problem}" for problem in found.problems[:_SHOWN]]
    if len(found.problems) > _SHOWN:
        lines.append(f"! and {len(found.problems) - _SHOWN} more")
    return "\n".join(textwrap.fill(line, 120, subsequent_indent="    ", break_on_hyphens=False) for line in lines)


def counted(number: int, one: str, many: str | None = None) -> str:
    """The number with its noun; None: the plural takes an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def _one_thread(_worker: int) -> None:
    # OpenCV's threads would compete with the other workers
    cv2.setNumThreads(0)
