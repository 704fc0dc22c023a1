"""Registered losses and matching costs: thin wrappers of functions in ops/, for configs of any OpenMMLab project.

Letters: M matched pairs, L decoder outputs, Q queries, N boxes, (H, W) the grid of the mask logits.
"""

from typing import Any

from mmdet.models.task_modules.assigners.match_cost import BaseMatchCost
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmdataseg.ops.box_projection import mask_profiles, projection_cost, projection_loss
from mmdataseg.registry import MODELS, TASK_UTILS


@MODELS.register_module()
class BoxProjectionLoss(nn.Module):
    """Masks from boxes: dice between the axis projections of a mask and of its box (Gu et al., 2023).

    The form is BoxInst's (Tian et al., 2021, section 3.1).

    Args:
        loss_weight: Factor of the loss.
    """

    def __init__(self, *, loss_weight: float = 5.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(
        self, mask_logits_MHW: Tensor, boxes_M4: Tensor, *, stride: float, avg_factor: float | Tensor
    ) -> Tensor:
        """Sum over the pairs, divided by ``avg_factor``.

        Args:
            mask_logits_MHW: (M, H, W) mask logits.
            boxes_M4: (M, 4) xyxy pixels of the image.
            stride: Pixels of the image per cell of the mask.
            avg_factor: What to divide by, e.g. the number of targets over all ranks.

        Returns:
            Scalar; 0, with a gradient of 0, if there is no pair.
        """
        return self.loss_weight * projection_loss(mask_logits_MHW, boxes_M4, stride).sum() / avg_factor


@TASK_UTILS.register_module()
class BoxProjectionCost(BaseMatchCost):
    """`BoxProjectionLoss` of every proposal with every box, as a match cost of mmdet's ``HungarianAssigner``.

    Args:
        stride: Pixels of the image per cell of the mask.
        weight: Factor of the cost.
    """

    def __init__(self, *, stride: float = 4, weight: float = 5.0) -> None:
        super().__init__(weight=weight)
        self.stride = stride

    def __call__(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        img_meta: dict[str, Any] | None = None,  # noqa: ARG002 - mmdet passes it
    ) -> Tensor:
        """Cost matrix.

        Args:
            pred_instances: With ``masks`` (Q, H, W), mask logits.
            gt_instances: With ``bboxes`` (N, 4), xyxy pixels.
            img_meta: Not needed.

        Returns:
            (Q, N).
        """
        rows_QH, columns_QW = mask_profiles(pred_instances.masks)
        return self.of_profiles(rows_QH[None], columns_QW[None], gt_instances.bboxes)[0]

    def of_profiles(self, rows_XLQH: Tensor, columns_XLQW: Tensor, boxes_XN4: Tensor) -> Tensor:
        """Return the weighted cost matrices of several outputs, (..., L, Q, N); arguments as in `projection_cost`."""
        return self.weight * projection_cost(rows_XLQH, columns_XLQW, boxes_XN4, self.stride)
