"""mmdet's ``DetDataPreprocessor``, which here also adds the colours for box supervision, or the fields that mmdet's
panoptic heads read."""

from mmdataseg.models.data_preprocessors.color_similarity import ColorSimilarityPreprocessor
from mmdataseg.models.data_preprocessors.mmdet_panoptic import MMDetPanopticPreprocessor

__all__ = [
    "ColorSimilarityPreprocessor",
    "MMDetPanopticPreprocessor",
]
