"""The interface of the post-processors, and how they write a map of integers.

Letters: Q proposals, K classes, J = K + 1 logits (background last), (H, W) the grid of the mask logits, or of a map.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from mmengine.structures import InstanceData, PixelData
from torch import Tensor, nn

from mmdataseg.ops.postprocess import ImageSizes
from mmdataseg.structures import LabelSpace


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
