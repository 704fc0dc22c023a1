"""Small cases for the criterion: mask embeddings are unit vectors, so the mask features are the mask logits."""

from typing import Any

import torch
import torch.nn.functional as F

from mmdataseg.models import DaTaSegCriterion, Proposals
from mmdataseg.models.targets.box_targets import BoxAnnotation
from mmdataseg.models.targets.mask_targets import MaskAnnotation
from mmdataseg.ops.id_map import VOID

SURE = 12.0
HEIGHT, WIDTH, STRIDE = 8, 8, 4  # cells
SIZE = (STRIDE * HEIGHT, STRIDE * WIDTH)
BACKGROUND = 2


def proposals_of(mask_logits_BQHW: torch.Tensor, num_outputs: int = 1) -> Proposals:
    batch_size, num_queries = mask_logits_BQHW.shape[:2]
    embeds = torch.eye(num_queries).expand(num_outputs, batch_size, -1, -1)
    return Proposals(None, embeds.clone(), mask_logits_BQHW)


def masks_of(*regions: tuple[slice, slice]) -> torch.Tensor:
    """(Q, H, W) logits that are sure of the given regions, in cells."""
    logits = torch.full((len(regions), HEIGHT, WIDTH), -SURE)
    for mask, region in zip(logits, regions, strict=True):
        mask[region] = SURE
    return logits


def classes_of(*classes: int) -> torch.Tensor:
    """(1, 1, Q, J) logits whose most likely classes are the given ones."""
    return 2.0 * F.one_hot(torch.tensor(classes), BACKGROUND + 1).float()[None, None]


def regions(id_map: torch.Tensor, *labels: int) -> MaskAnnotation:
    return MaskAnnotation(
        labels_N=torch.tensor(labels, dtype=torch.int64),
        size=tuple(id_map.shape),
        void_HW=id_map == VOID,
        id_map_HW=id_map,
    )


def boxes(size: tuple[int, int], box_list: list[list[float]], labels: list[int]) -> BoxAnnotation:
    return BoxAnnotation(torch.tensor(labels, dtype=torch.int64), size, boxes_N4=torch.tensor(box_list).reshape(-1, 4))


def criterion_of(
    masks: dict[str, Any] | None = None, boxes: dict[str, Any] | None = None, **changes: Any
) -> DaTaSegCriterion:
    """The default criterion on 64 points, with changes."""
    return DaTaSegCriterion(
        **{
            "targets": {
                "masks": {"type": "mmdataseg.MaskTargets", "num_points": 64, **(masks or {})},
                "boxes": {
                    "type": "mmdataseg.BoxTargets",
                    "loss": {"type": "mmdataseg.BoxProjectionLoss"},
                    "cost": {"type": "mmdataseg.BoxProjectionCost"},
                    **(boxes or {}),
                },
            },
            **changes,
        }
    )


def losses_of(criterion, proposals, classes, annotations, mergeable=(True, True), padded=SIZE):
    """The losses of a batch; boxes are of things, so their proposals are never merged."""
    boxes_alone = isinstance(annotations[0], BoxAnnotation)
    return criterion(
        proposals,
        classes,
        annotations,
        supervision="boxes" if boxes_alone else "masks",
        mergeable=(False, False) if boxes_alone else mergeable,
        padded_size=padded,
    )


LEFT, RIGHT = (slice(None), slice(0, 4)), (slice(None), slice(4, 8))
TOP_LEFT, BOTTOM_LEFT = (slice(0, 4), slice(0, 4)), (slice(4, 8), slice(0, 4))
NOTHING = (slice(0, 0), slice(0, 0))


def cross_entropy(class_logits, query, label):
    return -class_logits[0, 0, query].log_softmax(-1)[label]
