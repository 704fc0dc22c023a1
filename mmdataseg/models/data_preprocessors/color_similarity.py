"""How alike neighbouring cells of an image look, computed in the data preprocessor, which still has the pixels.

Letters: E = 8 neighbours of a cell, (H, W) the grid of the mask logits.
"""

from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmengine.structures import PixelData
from torch import Tensor

from mmdataseg.ops.color_affinity import color_similarity
from mmdataseg.ops.colors import srgb_to_lab
from mmdataseg.registry import MODELS

AFFINITY_DILATION = 2  # BoxInst's (Tian et al., 2021)
MASK_STRIDE = 4  # pixels per cell of the mask features


@MODELS.register_module()
class ColorSimilarityPreprocessor(DetDataPreprocessor):
    """mmdet's ``DetDataPreprocessor``, which here adds ``gt_color_similarity`` to each training sample, for
    `BoxTargets`.

    mmdet's ``BoxInstDataPreprocessor`` does this in the same place. Here the colours are those of the image as the
    pipeline loaded it, BGR (mmcv's default), before it is normalised and padded.

    Samples without boxes stay as they are.
    """

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Preprocess a batch.

        Args:
            data: ``inputs``, a list of (3, height, width) BGR images in [0, 255], and ``data_samples``.
            training: Whether the samples get ``gt_color_similarity``, (8, H, W) in [0, 1].

        Returns:
            The batch as mmdet's ``DetDataPreprocessor`` returns it.
        """
        data = self.cast_data(data)
        if training:
            for image_3HW, sample in zip(data["inputs"], data["data_samples"], strict=True):
                if "bboxes" in sample.get("gt_instances", {}):
                    sample.gt_color_similarity = PixelData(data=self._similarity(image_3HW))
        return super().forward(data, training)

    @torch.no_grad()
    def _similarity(self, image_3HW: Tensor) -> Tensor:
        rgb = image_3HW.flip(0)[None].float() / 255
        cells = F.avg_pool2d(rgb, MASK_STRIDE, ceil_mode=True)[0]  # averages only the image's own pixels
        return color_similarity(srgb_to_lab(cells), AFFINITY_DILATION)
