"""Average precision of masks or boxes against a COCO annotation file."""

import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.evaluation import CocoMetric
from mmengine.logging import print_log
from pycocotools import mask as mask_api
from pycocotools.coco import COCO

from mmdataseg.errors import UserError
from mmdataseg.evaluation.average_precision import by_category, fast_evaluator, precision_at_recalls, summary
from mmdataseg.evaluation.ground_truth import classes_of, describe
from mmdataseg.evaluation.source_checks import check_task
from mmdataseg.formats.coco_values import id_key
from mmdataseg.formats.image_list import listed_images
from mmdataseg.formats.mask_annotations import read_box_annotations, read_mask_annotations
from mmdataseg.formats.paths import require_file, resolve
from mmdataseg.registry import METRICS
from mmdataseg.sources import Source

_NAMES = ("AP", "AP50", "AP75", "AP_s", "AP_m", "AP_l")


@METRICS.register_module()
class InstanceMetric(CocoMetric):
    """mmdet's ``CocoMetric`` for masks or boxes, with labels matched by class name.

    It differs from mmdet in four points. A label is matched to a category by class name; mmdet uses the order of the
    file, which silently gives wrong categories if the label space has another order or more classes. Only the tested
    images are scored. Without any detection, AP is 0 and not a missing number. Values are in percent.

    Reports ``mask_AP``, ``mask_AP50``, ``mask_AP75``, ``mask_AP_s``, ``mask_AP_m``, ``mask_AP_l``. A value is nan if
    the annotation file has no object for it. They are computed by hotcoco if it is installed, otherwise by pycocotools;
    the numbers are the same. With ``boxes``, the names are ``box_AP`` and so on.

    Args:
        ann_file: COCO annotations with masks, or boxes, of at least the tested images. A missing ``iscrowd`` is 0, and
            a missing ``area`` is that of the mask or box.
        boxes: Score the boxes of the predicted masks against the annotated boxes, for annotations without masks.
        classes: Score only these classes, e.g. those whose training data have only boxes. None: all in the file.
        classwise: Also report ``mask_AP/<class>`` or ``box_AP/<class>``.
        fill_boxes: Score the same detections again with every mask replaced by its filled bounding box. The results are
            ``mask_AP_filled_boxes``, ``mask_AP50_filled_boxes`` and ``mask_AP75_filled_boxes``, the baseline of masks
            that are learned from boxes.
        prefix: Prefix of the names of the metrics.

    Raises:
        MissingFileError: There is no such annotation file.
        UserError: The file is not a COCO annotation file, or has no masks, or no boxes; or boxes are scored and shall
            be filled.
    """

    default_prefix = ""

    def __init__(
        self,
        *,
        ann_file: str,
        boxes: bool = False,
        classes: Sequence[str] | None = None,
        classwise: bool = False,
        fill_boxes: bool = False,
        prefix: str | None = None,
    ) -> None:
        if boxes and fill_boxes:
            raise UserError("InstanceMetric: fill_boxes scores masks, but boxes=True", remedy="leave one of them out")
        super().__init__(metric="bbox" if boxes else "segm", classwise=classwise, prefix=prefix)
        remedy = "set ann_file in the metrics of the source"
        path = require_file(Path(ann_file), "InstanceMetric: annotation file", remedy=remedy)
        self.ann_file = ann_file
        self._coco_api = _index(renumbered((read_box_annotations if boxes else read_mask_annotations)(path)))
        self.boxes = boxes
        self.classes = None if classes is None else tuple(name.strip() for name in classes)
        self.fill_boxes = fill_boxes

    def check_source(self, source: Source) -> None:
        """Compare the annotation file with the source, at the start of a training.

        Raises:
            UserError: The source's task is semantic; the file has objects of a class that the label space flags as
                stuff; or it does not list the images of the test dataset, or lists them under other names.
        """
        # panoptic models of mmdet may predict instances, too
        check_task(source, "instance", "panoptic", metric=self)
        self._refuse_stuff(source)
        config = source.test or {}
        path = resolve(config.get("data_root") or "", config.get("ann_file") or "")
        if path.suffix == ".json" and path.is_file() and not path.samefile(self.ann_file):
            options = {
                key: config[key] for key in ("path_parts", "leave_out", "indices") if config.get(key) is not None
            }
            self._compare_images(source.name, path, listed_images(path, **options))

    def _refuse_stuff(self, source: Source) -> None:
        name_of = {number: category["name"] for number, category in self._coco_api.cats.items()}
        used = {name_of[annotation["category_id"]] for annotation in self._coco_api.anns.values()}
        stuff = sorted(used & set(self.classes or used) & set(source.label_space.stuff_classes))
        if stuff:
            raise UserError(
                f"has annotations of {stuff[0]!r}, which label space '{source.label_space.name}' flags as stuff "
                f"({len(stuff)} such classes): the instance task predicts things only, so their AP would be 0",
                source=source.name,
                file=self.ann_file,
                remedy="correct is_thing of the label space, or list only things in classes of the metric",
            )

    def _compare_images(self, source: str, path: Path, tested: Mapping[Any, str]) -> None:
        images = self._coco_api.imgs
        missing = [image for image in tested if image not in images]
        if missing:
            what = f"does not list {len(missing)} of the {len(tested)} tested images, e.g. image id {missing[0]!r}"
        else:
            names = {image: str(images[image].get("file_name") or "").replace("\\", "/") for image in tested}
            other = [i for i, name in tested.items() if name and names[i] and not _is_one_file(name, names[i])]
            if not other:
                return
            what = f"image {other[0]!r} is '{names[other[0]]}', but the test dataset has '{tested[other[0]]}'"
        raise UserError(
            what,
            source=source,
            file=self.ann_file,
            remedy=f"set ann_file of the metric to annotations of the images that '{path}' lists",
        )

    @property
    def dataset_meta(self) -> dict | None:
        """Metainfo of the source. Setting it compares the classes with those of the file, before anything is tested.

        Raises:
            UserError: The file has none of the classes to score, or has annotations of a class that is not in the label
                space.
        """
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        self._dataset_meta = dataset_meta
        self._labels, self._category_ids = self._categories()

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Store the detections of some images, with run-length encoded masks or only boxes.

        Each sample has ``pred_instances`` (labels, scores, bboxes, masks) and ``img_id``.

        Raises:
            UserError: A sample has no masks, or no boxes; or the annotation file does not list its image, or lists it
                with another size.
        """
        for sample in data_samples:
            wanted = "bboxes" if self.boxes else "masks"
            if wanted not in sample.get("pred_instances", {}):
                raise UserError(
                    f"{describe(sample)}: no {wanted} in 'pred_instances'",
                    remedy="average precision needs a source whose task is 'instance'",
                )
            image = self._coco_api.imgs.get(id_key(sample["img_id"]))
            if image is None:
                raise UserError(
                    f"{describe(sample)}: image id {sample['img_id']!r} is not in '{self.ann_file}'",
                    remedy="the metric and the test dataset must read the same annotations",
                )
            size = image.get("height"), image.get("width")
            if None not in size and size != tuple(sample["ori_shape"][:2]):  # pycocotools would score 0
                height, width = sample["ori_shape"][:2]
                raise UserError(
                    f"{describe(sample)}: the image has {height} x {width} pixels (height x width), but "
                    f"'{self.ann_file}' has {size[0]} x {size[1]}",
                    remedy="use annotations for images of this size (if an EXIF tag rotates the image, load it with "
                    "color_type='color_ignore_orientation')",
                )
        super().process(data_batch, [self._to_keep(sample) for sample in data_samples])

    def _to_keep(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        found = sample["pred_instances"]
        if self.boxes:  # not the masks, which take long to encode
            found = {key: value for key, value in found.items() if key != "masks"}
        return {**sample, "img_id": id_key(sample["img_id"]), "pred_instances": found}

    def compute_metrics(self, results: Sequence[tuple[dict, dict]]) -> dict[str, float]:
        """Return the average precision over all images: name -> percent.

        Raises:
            UserError: The metric does not know its classes.
        """
        position = np.full(len(classes_of(self.dataset_meta)), -1)
        position[self._labels] = np.arange(len(self._labels))
        results = [(gt, _select(pred, position)) for gt, pred in results]
        metrics = self._average_precision(results)
        if self.fill_boxes:
            filled = self._average_precision([(gt, _filled(pred)) for gt, pred in results])
            # not by size: a filled box is larger than its mask and would count in another size group
            metrics |= {f"{name}_filled_boxes": filled[name] for name in ("mask_AP", "mask_AP50", "mask_AP75")}
        return metrics

    def _average_precision(self, results: Sequence[tuple[dict, dict]]) -> dict[str, float]:
        if not any(len(pred["labels"]) for _, pred in results):
            results = [(results[0][0], _hit_nothing(results[0])), *results[1:]]
        key = "bbox" if self.boxes else "segmentation"
        detections = [
            {"image_id": pred["img_id"], "category_id": self._category_ids[label], "score": float(score), key: shape}
            for _, pred in results
            for label, score, shape in zip(pred["labels"], pred["scores"], _shapes(pred, boxes=self.boxes), strict=True)
        ]
        precision = precision_at_recalls(
            self._coco_api,
            detections,
            image_ids=[gt["img_id"] for gt, _ in results],
            category_ids=self._category_ids,
            evaluator=fast_evaluator(),
            boxes=self.boxes,
        )
        kind = "box" if self.boxes else "mask"
        metrics = {f"{kind}_{name}": _percent(value) for name, value in zip(_NAMES, summary(precision), strict=True)}
        if self.classwise:
            names = [classes_of(self.dataset_meta)[label] for label in self._labels]
            of_category = dict(zip(sorted(self._category_ids), by_category(precision), strict=True))
            pairs = zip(names, self._category_ids, strict=True)
            metrics |= {f"{kind}_AP/{name}": _percent(of_category[category]) for name, category in pairs}
        return metrics

    def _categories(self) -> tuple[list[int], list[int]]:
        """Return the labels to score, and their category ids."""
        names = classes_of(self.dataset_meta)
        category = {c["name"]: c["id"] for c in self._coco_api.dataset["categories"]}
        used = {ann["category_id"] for ann in self._coco_api.dataset.get("annotations", ())}
        outside = sorted(name for name, number in category.items() if number in used and name not in names)
        if outside:
            raise UserError(
                f"has annotations of class {outside[0]!r}, which is not in the label space "
                f"({len(outside)} such classes)",
                source=self._source(),
                file=self.ann_file,
                remedy="use the label space of these annotations",
            )
        wanted = self.classes or names
        unknown = [name for name in wanted if name not in names]
        if unknown:
            raise UserError(
                f"InstanceMetric cannot score class {unknown[0]!r}, which is not in the label space",
                source=self._source(),
                remedy="correct classes of the metric",
            )
        found = [name for name in wanted if name in category]
        if not found:
            raise UserError(
                f"has none of the {len(wanted)} classes to score ({wanted[0]!r} ...), but has "
                f"{sorted(category)[:5]} ...",
                source=self._source(),
                file=self.ann_file,
                remedy="use the label space of these annotations",
            )
        if len(found) < len(wanted):
            missing = [name for name in wanted if name not in category]
            print_log(
                f"source {self._source()!r}: {len(missing)} of {len(wanted)} classes are not in {self.ann_file}; "
                f"their detections are not scored: {missing[:5]}",
                logger="current",
            )
        return [names.index(name) for name in found], [category[name] for name in found]

    def _source(self) -> str:
        return self.dataset_meta.get("source", "?")


def _percent(value: float) -> float:
    """Return a value in percent with the three digits that mmdet has; nan where there is no object."""
    return float("nan") if value < 0 else round(100 * round(float(value), 3), 2)


def _is_one_file(name: str, other: str) -> bool:
    """Whether two paths, which may start in different folders, end with the same name."""
    own, theirs = (unicodedata.normalize("NFC", path).rpartition("/")[2] for path in (name, other))
    return own == theirs


def renumbered(content: Mapping[str, Any]) -> dict[str, Any]:
    """Number the annotations from 1 on, and merge categories with the same name.

    pycocotools reads annotation id 0 as "no match", treats annotations with the same id as one, and treats categories
    with the same name as different.
    """
    first: dict[str, int] = {}
    for category in content["categories"]:
        first.setdefault(category["name"], category["id"])
    joined = {category["id"]: first[category["name"]] for category in content["categories"]}
    annotations = [
        dict(annotation, id=number, category_id=joined[annotation["category_id"]])
        for number, annotation in enumerate(content["annotations"], start=1)
    ]
    categories = [category for category in content["categories"] if first[category["name"]] == category["id"]]
    return dict(content, annotations=annotations, categories=categories)


def _index(content: dict[str, Any]) -> COCO:
    """Return pycocotools' index of the content of an annotation file."""
    coco = COCO()
    coco.dataset = content
    with redirect_stdout(StringIO()):  # pycocotools prints
        coco.createIndex()
    return coco


def _select(pred: Mapping[str, Any], position: np.ndarray) -> dict[str, Any]:
    """Return the detections of the scored classes, with labels as positions among these classes."""
    places = position[pred["labels"]]
    keep = places >= 0
    selected = dict(
        img_id=pred["img_id"], labels=places[keep], scores=pred["scores"][keep], bboxes=pred["bboxes"][keep]
    )
    if "masks" in pred:
        selected["masks"] = [mask for mask, kept in zip(pred["masks"], keep, strict=True) if kept]
    return selected


def _shapes(pred: Mapping[str, Any], *, boxes: bool) -> Sequence[Any]:
    """Return what pycocotools compares: boxes as x, y, width and height, or masks as they are."""
    if not boxes:
        return pred["masks"]
    corners = np.asarray(pred["bboxes"], float)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).tolist()


def _filled(pred: Mapping[str, Any]) -> dict[str, Any]:
    """Return the detections with each mask replaced by its filled bounding box. An empty mask stays empty."""
    masks = []
    for mask in pred["masks"]:
        box = mask_api.toBbox(mask)
        height, width = mask["size"]
        masks.append(mask_api.frPyObjects(box[None], height, width)[0] if box[2:].all() else mask)
    return dict(pred, masks=masks)


def _hit_nothing(result: tuple[dict, dict]) -> dict[str, Any]:
    """Return a detection with an empty mask and box, which match nothing: pycocotools cannot load an empty list."""
    gt, pred = result
    empty = mask_api.encode(np.zeros((gt["height"], gt["width"]), dtype=np.uint8, order="F"))
    return dict(
        img_id=pred["img_id"], labels=np.zeros(1, int), scores=np.zeros(1), bboxes=np.zeros((1, 4)), masks=[empty]
    )
