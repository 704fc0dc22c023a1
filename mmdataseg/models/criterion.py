"""MERGE, matching and losses of one batch of one source.

Letters: B images, L decoder outputs, Q queries, K classes, J = K + 1 logits (background last), N targets of an image, M
matched rows of an output, R = L M matched rows of all outputs of an image, T terms of the mask loss.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor, nn

from mmdataseg.errors import UserError
from mmdataseg.models.heads.dataseg_head import Proposals
from mmdataseg.models.targets.base import Annotation, Targets
from mmdataseg.models.targets.image_masks import ImageMasks, Members, image_masks, members_of
from mmdataseg.ops import merge as merging
from mmdataseg.ops.matching import match
from mmdataseg.ops.point_losses import class_cost
from mmdataseg.registry import MODELS

MERGES = ("before_matching", "after_matching", "none")


class _Matched(NamedTuple):
    """The matched rows of one image, M in each output."""

    targets_LM: Tensor
    labels_LM: Tensor
    groups_LQ: Tensor  # the matched row that each proposal belongs to, or -1
    shares_LQ: Tensor  # each proposal's share in the class loss of its row


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
        masks = image_masks(proposals, [a.size for a in annotations], padded_size, rows_BLQ)
        costs = [self._cost(*image, targets) for image in zip(class_logits_BLQJ, masks, annotations, strict=True)]
        pairs = match(costs, None if rows_BLQ is None else merging.followers(rows_BLQ))
        matched = [
            self._matched(class_logits_LQJ, rows_LQ, queries_LM, targets_LM, annotation.labels_N, mergeable)
            for class_logits_LQJ, rows_LQ, (queries_LM, targets_LM), annotation in zip(
                class_logits_BLQJ, [m.rows_LQ for m in masks], pairs, annotations, strict=True
            )
        ]
        labels_BLQ, weights_BLQ = self._class_targets(matched, background=class_logits_BLQJ.shape[-1] - 1)
        num_pairs = sum(m.targets_LM.shape[1] for m in matched)
        num_targets, class_norm_L = _normalisers(num_pairs, weights_BLQ)

        class_loss_BLQ = F.cross_entropy(class_logits_BLQJ.movedim(-1, 1), labels_BLQ, reduction="none") * weights_BLQ
        sums = proposals.mask_embeds_LBQC.new_zeros(len(targets.loss_names), dtype=torch.float32)
        members = members_of(torch.stack([m.groups_LQ for m in matched]), [m.targets_LM.shape[1] for m in matched])
        for image in zip(matched, members, masks, annotations, strict=True):
            sums = sums + _mask_loss(*image, targets)
        if not num_pairs:  # no target here: still, each rank must give the same parameters a gradient
            sums = sums + 0 * (proposals.mask_embeds_LBQC.float().sum() + proposals.mask_features_BCHW.float().sum())
        return {
            "loss_class": self.class_weight * (class_loss_BLQ.sum((0, 2)) / class_norm_L).sum(),
            **dict(zip(targets.loss_names, sums / num_targets, strict=True)),
            **({} if rows_BLQ is None or not num_pairs else _merge_statistics(rows_BLQ, pairs)),
        }

    @torch.no_grad()
    def _rows(self, class_logits_BLQJ: Tensor, mergeable: Sequence[bool]) -> Tensor | None:
        """(B, L, Q) rows to be matched; None: each proposal is a row of its own."""
        if self.merge != "before_matching" or not any(mergeable):
            return None
        return merging.merge_rows(class_logits_BLQJ.flatten(0, 1), mergeable).view(class_logits_BLQJ.shape[:3])

    @torch.no_grad()
    def _cost(self, class_logits_LQJ: Tensor, masks: ImageMasks, annotation: Annotation, targets: Targets) -> Tensor:
        """(L, Q, N) costs of the candidates of one image."""
        cost_LQN = self.class_weight * class_cost(class_logits_LQJ, annotation.labels_N)
        if not len(annotation.labels_N):
            return cost_LQN
        if masks.rows_LQ is not None:
            cost_LQN = merging.row_means(cost_LQN, masks.rows_LQ)
        mask_cost_LQN = targets.cost(masks, annotation)
        if mask_cost_LQN.shape != cost_LQN.shape:  # another shape may broadcast, and match the wrong pairs
            raise ValueError(
                f"{type(targets).__name__}.cost: expected shape {tuple(cost_LQN.shape)} (outputs, candidates, "
                f"targets), got {tuple(mask_cost_LQN.shape)}; return the cost of each candidate with each target"
            )
        return cost_LQN + mask_cost_LQN

    @torch.no_grad()
    def _matched(
        self,
        class_logits_LQJ: Tensor,
        rows_LQ: Tensor | None,
        queries_LM: Tensor,
        targets_LM: Tensor,
        labels_N: Tensor,
        mergeable: Sequence[bool],
    ) -> _Matched:
        """The matched row that each proposal of one image belongs to."""
        labels_LM = labels_N[targets_LM]
        if self.merge == "after_matching":
            members = merging.groups_by_absorption(class_logits_LQJ, queries_LM, labels_LM, mergeable)
        else:
            if rows_LQ is None:
                rows_LQ = torch.arange(class_logits_LQJ.shape[1], device=queries_LM.device).expand(len(queries_LM), -1)
            members = merging.groups_of_rows(rows_LQ, queries_LM)
        return _Matched(targets_LM, labels_LM, *members)

    @torch.no_grad()
    def _class_targets(self, matched: Sequence[_Matched], background: int) -> tuple[Tensor, Tensor]:
        """(B, L, Q) labels and weights: class and share in a matched row; otherwise background and its weight times the
        share."""
        groups_BLQ = torch.stack([m.groups_LQ for m in matched])
        shares_BLQ = torch.stack([m.shares_LQ for m in matched])
        labels = []
        for m in matched:
            labels_and_background = F.pad(m.labels_LM, (0, 1), value=background)
            index_LQ = torch.where(m.groups_LQ >= 0, m.groups_LQ, m.labels_LM.shape[1])
            labels.append(labels_and_background.gather(1, index_LQ))
        return torch.stack(labels), shares_BLQ * torch.where(groups_BLQ >= 0, 1.0, self.background_weight)


def _mask_loss(
    matched: _Matched, members: Members, masks: ImageMasks, annotation: Annotation, targets: Targets
) -> Tensor:
    """(T,) sums over the matched rows of one image; a zero where it has none."""
    if not members.num_pairs:
        return masks.features_CHW.new_zeros((), dtype=torch.float32)
    mask_logits_RHW = masks.matched_rows(members)
    terms_T = targets.loss(mask_logits_RHW, matched.targets_LM.flatten(), masks, annotation)
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
def _merge_statistics(rows_BLQ: Tensor, pairs: Sequence[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """How much was merged, and whether enough rows were left for the targets: means over images and outputs."""
    follows_BLQ = merging.followers(rows_BLQ)
    num_targets = sum(queries_LM.numel() for queries_LM, _ in pairs)
    num_split = sum(f_LQ.gather(1, queries_LM).sum() for f_LQ, (queries_LM, _) in zip(follows_BLQ, pairs, strict=True))
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
