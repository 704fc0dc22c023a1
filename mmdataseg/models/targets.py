"""What an image is trained towards, whatever its annotation.

Letters: N targets of the image, P points, (H, W) the image in pixels.
"""

from dataclasses import dataclass

import torch
from mmdet.structures import DetDataSample
from torch import Tensor

from mmdataseg.ops.id_map import VOID, known_at, sample_bitmaps, sample_id_map
from mmdataseg.sources import Source
from mmdataseg.structures import Supervision


@dataclass(frozen=True)
class ImageTargets:
    """Targets of one image: regions in an id map, bitmaps that may overlap, or boxes.

    Attributes:
        labels_N: (N,) int64 classes of the source.
        mergeable_N: (N,) bool, whether further proposals may join the target (MERGE).
        size: (H, W) of the image in pixels, without padding.
        void_HW: (H, W) bool, where nothing is known; None for boxes.
        id_map_HW: (H, W) integer, the row of the target or -1; or None.
        masks_NHW: (N, H, W) bool; or None.
        boxes_N4: (N, 4) xyxy pixels, where boxes are all there is; or None.
    """

    labels_N: Tensor
    mergeable_N: Tensor
    size: tuple[int, int]
    void_HW: Tensor | None = None
    id_map_HW: Tensor | None = None
    masks_NHW: Tensor | None = None
    boxes_N4: Tensor | None = None

    @classmethod
    def from_sample(cls, sample: DetDataSample, source: Source) -> "ImageTargets":
        """Read the fields that `PackInputs` writes.

        Raises:
            ValueError: The sample lacks what the source's supervision needs, or its map is not of the image's size.
        """
        if "gt_instances" not in sample:
            raise ValueError(
                f"source '{source.name}': {sample.get('img_path', '?')} has no gt_instances; end its pipeline with "
                "mmdataseg.PackInputs"
            )
        annotated = sample.gt_instances
        labels_N = annotated.labels
        mergeable_K = torch.tensor(source.label_space.mergeable(source.task), device=labels_N.device)
        common = {"labels_N": labels_N, "mergeable_N": mergeable_K[labels_N], "size": tuple(sample.img_shape[:2])}
        if source.supervision is Supervision.BOXES:
            if "bboxes" not in annotated:
                raise ValueError(
                    f"source '{source.name}': expected boxes in gt_instances of {sample.img_path}, got none; "
                    "use mmdataseg.LoadInstances"
                )
            return cls(**common, boxes_N4=annotated.bboxes)
        if "gt_id_map" in sample:
            id_map_HW = sample.gt_id_map.data[0]
            _check_size(id_map_HW, sample, source)
            return cls(**common, id_map_HW=id_map_HW, void_HW=id_map_HW == VOID)
        if "masks" in annotated:
            _check_size(annotated.masks, sample, source)
            return cls(**common, masks_NHW=annotated.masks, void_HW=sample.gt_void.data[0])
        raise ValueError(
            f"source '{source.name}': expected masks (gt_id_map, or masks in gt_instances) of {sample.img_path}, "
            "got neither; load them, or set supervision='boxes'"
        )

    def masks_at(self, targets_M: Tensor, points: Tensor) -> Tensor:
        """The given targets' masks at points, bilinear.

        Args:
            targets_M: (M,) int64 rows.
            points: (M, P, 2) for each its own or (P, 2) for all, (x, y) in [0, 1] of the image.

        Returns:
            (M, P) float32 in [0, 1].
        """
        if self.id_map_HW is not None:
            return sample_id_map(self.id_map_HW, targets_M, points)
        return sample_bitmaps(self.masks_NHW[targets_M], points)

    def known_at(self, points: Tensor) -> Tensor:
        """(...) float32 weights of (..., 2) points: 0 on void, else 1."""
        return known_at(self.void_HW, points).float()


def _check_size(map_HW: Tensor, sample: DetDataSample, source: Source) -> None:
    if tuple(map_HW.shape[-2:]) != tuple(sample.img_shape[:2]):
        raise ValueError(
            f"source '{source.name}': the annotation of {sample.get('img_path', '?')} is {tuple(map_HW.shape[-2:])} "
            f"pixels, its image {tuple(sample.img_shape[:2])}; for training load annotations before the image is "
            "resized, and set pad_mask=False and pad_seg=False in the data_preprocessor"
        )
