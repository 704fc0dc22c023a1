"""From proposals to the fields of a ``DetDataSample`` that mmdet's visualiser and metrics read; one class per task.

Letters: Q proposals, K classes, J = K + 1 logits (background last), N segments or instances, (H, W) the grid of the
mask logits, (Ho, Wo) the original image.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from mmdet.evaluation.functional import INSTANCE_OFFSET
from mmengine.structures import InstanceData, PixelData
from torch import Tensor, nn

from mmdataseg.errors import UserError
from mmdataseg.ops.box_masks import full_boxes, full_masks, look_up_
from mmdataseg.ops.postprocess import SEMANTIC_MERGES, ImageSizes, box_instances, panoptic_segments, semantic_map
from mmdataseg.registry import MODELS
from mmdataseg.structures import LabelSpace, Task


class PostProcessor(nn.Module, ABC):
    """The interface that the post-processors share."""

    def check(self, label_space: LabelSpace) -> None:
        """Check that the task suits a vocabulary; most tasks suit any.

        Raises:
            UserError: It does not.
        """

    @abstractmethod
    def forward(
        self,
        class_logits_QJ: Tensor,
        mask_logits_QHW: Tensor,
        label_space: LabelSpace,
        sizes: ImageSizes,
        *,
        compact: bool = False,
        min_score: float = 0.0,
    ) -> Mapping[str, PixelData | InstanceData]:
        """Compute the answer of the task from one image's proposals.

        Args:
            class_logits_QJ: (Q, K + 1), background last.
            mask_logits_QHW: (Q, H, W).
            label_space: The label space of the K classes.
            sizes: Sizes of the image.
            compact: Use little memory, for large images: maps are int32, and masks are a list of `BoxMask`. mmdet's
                metrics and visualiser read the other form.
            min_score: Instances with a lower score are left out.

        Returns:
            The fields to set on its ``DetDataSample``.
        """


def pixel_data(map_HW: Tensor, label_space: LabelSpace, *, compact: bool, **metainfo: Any) -> PixelData:
    """Return a map of integers as mmdet's ``sem_seg``, (1, H, W) int64, int32 if ``compact``, with its metainfo."""
    data = PixelData(sem_seg=(map_HW.int() if compact else map_HW.long())[None])
    data.set_metainfo({"label_names": list(label_space.classes), **metainfo})
    return data


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
