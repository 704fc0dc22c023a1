"""Matching and losses of one batch of one source.

Letters: B images, L decoder outputs, Q queries, K classes, C channels, N targets of an image, M matched pairs of an
image, R proposals that take part, P points, (H, W) the stride-4 grid of an image without its padding.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmdataseg.models.head import Proposals
from mmdataseg.models.targets import ImageTargets
from mmdataseg.ops import merge as merging
from mmdataseg.ops.box_projection import box_profiles, projection_cost, projection_loss
from mmdataseg.ops.color_affinity import color_affinity_loss, color_similarity
from mmdataseg.ops.colors import srgb_to_lab
from mmdataseg.ops.matching import match
from mmdataseg.ops.point_losses import class_cost, point_bce_cost, point_bce_loss, point_dice_cost, point_dice_loss
from mmdataseg.ops.points import random_points, sample_features, sample_maps, uncertain_points
from mmdataseg.registry import MODELS

# BoxInst's (Tian et al., 2021)
AFFINITY_DILATION = 2
AFFINITY_THRESHOLD = 0.3
AFFINITY_CHUNK = 64  # masks whose eight neighbour maps are held at a time


class _Grid(NamedTuple):
    """The part of a feature map that an image fills."""

    features_CHW: Tensor
    stride: int  # pixels a cell
    extent_2: Tensor  # share of the part's width and height that the image fills; below 1 where the last cell juts out
    image_3HW: Tensor | None  # its pixels, RGB in [0, 255]


@MODELS.register_module()
class DaTaSegCriterion(nn.Module):
    """Class, mask and box losses with deep supervision (Gu et al., 2023, sections 3.2 and 3.4).

    Forms and weights are Mask2Former's (Cheng et al., 2022) where the paper gives none. The cost of matching and the
    loss use the same terms and weights. Each loss is the sum over the L outputs.
    A target's loss is divided by the number of matched targets over all ranks (at least 1), the class loss by the sum
    of its weights over all ranks. Points on void have weight 0.

    Args:
        class_weight: Weight of the cross-entropy over K + 1 classes.
        mask_weight: Weight of the binary cross-entropy on points.
        dice_weight: Weight of the dice loss on points.
        projection_weight: Weight of the projection loss, which takes the place of both where boxes are all there is
            (ours; the paper gives none).
        affinity_weight: Weight of BoxInst's colour affinity inside the boxes, on top of the projection loss (ablation;
            the paper has none). Deviations from BoxInst: no warm-up, as nothing here counts iterations; the mean of
            each box counts once, whatever its size.
        background_weight: Weight of an unmatched proposal in the class loss.
        num_points: P.
        oversample_ratio: Candidates for the loss's points, as a multiple of P.
        importance_ratio: Share of the loss's points drawn where the mask is most uncertain.
        merge: Whether targets absorb unmatched proposals of their class (MERGE in training).
        projection_cost: Whether the projection enters the cost of matching as well.
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        class_weight: float = 2.0,
        mask_weight: float = 5.0,
        dice_weight: float = 5.0,
        projection_weight: float = 5.0,
        affinity_weight: float = 0.0,
        background_weight: float = 0.1,
        num_points: int = 12544,
        oversample_ratio: float = 3.0,
        importance_ratio: float = 0.75,
        merge: bool = True,
        projection_cost: bool = True,
    ) -> None:
        super().__init__()
        self.class_weight = class_weight
        self.mask_weight = mask_weight
        self.dice_weight = dice_weight
        self.projection_weight = projection_weight
        self.affinity_weight = affinity_weight
        self.background_weight = background_weight
        self.num_points = num_points
        self.oversample_ratio = oversample_ratio
        self.importance_ratio = importance_ratio
        self.merge = merge
        self.projection_cost = projection_cost

    def forward(
        self,
        proposals: Proposals,
        class_logits_LBQK: Tensor,
        targets_B: Sequence[ImageTargets],
        padded_size: tuple[int, int],
        images_B3HW: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            proposals: Of the head.
            class_logits_LBQK: (L, B, Q, K + 1), background last.
            targets_B: One for each image, all with masks or all with boxes.
            padded_size: (height, width) of the batch in pixels.
            images_B3HW: (B, 3, height, width) RGB in [0, 255]; read only for boxes, with ``affinity_weight``.

        Returns:
            Scalars ``loss_class`` and either ``loss_mask`` and ``loss_dice`` or ``loss_projection`` (and, with
            ``affinity_weight``, ``loss_affinity``).

        Raises:
            ValueError: The batch is not padded to whole cells of the mask features; or no images where they are read.
        """
        stride = _stride(padded_size, proposals.mask_features_BCHW)
        images = [None] * len(targets_B) if images_B3HW is None else images_B3HW
        grids = [
            _image_grid(features, targets.size, stride, image)
            for features, targets, image in zip(proposals.mask_features_BCHW, targets_B, images, strict=True)
        ]
        costs = [
            self._cost(class_logits_LBQK[:, b], proposals.mask_embeds_LBQC[:, b], grids[b], targets)
            for b, targets in enumerate(targets_B)
        ]
        pairs = match(costs)
        groups_BLQ = [self._groups(class_logits_LBQK[:, b], *pairs[b], t) for b, t in enumerate(targets_B)]
        labels_LBQ, weights_LBQ = self._class_targets(class_logits_LBQK, pairs, groups_BLQ, targets_B)
        num_pairs = sum(queries.shape[1] for queries, _ in pairs)
        num_targets, class_norm_L = _normalisers(num_pairs, weights_LBQ)

        cross_entropy = F.cross_entropy(class_logits_LBQK.flatten(0, 2), labels_LBQ.flatten(), reduction="none")
        class_loss_L = (cross_entropy.view_as(weights_LBQ) * weights_LBQ).sum((1, 2)) / class_norm_L
        losses = {"loss_class": self.class_weight * class_loss_L.sum()}
        boxes = targets_B[0].boxes_N4 is not None
        names = ("loss_projection", *(("loss_affinity",) if self.affinity_weight else ()))
        names = names if boxes else ("loss_mask", "loss_dice")
        sums = proposals.mask_embeds_LBQC.new_zeros(len(names), dtype=torch.float32)
        for b, targets in enumerate(targets_B):
            if pairs[b][0].shape[1]:
                mask_logits_MHW = self._pair_masks(
                    proposals.mask_embeds_LBQC[:, b], grids[b], groups_BLQ[b], pairs[b][0].shape[1]
                )
                term = self._box_loss if boxes else self._mask_losses
                sums = sums + term(mask_logits_MHW, grids[b], pairs[b][1].flatten(), targets)
        if not num_pairs:  # nothing to learn from, but on every rank the same parameters take part in the gradient
            sums = sums + 0 * (proposals.mask_embeds_LBQC.float().sum() + proposals.mask_features_BCHW.float().sum())
        losses.update(zip(names, sums / num_targets, strict=True))
        return losses

    @torch.no_grad()
    def _cost(self, class_logits_LQK: Tensor, mask_embeds_LQC: Tensor, grid: _Grid, targets: ImageTargets) -> Tensor:
        """(L, Q, N) costs of one image."""
        cost = self.class_weight * class_cost(class_logits_LQK, targets.labels_N)
        if not len(targets.labels_N):
            return cost
        if targets.boxes_N4 is not None:
            if not self.projection_cost:
                return cost
            return cost + self.projection_weight * self._box_cost(mask_embeds_LQC, grid, targets.boxes_N4)
        return cost + self._point_cost(mask_embeds_LQC, grid, targets)

    def _point_cost(self, mask_embeds_LQC: Tensor, grid: _Grid, targets: ImageTargets) -> Tensor:
        """(L, Q, N) weighted binary cross-entropy and dice on points shared by all."""
        points_P2 = random_points(1, self.num_points, grid.features_CHW.device)[0]
        features_PC = sample_features(grid.features_CHW, points_P2 * grid.extent_2)
        logits_LQP = (mask_embeds_LQC @ features_PC.T.to(mask_embeds_LQC)).float()
        masks_NP = targets.masks_at(torch.arange(len(targets.labels_N), device=points_P2.device), points_P2)
        known_P = targets.known_at(points_P2)
        with _float32(logits_LQP):
            bce = self.mask_weight * point_bce_cost(logits_LQP, masks_NP, known_P)
            return bce + self.dice_weight * point_dice_cost(logits_LQP, masks_NP, known_P)

    @staticmethod
    def _box_cost(mask_embeds_LQC: Tensor, grid: _Grid, boxes_N4: Tensor) -> Tensor:
        """(L, Q, N) projection costs, one output at a time: its Q masks are needed at full size."""
        costs = []
        for embeds_QC in mask_embeds_LQC:
            mask_logits_QHW = _masks(embeds_QC, grid)
            with _float32(mask_logits_QHW):
                costs.append(projection_cost(mask_logits_QHW[None], boxes_N4, grid.stride))
        return torch.cat(costs)

    @torch.no_grad()
    def _groups(
        self, class_logits_LQK: Tensor, queries_LM: Tensor, targets_LM: Tensor, targets: ImageTargets
    ) -> Tensor:
        """(L, Q) the pair each proposal belongs to, or -1."""
        mergeable_LM = targets.mergeable_N[targets_LM] & self.merge
        return merging.absorb(class_logits_LQK, queries_LM, targets.labels_N[targets_LM], mergeable_LM)

    def _class_targets(
        self,
        class_logits_LBQK: Tensor,
        pairs: Sequence[tuple[Tensor, Tensor]],
        groups_BLQ: Sequence[Tensor],
        targets_B: Sequence[ImageTargets],
    ) -> tuple[Tensor, Tensor]:
        """(L, B, Q) labels and weights: matched 1, absorbed 0, all others background."""
        groups_LBQ = torch.stack(list(groups_BLQ), dim=1)
        background = class_logits_LBQK.shape[-1] - 1
        labels_LBQ = torch.full_like(groups_LBQ, background)
        weights_LBQ = (groups_LBQ < 0) * self.background_weight
        for b, (queries_LM, targets_LM) in enumerate(pairs):
            labels_LBQ[:, b].scatter_(1, queries_LM, targets_B[b].labels_N[targets_LM])
            weights_LBQ[:, b].scatter_(1, queries_LM, 1.0)
        return labels_LBQ, weights_LBQ

    @staticmethod
    def _pair_masks(mask_embeds_LQC: Tensor, grid: _Grid, groups_LQ: Tensor, num_pairs: int) -> Tensor:
        """(L * M, H, W) mask logits of the pairs, merged with what each absorbed; only of proposals that take part."""
        output_R, query_R = (groups_LQ >= 0).nonzero(as_tuple=True)
        group_R = output_R * num_pairs + groups_LQ[output_R, query_R]
        mask_logits_RHW = _masks(mask_embeds_LQC[output_R, query_R], grid)
        return merging.merge_masks(mask_logits_RHW, group_R, len(mask_embeds_LQC) * num_pairs)

    def _mask_losses(self, mask_logits_MHW: Tensor, grid: _Grid, targets_M: Tensor, targets: ImageTargets) -> Tensor:
        """(2,) sums over the pairs: weighted binary cross-entropy and dice."""
        with torch.no_grad():
            points_MP2 = uncertain_points(
                mask_logits_MHW,
                num_points=self.num_points,
                oversample_ratio=self.oversample_ratio,
                importance_ratio=self.importance_ratio,
                extent_2=grid.extent_2,
            )
            masks_MP = targets.masks_at(targets_M, points_MP2)
            known_MP = targets.known_at(points_MP2)
        logits_MP = sample_maps(mask_logits_MHW, points_MP2 * grid.extent_2)
        bce = self.mask_weight * point_bce_loss(logits_MP, masks_MP, known_MP).sum()
        dice = self.dice_weight * point_dice_loss(logits_MP, masks_MP, known_MP).sum()
        return torch.stack([bce, dice])

    def _box_loss(self, mask_logits_MHW: Tensor, grid: _Grid, targets_M: Tensor, targets: ImageTargets) -> Tensor:
        """(1,) sum over the pairs: weighted projection loss; with ``affinity_weight`` (2,), the colour affinity too."""
        boxes_M4 = targets.boxes_N4[targets_M]
        projection = self.projection_weight * projection_loss(mask_logits_MHW, boxes_M4, grid.stride).sum()
        if not self.affinity_weight:
            return projection[None]
        affinity = self.affinity_weight * _affinity(mask_logits_MHW, grid, boxes_M4)
        return torch.stack([projection, affinity])


def _stride(padded_size: tuple[int, int], mask_features_BCHW: Tensor) -> int:
    """Pixels a cell."""
    grid = tuple(mask_features_BCHW.shape[-2:])
    stride = padded_size[0] // grid[0]
    if padded_size != (stride * grid[0], stride * grid[1]):
        raise ValueError(
            f"expected a batch padded to whole cells of the mask features, got {padded_size} pixels and {grid} cells; "
            "set pad_size_divisor=32 in the data_preprocessor"
        )
    return stride


def _image_grid(features_CHW: Tensor, size: tuple[int, int], stride: int, image_3HW: Tensor | None) -> _Grid:
    height, width = (-(-side // stride) for side in size)
    extent = (size[1] / (width * stride), size[0] / (height * stride))
    extent_2 = features_CHW.new_tensor(extent, dtype=torch.float32)
    image_3HW = None if image_3HW is None else image_3HW[:, : size[0], : size[1]]
    return _Grid(features_CHW[:, :height, :width], stride, extent_2, image_3HW)


def _affinity(mask_logits_MHW: Tensor, grid: _Grid, boxes_M4: Tensor) -> Tensor:
    """(), sum over the pairs: colour affinity among the cells that a box covers by half or more each way."""
    if grid.image_3HW is None:
        raise ValueError("affinity_weight: the colour affinity needs the images; pass images_B3HW")
    with torch.no_grad():
        colors_3HW = F.avg_pool2d(grid.image_3HW[None].float() / 255, grid.stride, ceil_mode=True)[0]
        similarity_EHW = color_similarity(srgb_to_lab(colors_3HW), AFFINITY_DILATION)
        rows_MH, columns_MW = box_profiles(boxes_M4, tuple(mask_logits_MHW.shape[-2:]), grid.stride)
        inside_MHW = (rows_MH >= 0.5)[:, :, None] & (columns_MW >= 0.5)[:, None]
    loss = partial(color_affinity_loss, dilation=AFFINITY_DILATION, threshold=AFFINITY_THRESHOLD)
    chunks = zip(mask_logits_MHW.split(AFFINITY_CHUNK), inside_MHW.split(AFFINITY_CHUNK), strict=True)
    # computed again in the backward pass: kept, the neighbour maps of all outputs and boxes would fill a GPU
    return sum(checkpoint(loss, m, similarity_EHW, inside, use_reentrant=False).sum() for m, inside in chunks)


def _float32(tensor: Tensor) -> torch.autocast:
    """No autocast: sums over thousands of points overflow float16, and bfloat16 rounds them to 3 digits."""
    return torch.autocast(tensor.device.type, enabled=False)


def _masks(mask_embeds_RC: Tensor, grid: _Grid) -> Tensor:
    """(R, H, W) float32 mask logits."""
    return torch.einsum("rc,chw->rhw", mask_embeds_RC, grid.features_CHW).float()


def _normalisers(num_pairs: int, weights_LBQ: Tensor) -> tuple[Tensor, Tensor]:
    """What a rank divides by so that the mean of the ranks' gradients is that of the whole batch; one collective."""
    sums = torch.cat([weights_LBQ.new_tensor([num_pairs, 1]), weights_LBQ.sum((1, 2))])
    all_reduce(sums, "sum")
    num_targets, num_ranks, class_norm_L = sums[0], sums[1], sums[2:]
    # all weights are 0 where nothing is annotated and the background counts nothing
    return num_targets.clamp(min=1) / num_ranks, class_norm_L.clamp(min=torch.finfo(sums.dtype).tiny) / num_ranks
