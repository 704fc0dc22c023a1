"""`metric`: panoptic quality from arrays in memory, one thread, and from files; mask AP from encoded masks."""

import importlib
import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as mask_api
from pycocotools.coco import COCO
from torch import Tensor

from mmdataseg.evaluation.average_precision import fast_evaluator, precision_at_recalls, summary
from mmdataseg.evaluation.panoptic_files import PanopticFiles, panoptic_quality_of_files
from mmdataseg.formats.categories import make_categories
from mmdataseg.formats.coco_panoptic import PanopticSegments, rgb_to_id, write_panoptic_png
from mmdataseg.formats.json_files import write_coco_json
from mmdataseg.ops.panoptic_quality import FN, FP, TP, panoptic_counts, panoptic_quality, segment_intersections
from mmdataseg.progress import counted
from mmdataseg.text.vocabularies import get_label_space
from tools.benchmarks.comparing import Comparison, Missing, Setting, temporary_folder
from tools.benchmarks.networks import id_map

SPACE = get_label_space("coco133")


class Pair(NamedTuple):
    """The truth and the answer of one image; -1 is void."""

    truth: Tensor
    truth_labels: Tensor
    answer: Tensor
    answer_labels: Tensor


# from the files of the truth and of the answers to a call that reads them and returns panoptic quality
_Reader = Callable[[Path, Path], Callable[[], float]]


def pairs(setting: Setting) -> list[Pair]:
    """Answers made by shifting the truth a little, with a few wrong classes and some void on both sides."""
    made = []
    for image in range(setting.images):
        truth, labels = id_map(setting, image, setting.answer)
        answer, answer_labels = truth.roll((3, 5), (0, 1)).clone(), labels.clone()
        answer_labels[::4] = answer_labels[::4].roll(1)
        truth[: setting.answer[0] // 16] = -1
        answer[:, : setting.answer[1] // 16] = -1
        made.append(Pair(truth, labels, answer, answer_labels))
    return made


def metrics(setting: Setting) -> list[Comparison]:
    """The comparisons of `metric`."""
    sizes = _sizes(setting)
    one = replace(setting, images=1)  # torchmetrics takes seconds per image
    found = [
        Comparison("panoptic quality", "torchmetrics", _prepare(one, _torchmetrics), _sizes(one)),
        Comparison("panoptic quality", "vernier", _prepare(setting, _vernier), sizes),
    ]
    only_files = {"hotcoco, files": _hotcoco_files, "panopticapi, files": _panopticapi_files}
    found += [
        Comparison("panoptic quality", name, partial(_arrays_and_files, setting, make), sizes)
        for name, make in only_files.items()
    ]
    readers = {
        "hotcoco": _hotcoco_files,
        "vernier, PNGs by Pillow": _vernier_files,
        "panopticapi, one core": _panopticapi_files,
    }
    found += [
        Comparison("panoptic quality of files", name, partial(_panoptic_files, setting, make), sizes)
        for name, make in readers.items()
    ]
    sizes = f"{sizes}, {setting.queries} detections each"
    return [*found, Comparison("mask AP by hotcoco", "pycocotools", lambda: _mask_ap(setting), sizes)]


def _sizes(setting: Setting) -> str:
    height, width = setting.answer
    return f"{counted(setting.images, 'image')}, {height} x {width}, {setting.targets} segments each"


def our_counts(images: Sequence[Pair]) -> Tensor:
    """(K, 4) counts of all images."""
    total = torch.zeros(len(SPACE), 4, dtype=torch.float64)
    for pair in images:
        shared = segment_intersections(
            pair.truth, pair.answer, num_gt=len(pair.truth_labels), num_pred=len(pair.answer_labels)
        )
        total += panoptic_counts(
            shared,
            gt_labels_N=pair.truth_labels,
            gt_is_crowd_N=torch.zeros(len(pair.truth_labels), dtype=torch.bool),
            pred_labels_M=pair.answer_labels,
            num_classes=len(SPACE),
        )
    return total


def write_panoptic(folder: Path, setting: Setting) -> tuple[Path, Path]:
    """Write the segments of `pairs` as COCO panoptic files. Return the JSON of the truth and that of the answers."""
    categories = make_categories(SPACE, range(1, len(SPACE) + 1))
    height, width = setting.answer
    images = [
        {"id": number, "file_name": f"{number}.jpg", "height": height, "width": width}
        for number in range(setting.images)
    ]
    written = {"truth": [], "answer": []}
    for number, pair in enumerate(pairs(setting)):
        for side, ids, labels in (("truth", *pair[:2]), ("answer", *pair[2:])):
            (folder / side).mkdir(exist_ok=True)
            of_ids = {row + 1: int(label) + 1 for row, label in enumerate(labels)}
            segments = PanopticSegments(ids=(ids + 1).numpy(), categories=of_ids)
            info = write_panoptic_png(folder / side / f"{number}.png", segments)
            written[side].append({"image_id": number, "file_name": f"{number}.png", "segments_info": info})
    for side, annotations in written.items():
        write_coco_json(folder / f"{side}.json", images=images, annotations=annotations, categories=categories)
    return folder / "truth.json", folder / "answer.json"


def _panoptic_files(setting: Setting, make: _Reader) -> dict[str, Callable[[], Any]]:
    folder = temporary_folder()
    truth, answer = write_panoptic(folder, setting)
    theirs = make(truth, answer)

    def ours() -> float:
        return panoptic_quality_of_files(PanopticFiles(file=truth), PanopticFiles(file=answer))["PQ"] / 100

    if abs(ours() - theirs()) > 1e-9:
        raise Missing(f"its panoptic quality is {theirs()}, ours is {ours()}")
    return {"ours": ours, "theirs": theirs}


def _arrays_and_files(setting: Setting, make: _Reader) -> dict[str, Callable[[], Any]]:
    """Arrays in memory on our side, files on the other, which takes nothing else."""
    images = pairs(setting)
    theirs = make(*write_panoptic(temporary_folder(), setting))
    return {"ours": lambda: panoptic_quality(our_counts(images)), "theirs": theirs}


def _panopticapi_files(truth: Path, answer: Path) -> Callable[[], float]:
    """The function that panopticapi runs on each core. panopticapi is not on the package index."""
    evaluation = _module("panopticapi.evaluation")

    def run() -> float:
        true, found = (json.loads(path.read_text()) for path in (truth, answer))
        categories = {category["id"]: category for category in true["categories"]}
        of_image = {annotation["image_id"]: annotation for annotation in found["annotations"]}
        matched = [(annotation, of_image[annotation["image_id"]]) for annotation in true["annotations"]]
        folders = (str(path.with_suffix("")) for path in (truth, answer))
        with redirect_stdout(StringIO()):  # panopticapi prints
            counts = evaluation.pq_compute_single_core(0, matched, *folders, categories)
        return counts.pq_average(categories, isthing=None)[0]["pq"]

    return run


def _hotcoco_files(truth: Path, answer: Path) -> Callable[[], float]:
    panoptic = _module("hotcoco.panoptic")

    def run() -> float:
        evaluation = panoptic.PanopticEval(str(truth), str(answer))
        with redirect_stdout(StringIO()):  # hotcoco prints
            evaluation.run()
        return evaluation.results()["All"]["pq"]

    return run


def _vernier_files(truth: Path, answer: Path) -> Callable[[], float]:
    """vernier takes arrays, so Pillow reads the PNGs."""
    core = _module("vernier._core")

    def read(path: Path) -> tuple[dict[int, np.ndarray], bytes, bytes]:
        content = json.loads(path.read_text())
        maps, segments = {}, {}
        for entry in content["annotations"]:
            with Image.open(path.with_suffix("") / entry["file_name"]) as image:
                maps[entry["image_id"]] = rgb_to_id(np.asarray(image)).astype(np.uint32)
            segments[entry["image_id"]] = entry["segments_info"]
        return maps, json.dumps(segments).encode(), json.dumps(content["categories"]).encode()

    def run() -> float:
        maps, segments, _ = read(answer)
        dataset = core.PanopticDataset.from_arrays(*read(truth))
        predictions = core.PanopticPredictions.from_arrays(maps, segments)
        return core.evaluate_panoptic(dataset, predictions, "strict", num_threads=1).pq

    return run


def _prepare(
    setting: Setting, make: Callable[[Sequence[Pair]], Callable[[], Any]]
) -> Callable[[], dict[str, Callable[[], Any]]]:
    def prepare() -> dict[str, Callable[[], Any]]:
        images = pairs(setting)
        return {"ours": lambda: panoptic_quality(our_counts(images)), "theirs": make(images)}

    return prepare


def detections(setting: Setting) -> tuple[COCO, list[dict[str, Any]]]:
    """The segments of `pairs` as indexed annotations, and detections: each of them moved a little, several times."""
    content: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": k + 1, "name": name} for k, name in enumerate(SPACE.classes)]
    found, rng = [], np.random.default_rng(0)
    for image, pair in enumerate(pairs(setting), start=1):
        content["images"].append({"id": image, "height": setting.answer[0], "width": setting.answer[1]})
        masks = [(pair.truth == row).numpy() for row in range(len(pair.truth_labels))]
        for number in range(max(setting.queries, len(masks))):
            row = number % len(masks)
            category = int(pair.truth_labels[row]) + 1
            moved = np.roll(masks[row], tuple(rng.integers(-9, 10, 2)), (0, 1)) if number >= len(masks) else masks[row]
            rle = mask_api.encode(np.asfortranarray(moved.astype(np.uint8)))
            entry = {"image_id": image, "category_id": category, "segmentation": rle}
            found.append({**entry, "score": float(rng.random())})
            if number < len(masks):
                numbers = {"id": len(content["annotations"]) + 1, "area": float(mask_api.area(rle)), "iscrowd": 0}
                content["annotations"].append({**entry, **numbers})
    coco = COCO()
    coco.dataset = content
    with redirect_stdout(StringIO()):  # pycocotools prints
        coco.createIndex()
    return coco, found


def _mask_ap(setting: Setting) -> dict[str, Callable[[], Any]]:
    evaluator = fast_evaluator()
    if evaluator is None:
        raise Missing("hotcoco is not installed")
    truth, found = detections(setting)
    ids = {"image_ids": list(truth.imgs), "category_ids": list(truth.cats)}
    return {
        "ours": lambda: summary(precision_at_recalls(truth, found, **ids, evaluator=evaluator)),
        "theirs": lambda: summary(precision_at_recalls(truth, found, **ids, evaluator=None)),
    }


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Missing(f"not installed ({error})") from error


def _torchmetrics(images: Sequence[Pair]) -> Callable[[], Any]:
    """Panoptic quality by torchmetrics, whose maps have a class and a number for each pixel."""
    detection = _module("torchmetrics.detection")
    things = {k for k in range(len(SPACE)) if SPACE.is_thing[k]}
    metric = detection.PanopticQuality(things, set(range(len(SPACE))) - things, allow_unknown_preds_category=True)
    void = len(SPACE)

    def as_map(ids: Tensor, labels: Tensor) -> Tensor:
        labels_and_void = torch.cat([labels, labels.new_tensor([void])])
        return torch.stack([labels_and_void[ids.long()], ids.long() + 1], dim=-1)[None]

    maps = [(as_map(p.answer, p.answer_labels), as_map(p.truth, p.truth_labels)) for p in images]

    def run() -> Tensor:
        metric.reset()
        for answer, truth in maps:
            metric.update(answer, truth)
        return metric.compute()

    return run


def vernier_inputs(images: Sequence[Pair]) -> Any:
    """The module vernier; (maps, segments as JSON) of the truth and of the answers; the categories as JSON."""
    core = _module("vernier._core")
    categories = [
        {"id": k + 1, "name": name, "isthing": int(SPACE.is_thing[k])} for k, name in enumerate(SPACE.classes)
    ]
    sides = []
    for ids_of, labels_of in ((0, 1), (2, 3)):
        maps, segments = {}, {}
        for number, pair in enumerate(images, 1):
            ids, labels = pair[ids_of], pair[labels_of]
            maps[number] = (ids + 1).numpy().astype(np.uint32)
            areas = torch.bincount((ids + 1).flatten().long(), minlength=len(labels) + 1)[1:].tolist()
            segments[number] = [
                {"id": n, "category_id": label + 1, "iscrowd": 0, "area": area, "bbox": [0, 0, 1, 1]}
                for n, (label, area) in enumerate(zip(labels.tolist(), areas, strict=True), 1)
                if area or ids_of == 0  # a true segment without a pixel is missed
            ]
        sides.append((maps, json.dumps(segments).encode()))
    return core, sides, json.dumps(categories).encode()


def _vernier(images: Sequence[Pair]) -> Callable[[], Any]:
    core, (truth, answer), categories = vernier_inputs(images)

    def run() -> Any:
        dataset = core.PanopticDataset.from_arrays(*truth, categories)
        predictions = core.PanopticPredictions.from_arrays(*answer)
        return core.evaluate_panoptic(dataset, predictions, "strict", num_threads=1)

    try:
        run()
    except (TypeError, ValueError) as error:
        raise Missing(f"it does not take these arrays ({error})") from error
    return run


def counts_differ(images: Sequence[Pair]) -> list[str]:
    """The classes for which vernier's counts differ from ours; empty if all agree."""
    summary = _vernier(images)()
    found = []
    counts = our_counts(images)
    for number, stats in summary.per_class().items():
        ours = [int(counts[number - 1, column]) for column in (TP, FP, FN)]
        theirs = [stats.n_tp, stats.n_fp, stats.n_fn]
        if ours != theirs:
            found.append(f"{SPACE.classes[number - 1]}: TP, FP, FN {ours}, vernier {theirs}")
    return found
