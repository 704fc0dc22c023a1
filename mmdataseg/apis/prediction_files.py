"""Predictions of many images as files: pictures to look at, and annotations in the formats that the datasets read."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import mmcv
import numpy as np
from mmdet.evaluation import INSTANCE_OFFSET
from mmdet.structures import DetDataSample

from mmdataseg.apis.inferencer import draw_answer
from mmdataseg.errors import UserError
from mmdataseg.formats.categories import make_categories
from mmdataseg.formats.coco_panoptic import PanopticSegments, write_panoptic_png
from mmdataseg.formats.json_files import write_coco_json
from mmdataseg.formats.masks import describe_mask
from mmdataseg.formats.png import write_png
from mmdataseg.ops.panoptic_map import read_panoptic_map
from mmdataseg.sources import Source
from mmdataseg.structures import Task

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def find_images(paths: Sequence[str]) -> dict[str, Path]:
    """The images that a user names.

    Args:
        paths: Of images and of folders, which are searched at all depths for files that end in one of `SUFFIXES`.

    Returns:
        Name -> path, sorted by name. The name is the path relative to the folder that all of them have in common.

    Raises:
        FileNotFoundError: A path that is not there.
        UserError: No image; or two whose names differ in nothing but the suffix.
    """
    found: dict[str, Path] = {}  # without "..", so that no name leads out of a folder; once, however it is spelled
    for path in map(Path, paths):
        if path.is_dir():
            files = [file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()]
            found |= {os.path.abspath(file): file for file in files}
        elif path.is_file():
            found[os.path.abspath(path)] = path
        else:
            raise FileNotFoundError(f"image or folder '{path}' does not exist")
    if not found:
        raise UserError(f"no image in {list(paths)}; expected files that end in one of {SUFFIXES}")
    root = os.path.commonpath([os.path.dirname(file) for file in found])
    images = {os.path.relpath(file, root).replace(os.sep, "/"): path for file, path in found.items()}
    stems: dict[str, str] = {}
    for name in sorted(images):
        stem = str(PurePosixPath(name).with_suffix(""))
        if stem in stems:
            raise UserError(
                f"'{stems[stem]}' and '{name}' would be written to the same file; segment them in two calls"
            )
        stems[stem] = name
    return {name: images[name] for name in sorted(images)}


def make_empty(folder: Path) -> None:
    """Make a folder, or take an empty one, so that nothing is overwritten or mixed.

    Args:
        folder: Where predictions are to go.

    Raises:
        UserError: Something is in it.
        OSError: It cannot be made.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"'{folder}' is there already and not empty; give another --out, or move it away")
    folder.mkdir(parents=True, exist_ok=True)


class PredictionFiles:
    """Writes predictions, a picture and the annotation of each image.

    =========  ==========================================================================================
    pictures   ``pictures/<name>.png``: image and prediction side by side
    panoptic   ``panoptic.json`` and ``panoptic/<name>.png``: COCO panoptic, category id = label + 1
    semantic   ``semantic/<name>.png``: value = label; ``semantic.json``: images and categories, id = label
    instance   ``instances.json``: COCO instances with RLE and ``score``, category id = label + 1
    =========  ==========================================================================================

    `mmdataseg.PanopticSegDataset`, `mmdataseg.SemanticSegDataset` and `mmdataseg.InstanceSegDataset` read these files,
    as other programs do.

    Args:
        folder: Where to; see `make_empty`.
        source: Task and label space of the predictions.
        min_score: Instances with a lower score are left out.
    """

    def __init__(self, *, folder: Path, source: Source, min_score: float) -> None:
        self.folder = folder
        self.source = source
        self.min_score = min_score
        self._kind = "instances" if source.task is Task.INSTANCE else source.task.value
        self.json_file = folder / f"{self._kind}.json"
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._found: Counter[int] = Counter()  # by label

    def add(self, name: str, path: Path, sample: DetDataSample) -> None:
        """Write the picture and the map of an image, and keep what goes into the JSON.

        Args:
            name: Of the image, from `find_images`.
            path: Of the image.
            sample: What an `mmdataseg.apis.inferencer.Inferencer` gave for it.
        """
        image = mmcv.imread(str(path), channel_order="rgb")
        number = len(self._images) + 1
        png = str(PurePosixPath(name).with_suffix(".png"))
        if self.source.task is Task.PANOPTIC:
            self._annotations.append(
                {"image_id": number, "file_name": png, "segments_info": self._panoptic(sample, png)}
            )
        elif self.source.task is Task.SEMANTIC:
            labels = sample.pred_sem_seg.sem_seg[0].numpy()
            self._found.update(np.unique(labels).tolist())
            write_png(self._map(png), labels.astype(np.uint8 if len(self.source.label_space) <= 255 else np.uint16))
        else:
            self._annotations += self._instances(sample, number)
        self._images.append({"id": number, "file_name": name, "height": image.shape[0], "width": image.shape[1]})
        picture = draw_answer(image, sample, self.source, title=name, min_score=self.min_score)
        write_png(self.folder / "pictures" / png, picture)

    def summary(self) -> str:
        """What was found: segments or instances of each class; of label maps, images that the class is in."""
        counts = ", ".join(f"{self.source.label_space.classes[k]} {n}" for k, n in self._found.most_common())
        lower = (
            "lower --min-score" if self.source.task is Task.INSTANCE else "lower the post-processor's score_threshold"
        )
        return f"found: {counts or f'nothing; where that cannot be, {lower}, or train for longer'}"

    def close(self) -> Path | None:
        """Write the JSON of all images that were added.

        Returns:
            Its path; None: no image was added, so nothing is written.
        """
        if not self._images:
            return None
        space = self.source.label_space
        first = 0 if self.source.task is Task.SEMANTIC else 1
        write_coco_json(
            self.json_file,
            images=self._images,
            annotations=None if self.source.task is Task.SEMANTIC else self._annotations,
            categories=make_categories(space, range(first, first + len(space))),
        )
        return self.json_file

    def _map(self, png: str) -> Path:
        return self.folder / self._kind / png

    def _panoptic(self, sample: DetDataSample, png: str) -> list[dict[str, Any]]:
        prediction = sample.pred_panoptic_seg
        rows, labels = read_panoptic_map(
            prediction.sem_seg[0],
            num_classes=len(self.source.label_space),
            offset=INSTANCE_OFFSET,
            ignore_index=prediction.get("ignore_index"),
        )
        self._found.update(labels.tolist())
        ids = rows.numpy().astype(np.int32) + 1
        categories = {row + 1: label + 1 for row, label in enumerate(labels.tolist())}
        return write_panoptic_png(self._map(png), PanopticSegments(ids=ids, categories=categories))

    def _instances(self, sample: DetDataSample, image_id: int) -> list[dict[str, Any]]:
        found = sample.pred_instances
        found = found[found.scores >= self.min_score]
        self._found.update(found.labels.tolist())
        annotations = []
        for label, score, mask in zip(found.labels.tolist(), found.scores.tolist(), found.masks.numpy(), strict=True):
            annotations.append(
                {
                    "id": len(self._annotations) + len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": label + 1,
                    "score": score,
                    "iscrowd": 0,
                    **describe_mask(mask),
                }
            )
        return annotations
