"""Panoptic quality of files: a panoptic JSON with its id PNGs against another one, without a model."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from mmdataseg.errors import UserError
from mmdataseg.evaluation.class_counts import PackedCounts, chance_generator
from mmdataseg.evaluation.panoptic_quality import PanopticQualityMetric
from mmdataseg.formats.categories import UNKNOWN, category_labels, check_categories
from mmdataseg.formats.coco_panoptic import (
    PanopticJson,
    PanopticPredictions,
    load_panoptic_json,
    load_panoptic_predictions,
    rgb_to_id,
)
from mmdataseg.formats.coco_values import as_flag, id_column, id_key
from mmdataseg.formats.id_maps import Segments, segments_of_panoptic_png
from mmdataseg.formats.json_files import broken
from mmdataseg.formats.paths import require_dir, require_file
from mmdataseg.formats.png import read_png
from mmdataseg.ops.panoptic_quality import segment_intersections
from mmdataseg.progress import counted, progress_bar

_GIVE_FOLDER = "give the folder (--truth-folder, --predictions-folder)"


@dataclass(frozen=True, kw_only=True)
class PanopticFiles:
    """A panoptic JSON, and the folder of its id PNGs.

    Args:
        file: The JSON.
        folder: The folder; None: the path of the JSON without ``.json``, as in COCO's own files.
    """

    file: Path
    folder: Path | None = None

    @property
    def png_folder(self) -> Path:
        """The folder of the id PNGs."""
        return self.folder or self.file.with_suffix("")

    def segments(self, annotation: Mapping[str, Any], labels: Mapping[Any, int]) -> Segments:
        """Read the segments of an image.

        Args:
            annotation: Its entry in the JSON.
            labels: Category id -> label, of `category_labels`.

        Raises:
            MissingFileError: There is no PNG.
            UserError: A key is missing or a value cannot be read; a category has no label; the PNG cannot be decoded;
                or PNG and JSON disagree on the ids.
        """
        try:
            infos = annotation["segments_info"]
            path = self.png_folder / annotation["file_name"]
            ids = id_column([info["id"] for info in infos], "id").tolist()
            is_crowd = [as_flag(info.get("iscrowd"), "iscrowd") for info in infos]
            categories = [id_key(info["category_id"]) for info in infos]
        except (KeyError, ValueError) as error:
            raise broken(self.file, f"{_image(annotation)}: {_fault(error)}") from None
        unknown = [category for category in categories if labels.get(category, UNKNOWN) == UNKNOWN]
        if unknown:
            raise UserError(
                f"{_image(annotation)}: category {unknown[0]!r} is not in the 'categories' of the truth",
                file=self.file,
                remedy="correct one of them",
            )
        png = read_png(path, "panoptic PNG", colours=True)
        if png.ndim != 3 or png.shape[2] < 3:
            raise broken(path, f"expected an RGB PNG of segment ids, got shape {png.shape}")
        try:
            return segments_of_panoptic_png(
                rgb_to_id(png[..., :3]),
                ids=ids,
                labels=[labels[category] for category in categories],
                is_thing=[False] * len(ids),  # not used with merge="none"
                is_crowd=is_crowd,
                merge="none",
            )
        except UserError as error:
            raise UserError(str(error), file=path, remedy="use a JSON and PNGs that were written together") from None


def panoptic_quality_of_files(
    truth: PanopticFiles, predictions: PanopticFiles, *, threads: int = 1, **options: Any
) -> dict[str, float]:
    """Compute the panoptic quality of predictions in COCO's format, with the counts of the COCO panoptic task.

    Images are matched by file name, or by id where a side has no file names. If an image has no match, the names are
    compared without their folders, provided that they are distinct then.
    Categories are matched by name, or by id where the predictions have no ``categories``. Predictions for images that
    are not in the truth are ignored.

    Args:
        truth: The truth.
        predictions: The predictions. The JSON needs only ``annotations``, with one for each image of the truth.
        threads: Number of threads, which read and count images.
        options: Options of `PanopticQualityMetric`, such as ``classwise`` and ``errors``.

    Returns:
        Name -> percent, as `PanopticQualityMetric` reports them.

    Raises:
        MissingFileError: A file or folder is missing.
        UserError: A file cannot be read; a category of the truth has no valid ``isthing``; an image has no prediction;
            two PNGs differ in size; or a predicted category is not in the truth.
    """
    for files in (truth, predictions):
        require_file(files.file, "panoptic JSON", remedy="give the path of another one")
        require_dir(files.png_folder, "folder of panoptic PNGs", remedy=_GIVE_FOLDER)
    known, found = load_panoptic_json(truth.file), load_panoptic_predictions(predictions.file)
    annotations = _predictions_by_image(known, found, predictions.file)
    is_thing = _thing_flags(known.categories, truth.file)
    metric = PanopticQualityMetric(**options)
    metric.dataset_meta = {"classes": tuple(is_thing), "is_thing": list(is_thing.values())}
    true_labels = category_labels(known.categories, classes=tuple(is_thing), label_map=None, path=truth.file)
    labels = true_labels
    if found.categories is not None:
        labels = category_labels(found.categories, classes=tuple(is_thing), label_map=None, path=predictions.file)

    def count(number: int, image: Any) -> PackedCounts:
        true = truth.segments(known.annotations[image], true_labels)
        predicted = predictions.segments(annotations[image], labels)
        try:
            return _count(metric, true, predicted, number)
        except ValueError as error:
            raise UserError(f"image {image!r}: {error}", file=predictions.file, remedy="predict at full size") from None

    with ThreadPoolExecutor(threads) as pool:
        results = pool.map(count, range(len(known.annotations)), known.annotations)
        return metric.compute_metrics(list(progress_bar(results, total=len(known.annotations), unit="images")))


def _predictions_by_image(known: PanopticJson, found: PanopticPredictions, file: Path) -> dict[Any, Mapping[str, Any]]:
    """Return image id in the truth -> annotation in the predictions."""
    true_names, names = _names(known.images), _names(found.images)
    if true_names and names:
        other_ids = _same_names(true_names, names)
        if None in other_ids.values() and (short := _without_folders(true_names, names)) is not None:
            other_ids = _same_names(*short)
    else:
        other_ids = {image: image for image in known.images}
    matched = {image: found.annotations[other] for image, other in other_ids.items() if other in found.annotations}
    missing = [image for image in known.images if image not in matched]
    if missing:
        example = f"image {missing[0]!r}" + (f" ('{true_names[missing[0]]}')" if true_names and names else "")
        raise UserError(
            f"no prediction for {len(missing)} of {counted(len(known.images), 'image')}, e.g. {example}",
            file=file,
            remedy="predict them; an image without segments has an empty 'segments_info'. Images are matched by file "
            "name if both files list 'images', otherwise by id",
        )
    return matched


def _names(images: Mapping[Any, Mapping[str, Any]]) -> dict[Any, str]:
    """Return image id -> file name; empty if an image has no name."""
    names = {image: entry["file_name"] for image, entry in images.items() if "file_name" in entry}
    return names if len(names) == len(images) else {}


def _same_names(true_names: Mapping[Any, str], names: Mapping[Any, str]) -> dict[Any, Any]:
    """Return image id in the truth -> image id in the predictions, or None."""
    image_of_name = {name: image for image, name in names.items()}
    return {image: image_of_name.get(name) for image, name in true_names.items()}


def _without_folders(*sides: Mapping[Any, str]) -> list[dict[Any, str]] | None:
    """Return the names without their folders; None if two images of a side have the same name then."""
    short = [{image: PurePosixPath(name).name for image, name in names.items()} for names in sides]
    return short if all(len(set(names.values())) == len(names) for names in short) else None


def _count(metric: PanopticQualityMetric, true: Segments, predicted: Segments, number: int) -> PackedCounts:
    pairs = segment_intersections(
        torch.from_numpy(true.id_map),
        torch.from_numpy(predicted.id_map),
        num_gt=len(true.labels),
        num_pred=len(predicted.labels),
    )
    return metric.count_segments(
        pairs,
        gt_labels_N=torch.from_numpy(true.labels),
        gt_is_crowd_N=torch.from_numpy(true.is_crowd),
        pred_labels_M=torch.from_numpy(predicted.labels),
        generator=chance_generator({}, number),
    )


def _thing_flags(categories: Sequence[Mapping[str, Any]], file: Path) -> dict[str, bool]:
    """Return name -> whether it is a thing. Categories of one name are one class, as in training."""
    flags: dict[str, bool] = {}
    for category, name in zip(categories, check_categories(categories, file).values(), strict=True):
        try:
            is_thing = as_flag(category["isthing"], "isthing")
        except (KeyError, ValueError) as error:
            raise broken(file, f"category {name!r}: {_fault(error)}") from None
        if flags.setdefault(name, is_thing) != is_thing:
            raise broken(file, f"category {name!r} appears twice, as a thing and as stuff")
    return flags


def _image(annotation: Mapping[str, Any]) -> str:
    return f"the annotation of image {annotation['image_id']!r}"


def _fault(error: Exception) -> str:
    return f"no key {error}" if isinstance(error, KeyError) else str(error)
