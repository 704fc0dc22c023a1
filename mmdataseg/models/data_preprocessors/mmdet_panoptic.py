"""Panoptic annotations in the fields that mmdet's own panoptic heads read, so that these train on our sources as well.

Letters: N segments of an image, (H, W) the image in pixels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData

from mmdataseg.errors import UserError
from mmdataseg.ops.id_map import masks_from_id_map
from mmdataseg.registry import MODELS
from mmdataseg.sources import Source, build_sources
from mmdataseg.structures import LabelSpace, Task


@MODELS.register_module()
class MMDetPanopticPreprocessor(DetDataPreprocessor):
    """mmdet's ``DetDataPreprocessor``, which here turns our training samples into those of mmdet's ``MaskFormer``
    family.

    The conversion belongs to the model, so data, augmentation and metric of a source stay as they are: test samples
    keep the id map, and `PanopticQualityMetric` reads what mmdet's fusion heads write. mmdet has no void in training:
    void pixels are background of every mask.

    Args:
        sources: Panoptic sources of the run, of the same classes, things before stuff.
        **kwargs: mmdet's; ``pad_mask`` and ``pad_seg`` must be True.

    Raises:
        UserError: A source has another task; sources have different classes; stuff comes before a thing; padding is
            turned off; or ``seg_pad_value``, which marks void, is a class.
    """

    def __init__(self, *, sources: Sequence[Mapping[str, Any] | Source], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        space = _common_label_space(build_sources(sources))
        self.num_things = sum(space.is_thing)
        if not (self.pad_mask and self.pad_seg):
            raise UserError("mmdet's heads read masks of the padded batch; set pad_mask=True and pad_seg=True")
        if self.seg_pad_value < len(space):
            raise UserError(
                f"seg_pad_value {self.seg_pad_value} marks void, but it is also one of the {len(space)} classes of "
                f"'{space.name}'; set it to {len(space)} or more"
            )

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Preprocess a batch.

        Args:
            data: ``inputs``, a list of (3, H, W) images, and ``data_samples`` as `PackInputs` writes id maps.
            training: Whether the samples become mmdet's: ``gt_instances`` has labels and masks (`BitmapMasks`) of the
                things, ``gt_sem_seg.sem_seg`` (1, H, W) int64 the class of each pixel or ``seg_pad_value``, all padded.

        Returns:
            The batch as mmdet's ``DetDataPreprocessor`` returns it.
        """
        if training:
            data = {**data, "data_samples": [self._as_mmdets(sample) for sample in data["data_samples"]]}
        return super().forward(data, training)

    def _as_mmdets(self, sample: DetDataSample) -> DetDataSample:
        """A new sample with the same metainfo."""
        id_map_HW, labels_N = sample.gt_id_map.data[0], sample.gt_instances.labels
        is_thing_N = labels_N < self.num_things
        masks = masks_from_id_map(id_map_HW, len(labels_N))[is_thing_N].cpu().numpy()
        label_of = torch.cat([labels_N, labels_N.new_tensor([self.seg_pad_value])])  # void, -1, reads the last entry
        converted = DetDataSample(metainfo=sample.metainfo)
        converted.gt_instances = InstanceData(
            labels=labels_N[is_thing_N], masks=BitmapMasks(masks.astype("uint8"), *id_map_HW.shape)
        )
        converted.gt_sem_seg = PixelData(sem_seg=label_of[id_map_HW.long()][None])
        return converted


def _common_label_space(sources: Sequence[Source]) -> LabelSpace:
    """The label space of all sources, checked against the limits of mmdet's panoptic heads."""
    space = sources[0].label_space
    for source in sources:
        if source.task is not Task.PANOPTIC:
            raise UserError(f"expected task 'panoptic', got '{source.task.value}'", source=source.name)
        found = source.label_space
        if (found.classes, found.is_thing) != (space.classes, space.is_thing):
            raise UserError(
                f"mmdet's heads have one classifier, and label space '{found.name}' has other classes than "
                f"'{space.name}' of source '{sources[0].name}'",
                source=source.name,
                remedy="train on one of them",
            )
    if list(space.is_thing) != sorted(space.is_thing, reverse=True):
        raise UserError(
            f"label space '{space.name}': mmdet's heads number things before stuff, got is_thing={space.is_thing}; put "
            "the things first"
        )
    return space
