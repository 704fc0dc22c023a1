"""The panoptic answer: segments that do not overlap, from the regions of MERGE.

Letters: Q proposals, K classes, J = K + 1 logits (background last), N segments, (H, W) the grid of the mask logits,
(Ho, Wo) the original image.
"""

import torch
from mmdet.evaluation.functional import INSTANCE_OFFSET
from mmengine.structures import PixelData
from torch import Tensor

from mmdataseg.errors import UserError
from mmdataseg.models.postprocessors.base import PostProcessor, pixel_data
from mmdataseg.ops.box_masks import look_up_
from mmdataseg.ops.postprocess import ImageSizes, panoptic_segments
from mmdataseg.registry import MODELS
from mmdataseg.structures import LabelSpace, Task


@MODELS.register_module()
class PanopticPostProcessor(PostProcessor):
    """Segments that do not overlap (Gu et al., 2023, "MERGE"; Cheng et al., MaskFormer, 2021).

    Args:
        score_threshold: Lowest class probability of a region, taken from its surest proposal.
        kept_share: A region that keeps less of its mask than this is dropped.
    """

    def __init__(self, *, score_threshold: float = 0.8, kept_share: float = 0.8) -> None:
        super().__init__()
        self.score_threshold = score_threshold
        self.kept_share = kept_share

    def check(self, label_space: LabelSpace) -> None:
        """Check that panoptic ids can hold the vocabulary.

        Raises:
            UserError: It has more classes than an id can hold.
        """
        if len(label_space) > INSTANCE_OFFSET:
            raise UserError(
                f"label space '{label_space.name}': panoptic ids tell {INSTANCE_OFFSET} classes apart, it has "
                f"{len(label_space)}; use a smaller one, or the semantic or instance task"
            )

    def forward(
        self,
        class_logits_QJ: Tensor,
        mask_logits_QHW: Tensor,
        label_space: LabelSpace,
        sizes: ImageSizes,
        *,
        compact: bool = False,
        min_score: float = 0.0,  # noqa: ARG002 -- for instances
    ) -> dict[str, PixelData]:
        """Compute a panoptic segmentation from one image's proposals.

        Returns:
            ``pred_panoptic_seg`` with ``sem_seg`` (1, Ho, Wo) int64, int32 if ``compact``: class + 1000 n with n from
            1, so that no segment is 0, which is void. Its metainfo ``scores`` has one float for each segment, in the
            order of the ids: the probability of its class.

        Raises:
            UserError: As in `check`.
        """
        self.check(label_space)
        segment_map, labels_N, scores_N = panoptic_segments(
            class_logits_QJ,
            mask_logits_QHW,
            sizes,
            mergeable=label_space.mergeable(Task.PANOPTIC),
            score_threshold=self.score_threshold,
            kept_share=self.kept_share,
        )
        number_N = torch.arange(1, len(labels_N) + 1, device=labels_N.device)
        ids = torch.cat([labels_N.new_zeros(1), labels_N + INSTANCE_OFFSET * number_N])
        map_HW = look_up_(segment_map, ids)
        scores = scores_N.tolist()
        return {"pred_panoptic_seg": pixel_data(map_HW, label_space, compact=compact, ignore_index=0, scores=scores)}
