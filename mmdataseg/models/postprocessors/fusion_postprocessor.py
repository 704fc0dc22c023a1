"""The panoptic answer by mmdet's own rule, for models that were trained and published with it.

Letters: Q proposals, K classes, J = K + 1 logits (background last), N segments, (H, W) the grid of the mask logits,
(h, w) the padded batch, (Ho, Wo) the original image.
"""

import torch
import torch.nn.functional as F
from mmdet.evaluation.functional import INSTANCE_OFFSET
from mmdet.models.seg_heads import MaskFormerFusionHead
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from torch import Tensor

from mmdataseg.models.postprocessors.base import pixel_data
from mmdataseg.models.postprocessors.panoptic_postprocessor import PanopticPostProcessor
from mmdataseg.ops.postprocess import ImageSizes
from mmdataseg.registry import MODELS
from mmdataseg.structures import LabelSpace


@MODELS.register_module()
class FusionPanopticPostProcessor(PanopticPostProcessor):
    """Segments as mmdet's ``MaskFormerFusionHead`` gives them, low scores filtered.

    It differs from `PanopticPostProcessor` in that proposals of one stuff class compete before they are joined, and in
    that masks are enlarged in two steps. mmdet numbers things before stuff: for other label spaces, the classes are
    reordered before it and back after it.

    Args:
        score_threshold: Lowest class probability of a proposal.
        kept_share: A proposal that keeps less of its mask than this is dropped.
    """

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
            As in `PanopticPostProcessor`; all pixels of a stuff class are one segment. The score of a segment is the
            highest probability of its class among the proposals that won its pixels.

        Raises:
            UserError: As in `check`.
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
        logits_QJ = torch.cat([class_logits_QJ[:, order_K], class_logits_QJ[:, -1:]], dim=1)
        kept_Q = self._kept(logits_QJ)
        masks_Qhw = F.interpolate(mask_logits_QHW[kept_Q][None], sizes.padded, mode="bilinear", align_corners=False)[0]
        sample = DetDataSample(metainfo={"img_shape": sizes.image, "ori_shape": sizes.original})
        (answer,) = fusion.predict(logits_QJ[kept_Q][None], masks_Qhw[None], [sample], rescale=True)
        map_HW = _numbered(answer["pan_results"].sem_seg[0], order_K)
        scores = self._scores(class_logits_QJ[kept_Q], masks_Qhw, sizes, map_HW).tolist()
        return {"pred_panoptic_seg": pixel_data(map_HW, label_space, compact=compact, ignore_index=0, scores=scores)}

    def _kept(self, class_logits_QJ: Tensor) -> Tensor:
        """(Q,) bool, the proposals that take part. mmdet enlarges the masks of all others, too, before it drops them.

        The first one always takes part: there must be a mask.
        """
        prob_Q, label_Q = class_logits_QJ.softmax(-1).max(-1)
        kept_Q = (label_Q != class_logits_QJ.shape[1] - 1) & (prob_Q > self.score_threshold)
        if not kept_Q.any():
            kept_Q[:1] = True
        return kept_Q

    def _scores(self, class_logits_QJ: Tensor, masks_Qhw: Tensor, sizes: ImageSizes, ids: Tensor) -> Tensor:
        """(N,) the score of each segment of the id map (Ho, Wo), in the order of the ids; Q proposals take part."""
        prob_Q = class_logits_QJ.softmax(-1).amax(-1)
        height, width = sizes.image
        best, score = (torch.full(sizes.original, -1.0, device=ids.device) for _ in range(2))
        for prob, mask_hw in zip(prob_Q, masks_Qhw, strict=True):
            shown = F.interpolate(mask_hw[None, None, :height, :width], sizes.original, mode="bilinear")[0, 0]
            product = prob * shown.sigmoid()
            better = product > best
            best, score = torch.where(better, product, best), torch.where(better, prob, score)
        ids_of_segments, place = ids.unique(return_inverse=True)
        found = prob_Q.new_zeros(len(ids_of_segments)).scatter_reduce(0, place.flatten(), score.flatten(), "amax")
        return found[ids_of_segments != 0]


def _numbered(theirs: Tensor, order_K: Tensor) -> Tensor:
    """(Ho, Wo) our ids (class + 1000 n, n from 1, void 0) from mmdet's, in which stuff has n = 0 and void is K."""
    found, place = theirs.long().unique(return_inverse=True)
    number = torch.arange(1, len(found) + 1, device=found.device)
    label = torch.cat([order_K, order_K.new_zeros(1)])[found % INSTANCE_OFFSET]
    ids = torch.where(found == len(order_K), 0, label + INSTANCE_OFFSET * number)
    return ids[place]
