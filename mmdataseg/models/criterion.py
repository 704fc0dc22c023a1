"""MERGE, matching and losses of one batch of one source.

Letters: B images, L decoder outputs, Q queries, K classes, J = K + 1 logits (background last), N targets of the
image that has most, R matched rows of all outputs and images together, T terms of the mask loss.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor, nn

from mmdataseg.errors import UserError
from mmdataseg.models.heads.dataseg_head import Proposals
from mmdataseg.models.targets.base import Annotation, Targets, stacked
from mmdataseg.models.targets.proposal_masks import Members, ProposalMasks, members_of, proposal_masks
from mmdataseg.ops import merge as merging
from mmdataseg.ops.matching import match
from mmdataseg.ops.point_losses import class_cost
from mmdataseg.registry import MODELS

MERGES = ("before_matching", "after_matching", "none")


@MODELS.register_module()
class DaTaSegCriterion(nn.Module):
    """Proposals -> MERGE -> matching -> losses, with deep supervision (Gu et al., 2023, figure of the architecture).

    Rows are matched with targets one to one, by a cost of the same terms and weights as the loss. The class loss of a
    row is the mean over its members; a row that is not matched is background. The cost and the loss of masks depend on
    the kind of supervision: see `mmdataseg.models.targets`. Each loss is the sum over the L outputs. Mask terms are
    divided by the number of matched targets over all ranks (at least 1), the class loss by the sum of its weights over
    all ranks.

    Args:
        targets: For each kind of supervision the config of its `Targets`.
        class_weight: Weight of the cross-entropy over K + 1 classes.
        background_weight: Weight of an unmatched row in the class loss.
        merge: ``before_matching``: the proposals of a mergeable class are one row, as in the paper's figure.
            ``after_matching``: single proposals are matched, and an unmatched one joins the target of its class (an
            ablation). ``none``: nothing is merged, as in Mask2Former.

    Raises:
        UserError: ``merge`` is unknown.
        ValueError: The name of a loss term does not start with "loss".
    """

    def __init__(
        self,
        *,
        targets: Mapping[str, Mapping[str, Any]],
        class_weight: float = 2.0,
        background_weight: float = 0.1,
        merge: str = "before_matching",
    ) -> None:
        super().__init__()
        if merge not in MERGES:
            raise UserError(f"merge: expected one of {MERGES}, got {merge!r}; correct it")
        self.targets = nn.ModuleDict({kind: MODELS.build(config) for kind, config in targets.items()})
        for kind in self.targets.values():
            _check_names(kind)
        self.class_weight = class_weight
        self.background_weight = background_weight
        self.merge = merge

    def forward(
        self,
        proposals: Proposals,
        class_logits_LBQJ: Tensor,
        annotations: Sequence[Annotation],
        *,
        supervision: str,
        mergeable: Sequence[bool],
        padded_size: tuple[int, int],
    ) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            proposals: The output of the head.
            class_logits_LBQJ: (L, B, Q, K + 1), background last.
            annotations: Of the B images, as read by the supervision's `Targets`.
            supervision: A key of ``targets``.
            mergeable: For each class whether MERGE joins its proposals (`LabelSpace.mergeable`).
            padded_size: (height, width) of the batch in pixels.

        Returns:
            Scalars ``loss_class`` and those of the supervision. If rows were merged, three more that are only logged:
            ``merged_share``, the share of proposals that are led by another one; ``rows_per_target``; and
            ``split_share``, the share of targets for which a member had to leave its row.

        Raises:
            UserError: The batch is not padded to whole cells of the mask features.
            ValueError: The targets return costs of another shape, or another number of terms than they have names.
        """
        targets: Targets = self.targets[supervision]
        class_logits_BLQJ = class_logits_LBQJ.transpose(0, 1)
        rows_BLQ = self._rows(class_logits_BLQJ, mergeable)
        labels_BN = stacked([annotation.labels_N for annotation in annotations])
        masks = proposal_masks(proposals, [annotation.size for annotation in annotations], padded_size, rows_BLQ)
        num_targets = [len(annotation.labels_N) for annotation in annotations]
        cost_BLQN = self._cost(class_logits_BLQJ, labels_BN, masks, annotations, targets)
        costs = [cost_LQN[..., :n] for cost_LQN, n in zip(cost_BLQN, num_targets, strict=True)]
        targets_BLQ = match(costs, None if rows_BLQ is None else merging.followers(rows_BLQ))
        num_outputs, num_queries = targets_BLQ.shape[1:]
        pairs_per_image = [min(num_queries, n) for n in num_targets]
        num_pairs = sum(pairs_per_image)

        matched_rows_BLQ, labels_BLQ, weights_BLQ = self._class_targets(
            class_logits_BLQJ, rows_BLQ, targets_BLQ, labels_BN, mergeable
        )
        num_matched, class_norm_L = _normalisers(num_pairs, weights_BLQ)
        class_loss_BLQ = F.cross_entropy(class_logits_BLQJ.movedim(-1, 1), labels_BLQ, reduction="none") * weights_BLQ
        if num_pairs:
            members = members_of(matched_rows_BLQ, targets_BLQ, [num_outputs * pairs for pairs in pairs_per_image])
            sums_T = _mask_losses(members, masks, annotations, targets)
        else:  # no target here: still, each rank must give the same parameters a gradient
            zero = 0 * (proposals.mask_embeds_LBQC.float().sum() + proposals.mask_features_BCHW.float().sum())
            sums_T = zero.expand(len(targets.loss_names))
        return {
            "loss_class": self.class_weight * (class_loss_BLQ.sum((0, 2)) / class_norm_L).sum(),
            **dict(zip(targets.loss_names, sums_T / num_matched, strict=True)),
            **({} if rows_BLQ is None or not num_pairs else _merge_statistics(rows_BLQ, targets_BLQ >= 0)),
        }

    @torch.no_grad()
    def _rows(self, class_logits_BLQJ: Tensor, mergeable: Sequence[bool]) -> Tensor | None:
        """(B, L, Q) rows to be matched; None: each proposal is a row of its own."""
        if self.merge != "before_matching" or not any(mergeable):
            return None
        return merging.merge_rows(class_logits_BLQJ, mergeable)

    @torch.no_grad()
    def _cost(
        self,
        class_logits_BLQJ: Tensor,
        labels_BN: Tensor,
        masks: ProposalMasks,
        annotations: Sequence[Annotation],
        targets: Targets,
    ) -> Tensor:
        """(B, L, Q, N) costs of the candidates; those beyond the targets of an image mean nothing."""
        cost_BLQN = self.class_weight * class_cost(class_logits_BLQJ, labels_BN)
        if not labels_BN.shape[1]:
            return cost_BLQN
        if masks.rows_BLQ is not None:
            cost_BLQN = merging.row_means(cost_BLQN, masks.rows_BLQ)
        mask_cost_BLQN = targets.cost(masks, annotations)
        if mask_cost_BLQN.shape != cost_BLQN.shape:  # another shape may broadcast, and match the wrong pairs
            raise ValueError(
                f"{type(targets).__name__}.cost: expected shape {tuple(cost_BLQN.shape)} (images, outputs, "
                f"candidates, targets), got {tuple(mask_cost_BLQN.shape)}; return the cost of each candidate with each "
                "target of its image"
            )
        return cost_BLQN + mask_cost_BLQN

    @torch.no_grad()
    def _class_targets(
        self,
        class_logits_BLQJ: Tensor,
        rows_BLQ: Tensor | None,
        targets_BLQ: Tensor,
        labels_BN: Tensor,
        mergeable: Sequence[bool],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The rows after the matching, and (B, L, Q) labels and weights of the class loss: class and share in a matched
        row; otherwise background and its weight times the share."""
        if self.merge == "after_matching":
            labels_BLQ = _labels(targets_BLQ, labels_BN, otherwise=-1)
            rows_BLQ, shares_BLQ = merging.absorb(class_logits_BLQJ, labels_BLQ, mergeable)
        elif rows_BLQ is None:
            rows_BLQ = torch.arange(targets_BLQ.shape[2], device=targets_BLQ.device).expand_as(targets_BLQ)
            shares_BLQ = torch.ones_like(targets_BLQ, dtype=torch.float32)
        else:
            rows_BLQ, shares_BLQ = merging.split_rows(rows_BLQ, targets_BLQ >= 0)
        target_of_row_BLQ = targets_BLQ.gather(2, rows_BLQ)
        labels_BLQ = _labels(target_of_row_BLQ, labels_BN, otherwise=class_logits_BLQJ.shape[-1] - 1)
        return rows_BLQ, labels_BLQ, shares_BLQ * torch.where(target_of_row_BLQ >= 0, 1.0, self.background_weight)


def _labels(targets_BLQ: Tensor, labels_BN: Tensor, otherwise: int) -> Tensor:
    """(B, L, Q) int64 labels of the targets of each image; where the target is -1, another value."""
    labels_and_other = F.pad(labels_BN, (0, 1), value=otherwise)
    index = torch.where(targets_BLQ >= 0, targets_BLQ, labels_BN.shape[1])
    return labels_and_other.gather(1, index.flatten(1)).view_as(targets_BLQ)


def _mask_losses(members: Members, masks: ProposalMasks, annotations: Sequence[Annotation], targets: Targets) -> Tensor:
    """(T,) sums over the matched rows."""
    images_R, targets_R = members.of_rows(members.image_S), members.of_rows(members.target_S)
    terms_T = targets.loss(masks.matched_rows(members), images_R, targets_R, masks, annotations)
    if terms_T.shape != (len(targets.loss_names),):  # another shape may broadcast, and a term would count twice
        raise ValueError(
            f"{type(targets).__name__}.loss: expected one value for each of {targets.loss_names}, got shape "
            f"{tuple(terms_T.shape)}; sum over the rows and stack the terms"
        )
    return terms_T


def _check_names(targets: Targets) -> None:
    wrong = [name for name in targets.loss_names if not name.startswith("loss")]
    if wrong:
        raise ValueError(
            f"{type(targets).__name__}.loss_names: expected names that start with 'loss', got {wrong[0]!r}; mmengine "
            "trains nothing else"
        )


@torch.no_grad()
def _merge_statistics(rows_BLQ: Tensor, matched_BLQ: Tensor) -> dict[str, Tensor]:
    """How much was merged, and whether enough rows were left for the targets: means over images and outputs."""
    follows_BLQ = merging.followers(rows_BLQ)
    num_targets, num_split = matched_BLQ.sum(), (matched_BLQ & follows_BLQ).sum()
    num_rows = (~follows_BLQ).sum() + num_split  # a member that leaves is a row of its own
    return {
        "merged_share": 1 - num_rows / follows_BLQ.numel(),
        "rows_per_target": num_rows / num_targets,
        "split_share": num_split / num_targets,
    }


def _normalisers(num_pairs: int, weights_BLQ: Tensor) -> tuple[Tensor, Tensor]:
    """Divisors of a rank's sums, with which the mean of the ranks' gradients is that of the whole batch; one
    collective."""
    # filled in on the device: a copy from the host would wait for it
    sums = torch.cat([weights_BLQ.new_full((1,), num_pairs), weights_BLQ.new_ones(1), weights_BLQ.sum((0, 2))])
    all_reduce(sums, "sum")
    num_targets, num_ranks, class_norm_L = sums[0], sums[1], sums[2:]
    # all weights are 0 if nothing is annotated and the background's weight is 0
    class_norm_L = torch.where(class_norm_L > 0, class_norm_L, 1.0)
    return num_targets.clamp(min=1) / num_ranks, class_norm_L / num_ranks
