"""Supervision by masks: regions of an id map, or bitmaps that may overlap.

Letters: B images, L decoder outputs, Q queries, N targets of the image that has most, R matched rows of all outputs and
images together, S bitmaps of all images, P points, X any leading dimensions, (H, W) the grid of the mask logits; in
annotations (H, W) is the image in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from mmdet.structures import DetDataSample
from torch import Tensor

from mmdataseg.errors import UserError
from mmdataseg.models.targets.base import Annotation, Targets, common_annotation, float32, stacked
from mmdataseg.models.targets.proposal_masks import ProposalMasks
from mmdataseg.ops.id_map import VOID, known_at, masks_from_id_map, sample_id_maps, with_border
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
# Rows times points of cost and loss that are computed at a time. A CPU works several times faster on tensors that fit
# its caches; on a GPU each step costs launches, so this only bounds the memory.
VALUES_AT_A_TIME = {"cpu": 2**20, "gpu": 2**24}
# Pixels of bitmaps that are read at a time, in float32: those of all rows would take gigabytes.
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

    def bitmaps(self) -> Tensor:
        """(N, H, W) bool."""
        return masks_from_id_map(self.id_map_HW, len(self.labels_N)) if self.masks_NHW is None else self.masks_NHW


class TrueMasks:
    """The true masks of a batch, read at points.

    Args:
        annotations: Of the B images.
        sizes_B2: (B, 2) width and height of each image.
    """

    def __init__(self, annotations: Sequence[MaskAnnotation], sizes_B2: Tensor) -> None:
        self.sizes_B2 = sizes_B2
        self.void_BHW = stacked([annotation.void_HW for annotation in annotations], fill=True)
        self.id_maps_BHW = None
        if all(annotation.id_map_HW is not None for annotation in annotations):
            self.id_maps_BHW = with_border(stacked([annotation.id_map_HW for annotation in annotations], fill=VOID))
        else:
            bitmaps = [annotation.bitmaps() for annotation in annotations]
            firsts = accumulate(map(len, bitmaps[:-1]), initial=0)
            self.first_B = torch.stack([sizes_B2.new_full((), first, dtype=torch.int64) for first in firsts])
            self.bitmaps_SHW = _joined(bitmaps, tuple(self.void_BHW.shape[1:]))

    def at(self, images_X: Tensor, targets_X: Tensor, points_XP2: Tensor) -> Tensor:
        """The targets' masks at points, bilinear.

        Args:
            images_X: (...) int64; broadcast with the two others.
            targets_X: (...) int64; the masks of those that an image does not have mean nothing.
            points_XP2: (..., P, 2), (x, y) in [0, 1] of the image.

        Returns:
            (..., P) float32 in [0, 1].
        """
        if self.id_maps_BHW is not None:
            return sample_id_maps(self.id_maps_BHW, self.sizes_B2, images_X, targets_X, points_XP2)
        shape = torch.broadcast_shapes(images_X.shape, targets_X.shape, points_XP2.shape[:-2])
        points = points_XP2.expand(*shape, *points_XP2.shape[-2:]).flatten(0, -3)
        masks = max(1, PIXELS_AT_A_TIME // max(1, self.void_BHW[0].numel()))
        images = images_X.expand(shape).flatten()
        place = (self.first_B[images] + targets_X.expand(shape).flatten()).clamp(max=len(self.bitmaps_SHW) - 1)
        height, width = self.void_BHW.shape[1:]
        extents_B2 = torch.stack([self.sizes_B2[:, 0] / width, self.sizes_B2[:, 1] / height], dim=1)
        parts = zip(place.split(masks), points.split(masks), extents_B2[images].split(masks), strict=True)
        read = [sample_maps(self.bitmaps_SHW[some].float(), own, extents) for some, own, extents in parts]
        return torch.cat(read).unflatten(0, shape)

    def known_at(self, images_X: Tensor, points_XP2: Tensor) -> Tensor:
        """(..., P) float32 weights of points: 0 on void, else 1; arguments as in `at`."""
        return known_at(self.void_BHW, self.sizes_B2, images_X, points_XP2).float()


def _joined(bitmaps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """(S, H, W) the (N, h, w) masks of all images, one after the other, in the size of the largest image."""
    if len(bitmaps) == 1:
        return bitmaps[0]
    together = bitmaps[0].new_zeros(sum(map(len, bitmaps)), *size)
    for place, masks in zip(together.split([len(masks) for masks in bitmaps]), bitmaps, strict=True):
        place[:, : masks.shape[1], : masks.shape[2]] = masks
    return together


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

    def cost(self, masks: ProposalMasks, annotations: Sequence[MaskAnnotation]) -> Tensor:
        """(B, L, Q, N) weighted terms on points that all candidates and targets of an image share."""
        batch_size, num_outputs, num_queries, _ = masks.embeds_BLQC.shape
        device, true = masks.sizes_B2.device, TrueMasks(annotations, masks.sizes_B2)
        targets_N = torch.arange(max(len(annotation.labels_N) for annotation in annotations), device=device)
        at_a_time = _rows_at_a_time(num_outputs * num_queries * self._points_per_mask(masks), device)
        starts = range(0, batch_size, at_a_time)
        parts = [slice(start, min(start + at_a_time, batch_size)) for start in starts]
        return torch.cat([self._cost_of_some(part, masks, targets_N, true) for part in parts])

    def _cost_of_some(self, images: slice, masks: ProposalMasks, targets_N: Tensor, true: TrueMasks) -> Tensor:
        images_B = torch.arange(images.start, images.stop, device=targets_N.device)
        if self.num_points is None:
            points_BP2 = cell_points(masks.grid, masks.extents_B2[images], masks.stride)
        else:
            points_BP2 = random_points(len(images_B), self.num_points, images_B.device)
        masks_BNP = true.at(images_B[:, None], targets_N, points_BP2[:, None])
        known_BP = self._known(true, masks, images_B, points_BP2)
        logits_BLQP = masks.of_images(images).candidates_at(points_BP2)
        candidates = _rows_at_a_time(logits_BLQP[:, 0, 0].numel(), logits_BLQP.device)
        with float32(logits_BLQP):
            parts = [
                sum(weight * TERMS[name][0](part, masks_BNP, known_BP) for name, weight in self.weights.items())
                for part in logits_BLQP.flatten(1, 2).split(candidates, dim=1)
            ]
        return torch.cat(parts, dim=1).unflatten(1, logits_BLQP.shape[1:3])

    def loss(
        self,
        mask_logits_RHW: Tensor,
        images_R: Tensor,
        targets_R: Tensor,
        masks: ProposalMasks,
        annotations: Sequence[MaskAnnotation],
    ) -> Tensor:
        """(T,) weighted terms, each row on its own points."""
        true = TrueMasks(annotations, masks.sizes_B2)
        rows = _rows_at_a_time(self._points_per_mask(masks), mask_logits_RHW.device)
        parts = zip(*(part.split(rows) for part in (mask_logits_RHW, images_R, targets_R)), strict=True)
        return sum(self._loss_of_some(*part, masks, true) for part in parts)

    def _loss_of_some(
        self, mask_logits_RHW: Tensor, images_R: Tensor, targets_R: Tensor, masks: ProposalMasks, true: TrueMasks
    ) -> Tensor:
        with torch.no_grad():
            points_RP2 = self._loss_points(mask_logits_RHW, masks, images_R)
            masks_RP = true.at(images_R, targets_R, points_RP2)
            known_RP = self._known(true, masks, images_R, points_RP2)
        logits_RP = sample_maps(mask_logits_RHW, points_RP2, masks.extents_B2[images_R])
        terms = [weight * TERMS[name][1](logits_RP, masks_RP, known_RP).sum() for name, weight in self.weights.items()]
        return torch.stack(terms)

    def _points_per_mask(self, masks: ProposalMasks) -> int:
        return self.num_points or masks.features_BCHW[0, 0].numel()

    def _loss_points(self, mask_logits_RHW: Tensor, masks: ProposalMasks, images_R: Tensor) -> Tensor:
        """(R, P, 2) points drawn for each row, or the cells of its image."""
        if self.num_points is None:
            return cell_points(masks.grid, masks.extents_B2[images_R], masks.stride)
        return uncertain_points(
            mask_logits_RHW,
            num_points=self.num_points,
            oversample_ratio=self.oversample_ratio,
            importance_ratio=self.importance_ratio,
            extents_N2=masks.extents_B2[images_R],
        )

    def _known(self, true: TrueMasks, masks: ProposalMasks, images_X: Tensor, points_XP2: Tensor) -> Tensor:
        """(..., P) weights of the points: 0 on void, and for cells outside the image."""
        known_XP = true.known_at(images_X, points_XP2)
        if self.num_points is None and masks.inside_BHW is not None:
            known_XP *= masks.inside_BHW[images_X].flatten(-2)
        return known_XP


def _rows_at_a_time(values_per_row: int, device: torch.device) -> int:
    return max(1, VALUES_AT_A_TIME["cpu" if device.type == "cpu" else "gpu"] // max(1, values_per_row))


def _check_size(map_HW: Tensor, sample: DetDataSample, source: Source) -> None:
    if tuple(map_HW.shape[-2:]) != tuple(sample.img_shape[:2]):
        raise UserError(
            f"the annotation of {sample.get('img_path', '?')} is {tuple(map_HW.shape[-2:])} pixels, its image "
            f"{tuple(sample.img_shape[:2])}",
            source=source.name,
            remedy="for training load annotations before the image is resized, and set pad_mask=False and "
            "pad_seg=False in the data_preprocessor",
        )
