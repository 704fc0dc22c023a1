"""The transform that ends every pipeline of ours: it makes tensors and a data sample."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData

from mmdataseg.datasets.transforms.boxes import large_enough
from mmdataseg.errors import UserError
from mmdataseg.ops.id_map import VOID
from mmdataseg.ops.run_lengths import map_of_runs, run_starts
from mmdataseg.registry import TRANSFORMS

META_KEYS = (
    "source",
    "sample_idx",
    "img_path",
    "img_id",
    "ori_shape",
    "img_shape",
    "scale_factor",
    "flip",
    "flip_direction",
)


@TRANSFORMS.register_module()
class PackInputs(BaseTransform):
    """Pack image and targets, and drop the targets of which nothing is left.

    The fields of the data sample depend on what was loaded. N is the number of rows. H, W is the size of the id map: of
    the augmented image in training, of the original image if annotations are loaded after resizing.

    - id map: ``gt_id_map`` `PixelData` (data (1, H, W) int32, -1 = void) and ``gt_instances`` (labels (N,) int64);
      row i describes id i.
    - boxes: ``gt_instances`` (labels, bboxes (N, 4) float32 xyxy pixels).
    - bitmaps: ``gt_instances`` (labels, bboxes, masks (N, H, W) bool) and ``gt_void`` `PixelData` (data (1, H, W)
      bool).
    - loaded for scoring: also ``gt_instances.is_crowd`` (N,) bool; the rows include crowd regions, which are dropped
      otherwise.

    The annotations of another kind of supervision are added by a transform after this one. It adds fields to
    ``data_samples.gt_instances``, whose rows are those that were kept.

    Its metainfo has source, sample_idx, img_path, img_id, ori_shape, img_shape, scale_factor, flip and flip_direction.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack a sample.

        Returns:
            ``inputs``: (3, H, W) uint8 tensor; ``data_samples``: `DetDataSample`.

        Raises:
            UserError: The image has no axis of channels, or integers above 255; or the id map has a value that is not a
                row, because a transform filled it with a value of its own.
        """
        sample = DetDataSample()
        if "gt_bboxes" in results:
            self._pack_instances(sample, results)
        elif "gt_seg_map" in results:
            self._pack_id_map(sample, results)
        sample.set_metainfo(_metainfo(results))
        return {"inputs": _image_tensor(results["img"], results), "data_samples": sample}

    @staticmethod
    def _pack_id_map(sample: DetDataSample, results: dict[str, Any]) -> None:
        id_map, labels = np.ascontiguousarray(results["gt_seg_map"], np.int32), results["gt_segment_labels"]
        starts = run_starts(id_map)
        rows = id_map.ravel()[starts]
        _check_rows(rows, len(labels), results)
        keep = np.bincount(rows + 1, minlength=len(labels) + 1)[1:] > 0
        if not keep.all():
            new_row = np.full(len(labels) + 1, VOID, np.int32)  # index -1 reads the last entry, so void stays void
            new_row[:-1][keep] = np.arange(keep.sum(), dtype=np.int32)
            id_map = map_of_runs(new_row[rows], starts, id_map.shape)
        sample.gt_id_map = PixelData(data=torch.from_numpy(id_map)[None])
        sample.gt_instances = InstanceData(labels=torch.from_numpy(labels[keep]))
        if "gt_segment_is_crowd" in results:
            sample.gt_instances.is_crowd = torch.from_numpy(results["gt_segment_is_crowd"][keep])

    @staticmethod
    def _pack_instances(sample: DetDataSample, results: dict[str, Any]) -> None:
        boxes = results["gt_bboxes"].tensor.numpy()
        masks = results["gt_masks"].masks if results.get("gt_masks") is not None else None
        keep = large_enough(boxes) if masks is None else masks.any(axis=(1, 2))
        scoring = "gt_segment_is_crowd" in results
        if scoring:
            keep[:] = True  # score all that is annotated
        elif "gt_ignore_flags" in results:
            keep &= ~results["gt_ignore_flags"]
        fields = {
            "labels": torch.from_numpy(results["gt_bboxes_labels"][keep].astype(np.int64)),
            "bboxes": torch.from_numpy(boxes[keep].astype(np.float32)),
        }
        if masks is not None:
            # a transform that pads or rotates may fill with a value of its own, such as 255
            fields["masks"] = torch.from_numpy(masks[keep].astype(bool))
            sample.gt_void = PixelData(data=torch.from_numpy(results["gt_seg_map"] != 0)[None])
        if scoring:
            fields["is_crowd"] = torch.from_numpy(results["gt_segment_is_crowd"][keep])
        sample.gt_instances = InstanceData(**fields)


def _check_rows(rows: np.ndarray, num_rows: int, results: dict[str, Any]) -> None:
    wrong = rows[(rows < VOID) | (rows >= num_rows)]
    if wrong.size:
        raise UserError(
            f"the id map has the value {int(wrong[0])}, but the image has {num_rows} segments: a transform filled it "
            f"with a value that is not {VOID} (void)",
            source=results.get("source"),
            file=results.get("img_path"),
            remedy=f"set the fill value of the transform to {VOID}: pad_val=dict(img=0, seg={VOID}) for Pad, "
            f"seg_ignore_label={VOID} for mmdet's Rotate, Shear and Translate, seg_pad_val={VOID} for mmseg's",
        )


def _image_tensor(image: np.ndarray, results: dict[str, Any]) -> torch.Tensor:
    """Convert (H, W, C) in 0 .. 255 of any number type to (C, H, W) uint8, contiguous."""
    too_large = image.dtype.kind in "iu" and image.dtype != np.uint8 and image.size and int(image.max()) > 255
    if image.ndim != 3 or too_large:
        raise UserError(
            f"expected an image (height, width, channels) of 8 bits, got shape {image.shape} of type {image.dtype}",
            source=results.get("source"),
            file=results.get("img_path"),
            remedy="load it with color_type='color', which gives three channels of 8 bits",
        )
    if image.dtype != np.uint8:  # mmdet's PhotoMetricDistortion leaves floats
        image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def _metainfo(results: dict[str, Any]) -> dict[str, Any]:
    """Return the known keys of `META_KEYS`; a transform that did not run gives the neutral value."""
    neutral = {
        "img_id": Path(results["img_path"]).stem if "img_path" in results else None,
        "scale_factor": (1.0, 1.0),
        "flip": False,
        "flip_direction": None,
    }
    return {key: results.get(key, neutral.get(key)) for key in META_KEYS if key in results or key in neutral}
