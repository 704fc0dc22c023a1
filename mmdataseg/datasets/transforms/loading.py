"""Loading transforms: from files to image, id map and segment table, boxes, or bitmaps.

They read the data infos of this package's datasets. The keys are the same in mmdet's ``CocoPanopticDataset`` and
``CocoDataset`` and in mmseg's datasets, so these work, too.

Keys they write (H, W: the annotated image; N rows):
    ``gt_seg_map`` (H, W) int32: row of the segment table, -1 = void; listed in ``seg_fields``, so that mmcv's and
    mmdet's transforms move it. ``gt_segment_labels`` (N,) int64, and with ``scoring`` ``gt_segment_is_crowd`` (N,)
    bool. ``gt_bboxes`` `HorizontalBoxes` (N, 4) xyxy pixels, ``gt_bboxes_labels`` (N,) int64, ``gt_ignore_flags`` (N,)
    bool, and ``gt_masks`` `BitmapMasks`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine import fileio

from mmdataseg.errors import MissingFileError, UserError, naming
from mmdataseg.formats.coco_panoptic import rgb_to_id
from mmdataseg.formats.id_maps import Segments, label_table, segments_of_label_png, segments_of_panoptic_png
from mmdataseg.formats.masks import decode_mask
from mmdataseg.formats.png import decode_png
from mmdataseg.ops.id_map import VOID
from mmdataseg.registry import TRANSFORMS
from mmdataseg.structures import Task


class ImageReadError(UserError, OSError):
    """Raised for an image that cannot be read: the sample is bad, but the dataset may be fine. Wrong annotations raise
    a plain `UserError`. It takes the arguments of `UserError`."""


def place(results: Mapping[str, Any], path: str) -> dict[str, str | None]:
    """Return the place of an error for `UserError`: the file, and the source if the sample has one."""
    return {"source": results.get("source"), "file": path}


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's `LoadImageFromFile` with errors that name the file.

    An image is rotated by its EXIF orientation, as in image viewers and OpenCV; so is a label PNG with an EXIF
    orientation of its own. Annotations must therefore fit the image as viewers show it. If they were made on the pixels
    as stored, load the images with ``color_type='color_ignore_orientation'``.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read ``img_path``.

        Returns:
            The sample with ``img`` (H, W, 3) uint8 BGR, ``img_shape`` and ``ori_shape`` (H, W).

        Raises:
            MissingFileError: The file is missing.
            ImageReadError: The image cannot be decoded.
        """
        try:
            loaded = super().transform(results)
        except FileNotFoundError:
            raise MissingFileError(
                "this image does not exist",
                **place(results, results["img_path"]),
                remedy="complete the dataset, or remove the image from it",
            ) from None
        except Exception as error:  # the type depends on the backend
            why = " ".join(str(error).split())
            raise ImageReadError(
                f"cannot read this image ({type(error).__name__}: {why})",
                **place(results, results["img_path"]),
                remedy="replace the file, or remove it from the dataset",
            ) from error
        if loaded is None:
            raise ImageReadError(
                "cannot read this image", **place(results, results["img_path"]), remedy="replace the file"
            )
        return loaded


@TRANSFORMS.register_module()
class LoadSemanticMap(BaseTransform):
    """Read a label PNG as one segment per class, also for things: the targets of the semantic task.

    The dataset's ``label_table`` converts the values on disk to labels. For mmseg's datasets, ``reduce_zero_label`` and
    ``label_map`` do so.

    Args:
        scoring: Also write ``gt_segment_is_crowd`` (all False), for test pipelines.
    """

    def __init__(self, *, scoring: bool = False) -> None:
        self.scoring = scoring

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read ``seg_map_path``.

        Raises:
            UserError: The dataset has no label PNGs; the PNG cannot be decoded, differs in size from the image or holds
                a value without a class; or the source's task is not semantic.
        """
        _require_task(results, (Task.SEMANTIC,), self)
        path = _require(results, "seg_map_path", self, "SemanticSegDataset")
        image = _read_png(results, path)
        if image.ndim != 2:
            raise UserError(
                f"expected one channel of labels, got {image.shape[2]}; is this a coloured picture of the labels?",
                **place(results, path),
                remedy="give PNGs with one channel, where each value is the number of a class",
            )
        _check_size(results, path, image.shape[:2])
        table = results.get("label_table")
        if table is None:
            table = _mmseg_table(results, image)
        try:
            segments = segments_of_label_png(image, table)
        except ValueError as error:
            raise UserError(
                str(error),
                **place(results, path),
                remedy="correct zero_is_void, ignore_index or label_map of the dataset, or the file",
            ) from None
        return _write_segments(results, segments, self.scoring)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(scoring={self.scoring})"


@TRANSFORMS.register_module()
class LoadPanopticMap(BaseTransform):
    """Read a COCO panoptic PNG (id = R + 256 G + 256^2 B) with its ``segments_info``.

    The table has one row per thing segment and one per stuff class (panoptic task), or one row per class (semantic
    task). Crowd and unlabelled pixels are void.

    Args:
        scoring: Keep the rows as annotated, with crowd regions, and write ``gt_segment_is_crowd``; for test pipelines.
    """

    def __init__(self, *, scoring: bool = False) -> None:
        self.scoring = scoring

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read ``seg_map_path`` and ``segments_info``.

        A segment is crowd if its ``iscrowd`` is set. mmdet's dataset writes crowd differently: the class is a thing,
        but the segment's ``is_thing`` is False.

        Raises:
            UserError: The dataset has no panoptic annotations; the PNG cannot be decoded or differs in size from the
                image; PNG and JSON disagree on the ids; or the source's task is instance.
        """
        task = _require_task(results, (Task.PANOPTIC, Task.SEMANTIC), self)
        infos = _require(results, "segments_info", self, "PanopticSegDataset")
        path = _require(results, "seg_map_path", self, "PanopticSegDataset")
        image = _read_png(results, path, colours=True)
        if image.ndim != 3 or image.shape[2] < 3:
            raise UserError(
                f"expected an RGB PNG of segment ids, got shape {image.shape}",
                **place(results, path),
                remedy="set ann_dir to the folder of the id PNGs",
            )
        _check_size(results, path, image.shape[:2])
        labels = [info["category"] for info in infos]
        said_thing = [bool(info["is_thing"]) for info in infos]
        space = results.get("label_space")
        is_thing = said_thing if space is None else [label >= 0 and space.is_thing[label] for label in labels]
        is_crowd = [
            bool(info.get("iscrowd", thing and not said))
            for info, thing, said in zip(infos, is_thing, said_thing, strict=True)
        ]
        merge = "none" if self.scoring else ("all" if task is Task.SEMANTIC else "stuff")
        try:
            segments = segments_of_panoptic_png(
                rgb_to_id(image[..., :3]),
                ids=[info["id"] for info in infos],
                labels=labels,
                is_thing=is_thing,
                is_crowd=is_crowd,
                merge=merge,
            )
        except ValueError as error:
            raise UserError(
                str(error),
                **place(results, path),
                remedy="use ann_file and ann_dir of the same version and split",
            ) from None
        return _write_segments(results, segments, self.scoring)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(scoring={self.scoring})"


@TRANSFORMS.register_module()
class LoadInstances(BaseTransform):
    """Write the boxes of ``instances`` and, with ``with_masks``, their masks as bitmaps, which may overlap.

    With masks, ``gt_seg_map`` is -1 (void) where a crowd region and no instance is annotated, and 0 elsewhere. A box of
    width or height 0 becomes that of the mask. The bitmaps take N x H x W bytes at the size of the image on disk, until
    a later transform makes them smaller.

    Args:
        with_masks: Decode ``mask`` (polygons or RLE).
        scoring: Keep crowd regions as rows and write ``gt_segment_is_crowd``; for test pipelines.
    """

    def __init__(self, *, with_masks: bool = False, scoring: bool = False) -> None:
        self.with_masks = with_masks
        self.scoring = scoring

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read ``instances``.

        Raises:
            UserError: The dataset has no instances, or reads no masks; an instance has no mask, or its mask is not
                valid or has another size; the annotation is for an image of another size; or the source's task is not
                instance.
        """
        _require_task(results, (Task.INSTANCE,), self)
        instances = _require(results, "instances", self, "InstanceSegDataset")
        if "height" in results:
            _check_size(results, results["img_path"], (results["height"], results["width"]))
        crowd = np.array([bool(i["ignore_flag"]) for i in instances], bool)
        rows = np.arange(len(instances)) if self.scoring else np.flatnonzero(~crowd)
        if self.with_masks:
            self._load_masks(results, crowd, rows)
        boxes = np.array([instances[i]["bbox"] for i in rows], np.float32).reshape(-1, 4)
        flat = (boxes[:, 2:] <= boxes[:, :2]).any(axis=1)
        if self.with_masks and flat.any():
            boxes[flat] = results["gt_masks"][flat].get_bboxes("hbox").numpy()
        results["gt_bboxes"] = HorizontalBoxes(torch.from_numpy(boxes))
        results["gt_bboxes_labels"] = np.array([instances[i]["bbox_label"] for i in rows], np.int64)
        results["gt_ignore_flags"] = crowd[rows]
        if self.scoring:
            results["gt_segment_is_crowd"] = crowd[rows]
        return results

    def _load_masks(self, results: dict[str, Any], crowd: np.ndarray, rows: np.ndarray) -> None:
        """Decode the masks one by one, into the bitmaps of the rows and the two maps that tell where void is."""
        if results["instances"] and not any("mask" in instance for instance in results["instances"]):
            raise UserError(
                "LoadInstances(with_masks=True) needs masks, but the dataset reads only boxes",
                **place(results, results["img_path"]),
                remedy="set with_masks=True in the dataset, too, or train with boxes only (supervision='boxes', "
                "LoadInstances(with_masks=False))",
            )
        height, width = results["ori_shape"]
        bitmaps = np.zeros((len(rows), height, width), np.uint8)
        row_of = dict(zip(rows.tolist(), bitmaps, strict=True))
        in_crowd, in_target = np.zeros((2, height, width), np.uint8)
        for index, instance in enumerate(results["instances"]):
            mask = self._mask(results, index, instance, height, width)
            covered = in_crowd if crowd[index] else in_target
            covered |= mask
            if index in row_of:
                row_of[index][:] = mask
        void = (in_crowd > in_target).astype(bool)
        results["gt_seg_map"] = np.where(void, np.int32(VOID), np.int32(0))
        results["gt_masks"] = BitmapMasks(bitmaps[:0], height, width)
        results["gt_masks"].masks = bitmaps  # not in the constructor, in which mmdet 3.3.0 copies them
        _add_seg_field(results)

    @staticmethod
    def _mask(
        results: Mapping[str, Any], index: int, instance: Mapping[str, Any], height: int, width: int
    ) -> np.ndarray:
        try:
            return decode_mask(instance.get("mask"), height, width)
        except (ValueError, TypeError) as error:
            raise UserError(
                f"mask of instance {index}: {error}",
                **place(results, results["img_path"]),
                remedy="repair the annotation, or train with boxes only (supervision='boxes', with_masks=False)",
            ) from None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(with_masks={self.with_masks}, scoring={self.scoring})"


def _require_task(results: Mapping[str, Any], possible: tuple[Task, ...], transform: BaseTransform) -> Task:
    """Return the source's task or, if the sample has no source, the first possible one."""
    task = Task(results.get("task", possible[0]))
    if task not in possible:
        tasks = " or ".join(repr(t.value) for t in possible)
        raise UserError(
            f"{type(transform).__name__} makes targets for the task {tasks}, but the source's task is {task.value!r}",
            source=results.get("source", "?"),
            remedy="change the transform or the task",
        )
    return task


def _require(results: Mapping[str, Any], key: str, transform: BaseTransform, dataset: str) -> Any:
    """Return the annotation under a key, or raise a `UserError` if the dataset is of another kind and has none."""
    if results.get(key) is None:
        raise UserError(
            f"{type(transform).__name__} needs {key!r}, which the dataset does not give",
            **place(results, results["img_path"]),
            remedy=f"use a dataset such as {dataset}, or the transform for the annotations of this one",
        )
    return results[key]


def _read_png(results: Mapping[str, Any], path: str, *, colours: bool = False) -> np.ndarray:
    """Return the values as stored, (H, W) or (H, W, 3)."""
    with naming(source=results.get("source")):
        return decode_png(fileio.get(path), path=path, what="annotation", remedy="replace the file", colours=colours)


def _check_size(results: Mapping[str, Any], path: str, size: tuple[int, int]) -> None:
    """Compare the annotation's (H, W) with ``ori_shape``: test pipelines load the annotation after the image is
    resized."""
    expected = results.get("ori_shape")
    if expected is not None and tuple(size) != tuple(expected[:2]):
        raise UserError(
            f"the annotation has {size[0]} x {size[1]} pixels (height x width), but the image "
            f"'{results.get('img_path')}' has {expected[0]} x {expected[1]}",
            **place(results, path),
            remedy="use both from the same release (if an EXIF tag rotates the image, load it with "
            "color_type='color_ignore_orientation')",
        )


def _mmseg_table(results: Mapping[str, Any], image: np.ndarray) -> np.ndarray:
    """Return the look-up table for the keys of mmseg's datasets."""
    space = results.get("label_space")
    return label_table(
        256 if image.dtype == np.uint8 else max(256, int(image.max()) + 1),
        None if space is None else len(space),
        zero_is_void=bool(results.get("reduce_zero_label", False)),
        ignore_index=results.get("ignore_index", 255),
        label_map=results.get("label_map"),
    )


def _write_segments(results: dict[str, Any], segments: Segments, scoring: bool) -> dict[str, Any]:
    results["gt_seg_map"] = segments.id_map
    results["gt_segment_labels"] = segments.labels
    if scoring:
        results["gt_segment_is_crowd"] = segments.is_crowd
    _add_seg_field(results)
    return results


def _add_seg_field(results: dict[str, Any]) -> None:
    # A new list: a data info that is not serialised would share its list with the next epoch.
    results["seg_fields"] = [*(f for f in results.get("seg_fields", ()) if f != "gt_seg_map"), "gt_seg_map"]
