"""Supervision by masks: regions of an id map, or bitmaps that may overlap.

Letters: L decoder outputs, Q queries, N targets of an image, R matched rows of all outputs together, P points, (H, W)
the grid of the mask logits; in annotations (H, W) is the image in pixels.
"""

from dataclasses import dataclass

import torch
from mmdet.structures import DetDataSample
from torch import Tensor

from mmdataseg.errors import UserError
from mmdataseg.models.targets.base import Annotation, Targets, common_annotation, float32
from mmdataseg.models.targets.image_masks import ImageMasks
from mmdataseg.ops.id_map import VOID, known_at, sample_bitmaps, sample_id_map
from mmdataseg.ops.point_losses import (
    point_bce_cost,
    point_bce_loss,
    point_dice_cost,
    point_dice_loss,
    point_focal_cost,
    point_focal_loss,
)
from mmdataseg.ops.points import cell_points, random_points, sample_maps, uncertain_points
from mmdataseg.registry import MODELS
from mmdataseg.sources import Source

TERMS = {
    "focal": (point_focal_cost, point_focal_loss),
    "bce": (point_bce_cost, point_bce_loss),
    "dice": (point_dice_cost, point_dice_loss),
}
# Rows times points that cost and loss hold at a time. A CPU works several times faster on tensors that fit its caches;
# a GPU takes all rows at once, as each further step costs a launch.
VALUES_AT_A_TIME = {"cpu": 2**20}
# Pixels of bitmaps that are read at a time, in float32: those of all rows of an image would take gigabytes.
PIXELS_AT_A_TIME = 2**26


@dataclass(frozen=True)
class MaskAnnotation(Annotation):
    """Masks of one image, as regions or as bitmaps.

    Attributes:
        void_HW: (H, W) bool, where nothing is known.
        id_map_HW: (H, W) integer, the row of the target or -1; or None.
        masks_NHW: (N, H, W) bool; or None.
    """

    void_HW: Tensor
    id_map_HW: Tensor | None = None
    masks_NHW: Tensor | None = None

    def masks_at(self, targets_N: Tensor, points: Tensor) -> Tensor:
        """The given targets' masks at points, bilinear.

        Args:
            targets_N: (N,) int64 rows.
            points: (N, P, 2) own points for each target, or (P, 2) shared by all; (x, y) in [0, 1] of the image.

        Returns:
            (N, P) float32 in [0, 1].
        """
        if self.id_map_HW is not None:
            return sample_id_map(self.id_map_HW, targets_N, points)
        masks = max(1, PIXELS_AT_A_TIME // max(1, self.void_HW.numel()))
        points_NP2 = points.expand(len(targets_N), *points.shape[-2:])
        parts = zip(targets_N.split(masks), points_NP2.split(masks), strict=True)
        return torch.cat([sample_bitmaps(self.masks_NHW[targets], own) for targets, own in parts])

    def known_at(self, points: Tensor) -> Tensor:
        """(...) float32 weights of (..., 2) points: 0 on void, else 1."""
        return known_at(self.void_HW, points).float()


@MODELS.register_module()
class MaskTargets(Targets):
    """Focal and dice loss on points of the masks (Gu et al., 2023); points on void have weight 0.

    A term of weight 0 is left out. The paper gives no weights and no points; docs/method.md says what was compared.

    Args:
        focal_weight: Weight of the sigmoid focal loss.
        dice_weight: Weight of the dice loss.
        bce_weight: Weight of the binary cross-entropy, Mask2Former's in place of the focal loss (Cheng et al., 2022).
        num_points: P, points for each mask; None: the centres of all cells of the grid, as in MaskFormer's matching
            (its loss takes all pixels).
        oversample_ratio: Candidates for the loss's points, as a multiple of P; at least 1.
        importance_ratio: Share of the loss's points drawn where the mask is most uncertain, in 0 .. 1; the points of
            the cost are drawn uniformly, as in Mask2Former.

    Raises:
        UserError: A weight is below 0, or none is above 0; ``num_points`` is below 1; or a ratio is out of its range.
    """

    def __init__(
        self,
        *,
        focal_weight: float = 20.0,
        dice_weight: float = 5.0,
        bce_weight: float = 0.0,
        num_points: int | None = 12544,
        oversample_ratio: float = 3.0,
        importance_ratio: float = 0.75,
    ) -> None:
        super().__init__()
        weights = {"focal": focal_weight, "bce": bce_weight, "dice": dice_weight}
        if min(weights.values()) < 0 or not any(weights.values()):
            raise UserError(f"expected weights of mask losses of at least 0, one of them above 0, got {weights}")
        if num_points is not None and num_points < 1:
            raise UserError(f"num_points: expected at least 1, or None for all cells, got {num_points}; correct it")
        if oversample_ratio < 1:
            raise UserError(f"oversample_ratio: expected at least 1, got {oversample_ratio}; correct it")
        if not 0 <= importance_ratio <= 1:
            raise UserError(f"importance_ratio: expected a share in 0 .. 1, got {importance_ratio}; correct it")
        self.weights = {name: weight for name, weight in weights.items() if weight}
        self.num_points = num_points
        self.oversample_ratio = oversample_ratio
        self.importance_ratio = importance_ratio

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Those of ``loss_focal``, ``loss_bce`` and ``loss_dice`` whose weight is above 0."""
        return tuple(f"loss_{name}" for name in self.weights)

    def read(self, sample: DetDataSample, source: Source) -> MaskAnnotation:
        """The masks that `PackInputs` wrote.

        Raises:
            UserError: The sample has no masks, or they do not have the image's size.
        """
        common = common_annotation(sample, source)
        annotated = sample.gt_instances
        if "gt_id_map" in sample:
            id_map_HW = sample.gt_id_map.data[0]
            _check_size(id_map_HW, sample, source)
            return MaskAnnotation(common.labels_N, common.size, id_map_HW == VOID, id_map_HW=id_map_HW)
        if "masks" in annotated:
            _check_size(annotated.masks, sample, source)
            return MaskAnnotation(common.labels_N, common.size, sample.gt_void.data[0], masks_NHW=annotated.masks)
        raise UserError(
            f"expected masks (gt_id_map, or masks in gt_instances) of {sample.img_path}, got neither",
            source=source.name,
            remedy="load them, or set supervision='boxes'",
        )

    def cost(self, masks: ImageMasks, annotation: MaskAnnotation) -> Tensor:
        """(L, Q, N) weighted terms on points that all candidates and targets share."""
        device = masks.features_CHW.device
        if self.num_points is None:
            points_P2 = cell_points(tuple(masks.features_CHW.shape[-2:]), masks.extent_2, masks.stride)
        else:
            points_P2 = random_points(1, self.num_points, device)[0]
        logits_LQP = masks.candidates_at(points_P2)
        masks_NP = annotation.masks_at(torch.arange(len(annotation.labels_N), device=device), points_P2)
        known_P = annotation.known_at(points_P2)
        outputs = _rows_at_a_time(len(logits_LQP), logits_LQP[0].numel(), device)
        with float32(logits_LQP):
            parts = [self._cost_of_some(part, masks_NP, known_P) for part in logits_LQP.split(outputs)]
        return torch.cat(parts)

    def _cost_of_some(self, logits_LQP: Tensor, masks_NP: Tensor, known_P: Tensor) -> Tensor:
        return sum(weight * TERMS[name][0](logits_LQP, masks_NP, known_P) for name, weight in self.weights.items())

    def loss(self, mask_logits_RHW: Tensor, targets_R: Tensor, masks: ImageMasks, annotation: MaskAnnotation) -> Tensor:
        """(T,) weighted terms, each row on its own points."""
        num_points = self.num_points or mask_logits_RHW[0].numel()
        rows = _rows_at_a_time(len(mask_logits_RHW), num_points, mask_logits_RHW.device)
        parts = zip(mask_logits_RHW.split(rows), targets_R.split(rows), strict=True)
        return sum(self._loss_of_some(logits, targets, masks, annotation) for logits, targets in parts)

    def _loss_of_some(
        self, mask_logits_RHW: Tensor, targets_R: Tensor, masks: ImageMasks, annotation: MaskAnnotation
    ) -> Tensor:
        with torch.no_grad():
            points = self._loss_points(mask_logits_RHW, masks)
            masks_RP = annotation.masks_at(targets_R, points)
            known_RP = annotation.known_at(points).expand_as(masks_RP)
        points_RP2 = points.expand(len(mask_logits_RHW), -1, -1)
        logits_RP = sample_maps(mask_logits_RHW, points_RP2, masks.extent_2)
        terms = [weight * TERMS[name][1](logits_RP, masks_RP, known_RP).sum() for name, weight in self.weights.items()]
        return torch.stack(terms)

    def _loss_points(self, mask_logits_RHW: Tensor, masks: ImageMasks) -> Tensor:
        """(R, P, 2) points drawn for each row, or (P, 2) cells for all."""
        if self.num_points is None:
            return cell_points(tuple(mask_logits_RHW.shape[-2:]), masks.extent_2, masks.stride)
        return uncertain_points(
            mask_logits_RHW,
            num_points=self.num_points,
            oversample_ratio=self.oversample_ratio,
            importance_ratio=self.importance_ratio,
            extent_2=masks.extent_2,
        )


def _rows_at_a_time(num_rows: int, values_per_row: int, device: torch.device) -> int:
    values = VALUES_AT_A_TIME.get(device.type)
    return num_rows if values is None else max(1, values // values_per_row)


def _check_size(map_HW: Tensor, sample: DetDataSample, source: Source) -> None:
    if tuple(map_HW.shape[-2:]) != tuple(sample.img_shape[:2]):
        raise UserError(
            f"the annotation of {sample.get('img_path', '?')} is {tuple(map_HW.shape[-2:])} pixels, its image "
            f"{tuple(sample.img_shape[:2])}",
            source=source.name,
            remedy="for training load annotations before the image is resized, and set pad_mask=False and "
            "pad_seg=False in the data_preprocessor",
        )
