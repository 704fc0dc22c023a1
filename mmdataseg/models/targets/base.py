"""The criterion's view of a kind of supervision: how it is read, what a match costs, how a matched row is trained.

A new kind is one subclass of `Targets`, registered and named in the config as ``model.criterion.targets.<kind>``. It
serves the sources whose ``supervision`` is ``<kind>``.

Letters: L decoder outputs, Q queries, N targets of an image, R = L M matched rows of all outputs together, T loss
terms, (H, W) the grid of the mask logits.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from mmdet.structures import DetDataSample
from torch import Tensor, nn

from mmdataseg.errors import UserError
from mmdataseg.models.targets.image_masks import ImageMasks
from mmdataseg.sources import Source


@dataclass(frozen=True)
class Annotation:
    """The annotation of one image; each kind of supervision adds its own fields.

    Attributes:
        labels_N: (N,) int64 classes of the source.
        size: (height, width) of the image in pixels, without padding.
    """

    labels_N: Tensor
    size: tuple[int, int]


class Targets(nn.Module, ABC):
    """One kind of supervision. It keeps no state between calls, and has no part in the class loss.

    The detector calls `read` for each image of a batch. The criterion then calls `cost`, without gradients, for each
    image that has a target, and `loss` for each image that has a matched row. It sums the terms over the images and
    divides them by the number of matched targets.

    Points are (x, y) in [0, 1] of the image. The last cells of the grid may reach beyond the image, so give
    ``masks.extent_2`` to `mmdataseg.ops.points.sample_maps`. `ImageMasks.candidates_at` does this itself.
    """

    def check(self, source: Source) -> None:
        """Check that a source can be trained with this supervision; by default, any can.

        Raises:
            UserError: The source cannot.
        """

    @property
    @abstractmethod
    def loss_names(self) -> tuple[str, ...]:
        """The names of the T terms of `loss`, such as ``loss_click``. mmengine trains only terms with "loss" in their
        name."""

    @abstractmethod
    def read(self, sample: DetDataSample, source: Source) -> Annotation:
        """The annotation of one image. `common_annotation` reads labels and size.

        Raises:
            UserError: The sample does not have what this supervision needs.
        """

    @abstractmethod
    def cost(self, masks: ImageMasks, annotation: Annotation) -> Tensor:
        """The cost of matching each candidate with each target, by its mask.

        Args:
            masks: The masks of the image; its ``candidates`` are already merged.
            annotation: The annotation of the image, with at least one target.

        Returns:
            (L, Q, N) float32, with the weight of the term.
        """

    @abstractmethod
    def loss(self, mask_logits_RHW: Tensor, targets_R: Tensor, masks: ImageMasks, annotation: Annotation) -> Tensor:
        """The loss terms of the matched rows of one image.

        Args:
            mask_logits_RHW: (R, H, W) float32, R at least 1.
            targets_R: (R,) int64, the target of each row.
            masks: The masks of the image, for their stride and extent.
            annotation: The annotation of the image.

        Returns:
            (T,) float32, one weighted sum over the rows for each of ``loss_names``.
        """


def common_annotation(sample: DetDataSample, source: Source) -> Annotation:
    """Read what every kind of supervision needs, labels and size, from the fields that `PackInputs` writes.

    Raises:
        UserError: The sample has no ``gt_instances``.
    """
    if "gt_instances" not in sample:
        raise UserError(
            f"{sample.get('img_path', '?')} has no gt_instances",
            source=source.name,
            remedy="end its pipeline with mmdataseg.PackInputs",
        )
    return Annotation(sample.gt_instances.labels, tuple(sample.img_shape[:2]))


def float32(tensor: Tensor) -> torch.autocast:
    """Turn autocast off: sums over thousands of points overflow float16, and bfloat16 rounds them to 3 digits."""
    return torch.autocast(tensor.device.type, enabled=False)
