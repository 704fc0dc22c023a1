"""The panoptic answer by mmdet's own rule, for models that were trained and published with it.

Letters: Q proposals, K classes, J = K + 1 logits (background last), (H, W) the grid of the mask logits, (Ho, Wo) the
original image.
"""

import torch
import torch.nn.functional as F
from mmdet.evaluation.functional import INSTANCE_OFFSET
from mmdet.models.seg_heads import MaskFormerFusionHead
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from torch import Tensor

from mmdataseg.models.postprocessors import PanopticPostProcessor
from mmdataseg.ops.postprocess import ImageSizes
from mmdataseg.registry import MODELS
from mmdataseg.structures import LabelSpace


@MODELS.register_module()
class FusionPanopticPostProcessor(PanopticPostProcessor):
    """Segments as mmdet's ``MaskFormerFusionHead`` gives them, low scores filtered.

    It differs from `PanopticPostProcessor` in that proposals of one stuff class compete before they are joined, and in
    that masks are enlarged in two steps. mmdet numbers things before stuff: of other label spaces, the classes are put
    in that order for it and back.

    Args:
        score_threshold: Least class probability of a proposal.
        kept_share: A proposal that keeps less of its mask than this is dropped.
    """

    def forward(
        self, class_logits_QJ: Tensor, mask_logits_QHW: Tensor, label_space: LabelSpace, sizes: ImageSizes
    ) -> dict[str, PixelData]:
        """Read a panoptic segmentation off one image's proposals.

        Returns:
            As `PanopticPostProcessor`; all pixels of a stuff class are one segment.

        Raises:
            ValueError: As `check`.
        """
        self.check(label_space)
        things_first = sorted(range(len(label_space)), key=lambda k: not label_space.is_thing[k])
        order_K = torch.tensor(things_first, device=class_logits_QJ.device)
        num_things = sum(label_space.is_thing)
        fusion = MaskFormerFusionHead(
            num_things_classes=num_things,
            num_stuff_classes=len(label_space) - num_things,
            test_cfg=ConfigDict(object_mask_thr=self.score_threshold, iou_thr=self.kept_share, filter_low_score=True),
        )
        masks_QHW = F.interpolate(mask_logits_QHW[None], sizes.padded, mode="bilinear", align_corners=False)[0]
        sample = DetDataSample(metainfo={"img_shape": sizes.image, "ori_shape": sizes.original})
        logits_QJ = torch.cat([class_logits_QJ[:, order_K], class_logits_QJ[:, -1:]], dim=1)
        (answer,) = fusion.predict(logits_QJ[None], masks_QHW[None], [sample], rescale=True)
        segmentation = PixelData(sem_seg=_numbered(answer["pan_results"].sem_seg, order_K))
        segmentation.set_metainfo({"label_names": list(label_space.classes), "ignore_index": 0})
        return {"pred_panoptic_seg": segmentation}


def _numbered(theirs_1HW: Tensor, order_K: Tensor) -> Tensor:
    """(1, Ho, Wo) ids, class + 1000 n with n from 1 and void 0, of mmdet's: stuff has n = 0, void is K."""
    found, place_1HW = theirs_1HW.long().unique(return_inverse=True)
    number = torch.arange(1, len(found) + 1, device=found.device)
    label = torch.cat([order_K, order_K.new_zeros(1)])[found % INSTANCE_OFFSET]
    ids = torch.where(found == len(order_K), 0, label + INSTANCE_OFFSET * number)
    return ids[place_1HW]
