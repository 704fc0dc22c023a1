"""The answer of instance segmentation: scored masks of things, which may overlap.

Letters: Q proposals, K classes, J = K + 1 logits (background last), N instances, (H, W) the grid of the mask logits,
(Ho, Wo) the original image.
"""

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from mmdataseg.errors import UserError
from mmdataseg.models.postprocessors.base import PostProcessor
from mmdataseg.ops.box_masks import full_boxes, full_masks
from mmdataseg.ops.postprocess import ImageSizes, box_instances
from mmdataseg.registry import MODELS
from mmdataseg.structures import LabelSpace


@MODELS.register_module()
class InstancePostProcessor(PostProcessor):
    """Scored masks of things (Gu et al., 2023, "MERGE"; Cheng et al., Mask2Former, 2022).

    Args:
        max_instances: Maximum number per image.
    """

    def __init__(self, *, max_instances: int = 100) -> None:
        super().__init__()
        self.max_instances = max_instances

    def check(self, label_space: LabelSpace) -> None:
        """Check that the vocabulary has things to find.

        Raises:
            UserError: All classes are stuff.
        """
        if not label_space.thing_classes:
            raise UserError(
                f"task 'instance' finds things, and all classes of '{label_space.name}' are stuff: "
                f"{list(label_space.classes)[:5]}; ask for another task"
            )

    def forward(
        self,
        class_logits_QJ: Tensor,
        mask_logits_QHW: Tensor,
        label_space: LabelSpace,
        sizes: ImageSizes,
        *,
        compact: bool = False,
        min_score: float = 0.0,
    ) -> dict[str, InstanceData]:
        """Compute instances from one image's proposals.

        Returns:
            ``pred_instances`` with ``labels`` (N,) int64, ``scores`` (N,), ``masks`` (N, Ho, Wo) bool or, if
            ``compact``, a list of N `BoxMask`, and their ``bboxes`` (N, 4) xyxy pixels.
        """
        labels, scores, masks = box_instances(
            class_logits_QJ,
            mask_logits_QHW,
            sizes,
            is_thing_K=torch.tensor(label_space.is_thing, device=class_logits_QJ.device),
            max_instances=self.max_instances,
            min_score=min_score,
        )
        found = InstanceData(labels=labels, scores=scores, bboxes=full_boxes(masks).to(labels.device))
        found.masks = masks if compact else full_masks(masks, sizes.original).to(labels.device)
        return {"pred_instances": found}
