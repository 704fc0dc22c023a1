"""The semantic answer: a class for each pixel.

Letters: Q proposals, K classes, J = K + 1 logits (background last), (H, W) the grid of the mask logits, (Ho, Wo) the
original image.
"""

from mmengine.structures import PixelData
from torch import Tensor

from mmdataseg.errors import UserError
from mmdataseg.models.postprocessors.base import PostProcessor, pixel_data
from mmdataseg.ops.postprocess import SEMANTIC_MERGES, ImageSizes, semantic_map
from mmdataseg.registry import MODELS
from mmdataseg.structures import LabelSpace


@MODELS.register_module()
class SemanticPostProcessor(PostProcessor):
    """A class for each pixel (Gu et al., 2023, "MERGE"; Cheng et al., MaskFormer, 2021).

    Args:
        merge: ``max``: the best region, merged as in training; ``probability``: the sum over proposals.

    Raises:
        UserError: ``merge`` is unknown.
    """

    def __init__(self, *, merge: str = "max") -> None:
        super().__init__()
        if merge not in SEMANTIC_MERGES:
            raise UserError(f"{type(self).__name__}: expected merge to be one of {SEMANTIC_MERGES}, got {merge!r}")
        self.merge = merge

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
        """Compute a semantic segmentation from one image's proposals.

        Returns:
            ``pred_sem_seg`` with ``sem_seg`` (1, Ho, Wo) int64 in 0..K-1; int32 if ``compact``.
        """
        labels = semantic_map(class_logits_QJ, mask_logits_QHW, sizes, merge=self.merge)
        return {"pred_sem_seg": pixel_data(labels, label_space, compact=compact)}
