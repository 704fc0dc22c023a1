"""Supervision by only boxes: the projections of a mask on the axes, and the colours inside its box.

Letters: B images, L decoder outputs, Q queries, N boxes of the image that has most, R matched rows of all outputs and
images together, E = 8 neighbours of a cell, (H, W) the grid of the mask logits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.structures import DetDataSample
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mmdataseg.errors import UserError
from mmdataseg.models.data_preprocessors.color_similarity import AFFINITY_DILATION
from mmdataseg.models.targets.base import Annotation, Targets, common_annotation, float32, stacked
from mmdataseg.models.targets.proposal_masks import ProposalMasks
from mmdataseg.ops.box_projection import box_profiles, mask_profiles
from mmdataseg.ops.color_affinity import color_affinity_loss
from mmdataseg.registry import MODELS, TASK_UTILS
from mmdataseg.sources import Source
from mmdataseg.structures import Task

AFFINITY_THRESHOLD = 0.3  # BoxInst's (Tian et al., 2021)
AFFINITY_CHUNK = 64  # masks whose eight neighbour maps are held at a time


@dataclass(frozen=True)
class BoxAnnotation(Annotation):
    """Boxes of one image.

    Attributes:
        boxes_N4: (N, 4) xyxy pixels.
        similarity_EHW: (8, H, W) how alike neighbouring cells look, for the colour affinity; or None.
    """

    boxes_N4: Tensor
    similarity_EHW: Tensor | None = None


@MODELS.register_module()
class BoxTargets(Targets):
    """The projection loss, in the cost of matching as well (Gu et al., 2023, "projection loss").

    Args:
        loss: Config of `BoxProjectionLoss`.
        cost: Config of `BoxProjectionCost`; None: boxes are matched by class only (an ablation).
        affinity_weight: Weight of BoxInst's colour affinity inside the boxes, on top of the projection loss (an
            ablation; the paper has none). It reads what `ColorSimilarityPreprocessor` writes. Deviations from BoxInst:
            no warm-up, as nothing here counts iterations; the mean of each box counts once, whatever its size.
    """

    def __init__(
        self, *, loss: Mapping[str, Any], cost: Mapping[str, Any] | None, affinity_weight: float = 0.0
    ) -> None:
        super().__init__()
        self.projection_loss = MODELS.build(loss)
        self.projection_cost = None if cost is None else TASK_UTILS.build(cost)
        self.affinity_weight = affinity_weight

    def check(self, source: Source) -> None:
        """Boxes train the instance task only: nothing outside them is known.

        Raises:
            UserError: The source has another task.
        """
        if source.task is not Task.INSTANCE:
            raise UserError(
                f"supervision 'boxes' trains the instance task, got task '{source.task.value}'",
                source=source.name,
                remedy="set task='instance'",
            )

    @property
    def loss_names(self) -> tuple[str, ...]:
        """``loss_projection``, and ``loss_affinity`` if its weight is above 0."""
        return ("loss_projection", "loss_affinity") if self.affinity_weight else ("loss_projection",)

    def read(self, sample: DetDataSample, source: Source) -> BoxAnnotation:
        """The boxes that `PackInputs` wrote.

        Raises:
            UserError: The sample has no boxes; or the affinity has a weight, and the sample has no colour similarity.
        """
        common = common_annotation(sample, source)
        if "bboxes" not in sample.gt_instances:
            raise UserError(
                f"expected boxes in gt_instances of {sample.img_path}, got none",
                source=source.name,
                remedy="use mmdataseg.LoadInstances",
            )
        similarity_EHW = None
        if self.affinity_weight:
            if "gt_color_similarity" not in sample:
                raise UserError(
                    f"affinity_weight needs the colour similarity of {sample.img_path}, got none",
                    source=source.name,
                    remedy="set model.data_preprocessor.type='mmdataseg.ColorSimilarityPreprocessor'",
                )
            similarity_EHW = sample.gt_color_similarity.data
        return BoxAnnotation(common.labels_N, common.size, sample.gt_instances.bboxes, similarity_EHW)

    def cost(self, masks: ProposalMasks, annotations: Sequence[BoxAnnotation]) -> Tensor:
        """(B, L, Q, N) projection costs. The masks of one output at a time are computed, for their projections.

        Raises:
            UserError: The cost is set for another stride than that of the mask features.
        """
        boxes_BN4 = stacked([annotation.boxes_N4 for annotation in annotations])
        if self.projection_cost is None:
            return boxes_BN4.new_zeros(*masks.embeds_BLQC.shape[:3], boxes_BN4.shape[1])
        if self.projection_cost.stride != masks.stride:
            raise UserError(
                f"the projection cost is set for cells of {self.projection_cost.stride} pixels, the mask features "
                f"have {masks.stride}; set targets.boxes.cost.stride={masks.stride}"
            )
        profiles = [mask_profiles(mask_logits_BQHW) for mask_logits_BQHW in masks.candidates()]
        rows_BLQH, columns_BLQW = (torch.stack(sides, dim=1) for sides in zip(*profiles, strict=True))
        with float32(rows_BLQH):
            return self.projection_cost.of_profiles(rows_BLQH, columns_BLQW, boxes_BN4)

    def loss(
        self,
        mask_logits_RHW: Tensor,
        images_R: Tensor,
        targets_R: Tensor,
        masks: ProposalMasks,
        annotations: Sequence[BoxAnnotation],
    ) -> Tensor:
        """(T,) sums over the rows.

        Raises:
            UserError: The affinity has a weight, and the colour similarity has another grid than the mask features.
        """
        boxes_R4 = stacked([annotation.boxes_N4 for annotation in annotations])[images_R, targets_R]
        none_outside_RHW = masks.none_outside(mask_logits_RHW, images_R)
        terms = [self.projection_loss(none_outside_RHW, boxes_R4, stride=masks.stride, avg_factor=1)]
        if self.affinity_weight:
            # 0, unlike, outside the image
            similarity_BEHW = stacked([annotation.similarity_EHW for annotation in annotations])
            if similarity_BEHW.shape[2:] != masks.grid:
                raise UserError(
                    f"the colour similarity has {tuple(similarity_BEHW.shape[2:])} cells, the mask features have "
                    f"{masks.grid}; it is made for features of stride 4"
                )
            affinity = _affinity(mask_logits_RHW, boxes_R4, images_R, similarity_BEHW, masks.stride)
            terms.append(self.affinity_weight * affinity)
        return torch.stack(terms)


def _affinity(
    mask_logits_RHW: Tensor, boxes_R4: Tensor, images_R: Tensor, similarity_BEHW: Tensor, stride: int
) -> Tensor:
    """(), sum over the rows: colour affinity among the cells of which a box covers at least half in both directions."""
    with torch.no_grad():
        rows_RH, columns_RW = box_profiles(boxes_R4, tuple(mask_logits_RHW.shape[-2:]), stride)
        inside_RHW = (rows_RH >= 0.5)[:, :, None] & (columns_RW >= 0.5)[:, None]

    def loss(mask_logits_MHW: Tensor, images_M: Tensor, inside_MHW: Tensor) -> Tensor:
        options = {"dilation": AFFINITY_DILATION, "threshold": AFFINITY_THRESHOLD}
        return color_affinity_loss(mask_logits_MHW, similarity_BEHW[images_M], inside_MHW, **options)

    chunks = zip(*(part.split(AFFINITY_CHUNK) for part in (mask_logits_RHW, images_R, inside_RHW)), strict=True)
    # recomputed in the backward pass: the neighbour maps of all outputs and boxes would fill a GPU if they were kept
    return sum(checkpoint(loss, *chunk, use_reentrant=False).sum() for chunk in chunks)
