"""The mask logits of one image, computed only where they are needed.

Letters: B images, L decoder outputs, Q queries, C channels, P points, S proposals that belong to a matched row, T those
of all images, R = L M matched rows of all outputs together, (H, W) the grid of the mask features without the batch's
padding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mmdataseg.errors import UserError
from mmdataseg.models.heads.dataseg_head import Proposals
from mmdataseg.ops.merge import merge_masks, row_maxima
from mmdataseg.ops.points import sample_features


class Members(NamedTuple):
    """The proposals of one image that belong to a matched row.

    Attributes:
        output_S: (S,) int64, the decoder output of each.
        query_S: (S,) int64, its query.
        pair_S: (S,) int64, its pair in that output.
        num_pairs: M, the pairs of an output.
    """

    output_S: Tensor
    query_S: Tensor
    pair_S: Tensor
    num_pairs: int


@dataclass(frozen=True)
class ImageMasks:
    """The masks of one image's proposals, the rows that MERGE makes of them, and their place on the image.

    The matching has Q candidates, one per proposal: a leader has the merged mask of its row, every other proposal has
    its own mask.

    Attributes:
        embeds_LQC: (L, Q, C) mask embeddings.
        features_CHW: (C, H, W) mask features, of the part that the image fills.
        stride: Pixels per cell.
        extent_2: (2,) share of the grid's width and height that the image fills; below 1 if the last cell extends
            beyond it.
        rows_LQ: (L, Q) of `mmdataseg.ops.merge.merge_rows`; None: nothing is merged.
    """

    embeds_LQC: Tensor
    features_CHW: Tensor
    stride: int
    extent_2: Tensor
    rows_LQ: Tensor | None

    def candidates_at(self, points_P2: Tensor) -> Tensor:
        """Mask logits of all candidates of the matching at points.

        A merged row's value is the maximum of its members' values at the point. The loss takes the maximum on the grid
        and interpolates after that; between two cells the two differ a little.

        Args:
            points_P2: (P, 2), (x, y) in [0, 1] of the image.

        Returns:
            (L, Q, P) float32.
        """
        features_PC = sample_features(self.features_CHW, points_P2, self.extent_2)
        logits_LQP = (self.embeds_LQC @ features_PC.T.to(self.embeds_LQC)).float()
        return logits_LQP if self.rows_LQ is None else row_maxima(logits_LQP, self.rows_LQ)

    def candidates(self) -> Iterator[Tensor]:
        """Mask logits of all candidates of the matching on the whole grid, one output at a time.

        Yields:
            (Q, H, W) float32.
        """
        for output, embeds_QC in enumerate(self.embeds_LQC):
            logits_QHW = self._masks(embeds_QC)
            if self.rows_LQ is not None:
                rows_1Q = self.rows_LQ[output, None]
                logits_QHW = row_maxima(logits_QHW[None].flatten(2), rows_1Q).view_as(logits_QHW)
            yield logits_QHW

    def matched_rows(self, members: Members) -> Tensor:
        """Mask logits of the matched rows, computed only for the proposals that belong to one.

        Returns:
            (R, H, W): the pairs of the first output, then those of the next.
        """
        mask_logits_SHW = self._masks(self.embeds_LQC[members.output_S, members.query_S])
        row_S = members.output_S * members.num_pairs + members.pair_S
        return merge_masks(mask_logits_SHW, row_S, len(self.embeds_LQC) * members.num_pairs)

    def _masks(self, embeds_SC: Tensor) -> Tensor:
        """(S, H, W) float32."""
        features_CHW = self.features_CHW
        # not einsum: it makes several views for each product, and clones those of a batch of one
        return (embeds_SC @ features_CHW.flatten(1)).view(-1, *features_CHW.shape[1:]).float()


def members_of(groups_BLQ: Tensor, num_pairs_B: Sequence[int]) -> list[Members]:
    """Find the members of each image's matched rows, for the whole batch at once: counting them waits for the device.

    Args:
        groups_BLQ: (B, L, Q) int64, the pair that each proposal belongs to, or -1.
        num_pairs_B: For each image M, the pairs of an output.
    """
    belongs_BLQ = groups_BLQ >= 0
    counts_B = belongs_BLQ.sum((1, 2)).tolist()
    image_T, output_T, query_T = belongs_BLQ.nonzero(as_tuple=True)
    columns = (output_T, query_T, groups_BLQ[image_T, output_T, query_T])
    parts = zip(*(column.split(counts_B) for column in columns), num_pairs_B, strict=True)
    return [Members(*part) for part in parts]


def image_masks(
    proposals: Proposals, sizes: Sequence[tuple[int, int]], padded_size: tuple[int, int], rows_BLQ: Tensor | None
) -> list[ImageMasks]:
    """The masks of each image of a batch.

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
    masks = []
    for image, (size, features_CHW) in enumerate(zip(sizes, proposals.mask_features_BCHW, strict=True)):
        height, width = (-(-side // stride) for side in size)
        extent = (size[1] / (width * stride), size[0] / (height * stride))
        # filled in on the device: a copy from the host would wait for it
        extent_2 = torch.stack([features_CHW.new_full((), side, dtype=torch.float32) for side in extent])
        embeds_LQC = proposals.mask_embeds_LBQC[:, image]
        rows_LQ = None if rows_BLQ is None else rows_BLQ[image]
        masks.append(ImageMasks(embeds_LQC, features_CHW[:, :height, :width], stride, extent_2, rows_LQ))
    return masks
