"""The criterion's view of a kind of supervision: how it is read, what a match costs, how a matched row is trained.

A new kind is one subclass of `Targets`, registered and named in the config as ``model.criterion.targets.<kind>``. It
serves the sources whose ``supervision`` is ``<kind>``.

Letters: B images, L decoder outputs, Q queries, N targets of the image that has most, R matched rows of all outputs and
images together, T loss terms, (H, W) the grid of the mask logits.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmdet.structures import DetDataSample
from torch import Tensor, nn

from mmdataseg.errors import UserError
from mmdataseg.models.targets.proposal_masks import ProposalMasks
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

    The detector calls `read` for each image of a batch. The criterion then calls `cost`, without gradients, and `loss`
    once for the whole batch, and divides the terms by the number of matched targets.

    Points are (x, y) in [0, 1] of the image. The grid covers the largest image, so it may reach beyond a smaller one:
    give ``masks.extents_B2[images_R]`` to `mmdataseg.ops.points.sample_maps`. `ProposalMasks.candidates_at` does this
    itself.
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
    def cost(self, masks: ProposalMasks, annotations: Sequence[Annotation]) -> Tensor:
        """The cost of matching each candidate with each target of its image, by its mask.

        Args:
            masks: The masks of the batch; its ``candidates`` are already merged.
            annotations: The annotations of the B images, with at least one target. `stacked` joins their tensors.

        Returns:
            (B, L, Q, N) float32, with the weight of the term. Values beyond the targets of an image are ignored.
        """

    @abstractmethod
    def loss(
        self,
        mask_logits_RHW: Tensor,
        images_R: Tensor,
        targets_R: Tensor,
        masks: ProposalMasks,
        annotations: Sequence[Annotation],
    ) -> Tensor:
        """The loss terms of the matched rows.

        Args:
            mask_logits_RHW: (R, H, W) float32, R at least 1.
            images_R: (R,) int64, the image of each row, in 0..B-1.
            targets_R: (R,) int64, its target in that image.
            masks: The masks of the batch, for their stride and extents.
            annotations: The annotations of the B images.

        Returns:
            (T,) float32, one weighted sum over the rows for each of ``loss_names``.
        """


def stacked(tensors: Sequence[Tensor], fill: float = 0) -> Tensor:
    """Join the tensors of B images, of shapes (N, ...), to (B, N, ...), as large as the largest in each dimension.

    Args:
        tensors: With the same number of dimensions.
        fill: The value of what is beyond a smaller one.
    """
    if len(tensors) == 1:
        return tensors[0][None]
    shape = tuple(max(sides) for sides in zip(*(tensor.shape for tensor in tensors), strict=True))
    if all(tensor.shape == shape for tensor in tensors):
        return torch.stack(list(tensors))
    together = tensors[0].new_full((len(tensors), *shape), fill)
    for place, tensor in zip(together, tensors, strict=True):
        place[tuple(slice(side) for side in tensor.shape)] = tensor
    return together


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
