"""The mask logits of a batch, computed only where they are needed.

Letters: B images, L decoder outputs, Q queries, C channels, P points, S proposals that belong to a matched row, R
matched rows of all outputs and images together, (H, W) the grid of the mask features, cut to the largest image.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from mmdataseg.errors import UserError
from mmdataseg.models.heads.dataseg_head import Proposals
from mmdataseg.ops.linear import mask_logits, products
from mmdataseg.ops.merge import merge_masks, row_maxima
from mmdataseg.ops.points import sample_features


@dataclass(frozen=True)
class Members:
    """The proposals that belong to a matched row, image by image.

    Rows are numbered by image, then by output, then by the query that was matched.

    Attributes:
        image_S: (S,) int64, the image of each.
        output_S: (S,) int64, its decoder output.
        query_S: (S,) int64, its query.
        row_S: (S,) int64, its row in 0..R-1.
        target_S: (S,) int64, the target of its row.
        per_image: The number of members of each image.
        rows_per_image: The number of matched rows of each image, R in all.
    """

    image_S: Tensor
    output_S: Tensor
    query_S: Tensor
    row_S: Tensor
    target_S: Tensor
    per_image: Sequence[int]
    rows_per_image: Sequence[int]

    def of_rows(self, values_S: Tensor) -> Tensor:
        """(R,) values of the rows, from (S,) values in which the members of a row agree."""
        num_rows = sum(self.rows_per_image)
        if len(values_S) == num_rows:  # rows of one member each
            return values_S
        return values_S.new_empty(num_rows).scatter_(0, self.row_S, values_S)


@dataclass(frozen=True)
class ProposalMasks:
    """The masks of the proposals of a batch, the rows that MERGE makes of them, and their place on the images.

    The matching has Q candidates per image, one per proposal: a leader has the merged mask of its row, every other
    proposal has its own mask.

    Attributes:
        embeds_BLQC: (B, L, Q, C) mask embeddings.
        features_BCHW: (B, C, H, W) mask features; 0 outside the image.
        stride: Pixels per cell.
        sizes_B2: (B, 2) width and height of each image in pixels.
        inside_BHW: (B, H, W) bool, the cells of each image; None: all, in every image.
        rows_BLQ: (B, L, Q) of `mmdataseg.ops.merge.merge_rows`; None: nothing is merged.
    """

    embeds_BLQC: Tensor
    features_BCHW: Tensor
    stride: int
    sizes_B2: Tensor
    inside_BHW: Tensor | None
    rows_BLQ: Tensor | None

    @property
    def grid(self) -> tuple[int, int]:
        """(H, W)."""
        return tuple(self.features_BCHW.shape[2:])

    @cached_property
    def extents_B2(self) -> Tensor:
        """(B, 2) share of the grid's width and height that each image fills; below 1 if its last cell extends beyond
        it, too."""
        height, width = self.grid
        return torch.stack(
            [side / (self.stride * cells) for side, cells in zip(self.sizes_B2.T, (width, height), strict=True)], 1
        )

    def of_images(self, images: slice) -> "ProposalMasks":
        """The masks of some of the images."""
        inside_BHW, rows_BLQ = (None if x is None else x[images] for x in (self.inside_BHW, self.rows_BLQ))
        return replace(
            self,
            embeds_BLQC=self.embeds_BLQC[images],
            features_BCHW=self.features_BCHW[images],
            sizes_B2=self.sizes_B2[images],
            inside_BHW=inside_BHW,
            rows_BLQ=rows_BLQ,
        )

    def candidates_at(self, points_BP2: Tensor) -> Tensor:
        """Mask logits of all candidates of the matching at points.

        A merged row's value is the maximum of its members' values at the point. The loss takes the maximum on the grid
        and interpolates after that; between two cells the two differ a little.

        Args:
            points_BP2: (B, P, 2), (x, y) in [0, 1] of each image.

        Returns:
            (B, L, Q, P) float32.
        """
        features_BPC = sample_features(self.features_BCHW, points_BP2, self.extents_B2)
        logits = products(self.embeds_BLQC.flatten(1, 2), features_BPC.to(self.embeds_BLQC))
        logits_BLQP = logits.float().view(*self.embeds_BLQC.shape[:3], -1)
        return logits_BLQP if self.rows_BLQ is None else row_maxima(logits_BLQP, self.rows_BLQ)

    def candidates(self) -> Iterator[Tensor]:
        """Mask logits of all candidates of the matching on the whole grid, one output at a time.

        Yields:
            (B, Q, H, W) float32; minus infinity outside the image.
        """
        for output, embeds_BQC in enumerate(self.embeds_BLQC.unbind(1)):
            logits_BQHW = mask_logits(embeds_BQC, self.features_BCHW).float()
            if self.rows_BLQ is not None:
                logits_BQHW = row_maxima(logits_BQHW.flatten(2), self.rows_BLQ[:, output]).view_as(logits_BQHW)
            yield logits_BQHW if self.inside_BHW is None else logits_BQHW + self._none_outside_BHW[:, None]

    def matched_rows(self, members: Members) -> Tensor:
        """Mask logits of the matched rows, computed only for the proposals that belong to one.

        Returns:
            (R, H, W) float32; 0 outside the image, as `mmdataseg.ops.points.sample_maps` reads outside a map.
        """
        embeds_SC = self.embeds_BLQC[members.image_S, members.output_S, members.query_S]
        members_of_images = (x.split(members.per_image) for x in (embeds_SC, members.row_S))
        parts = zip(*members_of_images, self.features_BCHW, members.rows_per_image, strict=True)
        rows, first = [], 0
        for own_SC, row_S, features_CHW, num_rows in parts:  # merged image by image: there may be many members
            mask_logits_SHW = mask_logits(own_SC[None], features_CHW[None])[0].float()
            if len(row_S) != num_rows:  # otherwise rows of one member each, in the order of the rows
                mask_logits_SHW = merge_masks(mask_logits_SHW, row_S - first, num_rows)
            rows.append(mask_logits_SHW)
            first += num_rows
        return torch.cat(rows) if len(rows) > 1 else rows[0]

    def none_outside(self, mask_logits_RHW: Tensor, images_R: Tensor) -> Tensor:
        """(R, H, W) the mask logits of some images, with minus infinity outside the image."""
        if self.inside_BHW is None:
            return mask_logits_RHW
        return mask_logits_RHW + self._none_outside_BHW[images_R]

    @cached_property
    def _none_outside_BHW(self) -> Tensor:
        """0 in the image, minus infinity outside it: on a CPU, torch adds many times faster than it fills by a mask."""
        return torch.where(self.inside_BHW, 0.0, -torch.inf)


def members_of(rows_BLQ: Tensor, targets_BLQ: Tensor, rows_per_image: Sequence[int]) -> Members:
    """Find the members of the matched rows of a batch. Counting them waits for the device.

    Args:
        rows_BLQ: (B, L, Q) int64, the query that leads the row of each proposal, after the matching.
        targets_BLQ: (B, L, Q) int64, the target that each query is matched with, or -1.
        rows_per_image: The number of queries of each image that are matched, in all outputs.
    """
    target_of_row_BLQ = targets_BLQ.gather(2, rows_BLQ)
    belongs_BLQ = target_of_row_BLQ >= 0
    per_image = belongs_BLQ.sum((1, 2)).tolist()
    index = belongs_BLQ.nonzero(as_tuple=True)
    number_BLQ = (targets_BLQ >= 0).flatten().cumsum(0).view_as(rows_BLQ) - 1
    return Members(*index, number_BLQ.gather(2, rows_BLQ)[index], target_of_row_BLQ[index], per_image, rows_per_image)


def proposal_masks(
    proposals: Proposals, sizes: Sequence[tuple[int, int]], padded_size: tuple[int, int], rows_BLQ: Tensor | None
) -> ProposalMasks:
    """The masks of a batch.

    Args:
        proposals: The output of the head.
        sizes: (height, width) of each image in pixels, without padding.
        padded_size: (height, width) of the batch in pixels.
        rows_BLQ: (B, L, Q) of `mmdataseg.ops.merge.merge_rows`; None: nothing is merged.

    Raises:
        UserError: The batch is not padded to whole cells of the mask features.
    """
    cells = tuple(proposals.mask_features_BCHW.shape[-2:])
    stride = padded_size[0] // cells[0]
    if padded_size != (stride * cells[0], stride * cells[1]):
        raise UserError(
            f"expected a batch padded to whole cells of the mask features, got {padded_size} pixels and {cells} cells; "
            "set pad_size_divisor=32 in the data_preprocessor"
        )
    filled = [tuple(-(-side // stride) for side in size) for size in sizes]
    height, width = (max(sides) for sides in zip(*filled, strict=True))
    features_BCHW, inside_BHW = proposals.mask_features_BCHW[:, :, :height, :width], None
    # filled in on the device: a copy from the host would wait for it
    sides = [features_BCHW.new_full((), side, dtype=torch.float32) for size in sizes for side in reversed(size)]
    sizes_B2 = torch.stack(sides).view(-1, 2)
    if len(set(filled)) > 1:
        x, y = (stride * torch.arange(side, device=sizes_B2.device) for side in (width, height))
        inside_BHW = (y[:, None] < sizes_B2[:, 1, None, None]) & (x < sizes_B2[:, 0, None, None])
        features_BCHW = features_BCHW * inside_BHW[:, None].to(features_BCHW)
    return ProposalMasks(
        proposals.mask_embeds_LBQC.transpose(0, 1), features_BCHW, stride, sizes_B2, inside_BHW, rows_BLQ
    )
