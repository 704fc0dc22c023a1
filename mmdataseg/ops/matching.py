"""One-to-one matching of proposals with targets for all images and decoder outputs in one trip to the host.

Letters: B images, L decoder outputs, Q queries, N targets of one image.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

UNMATCHED = -1
# In place of a cost that is not finite. A diverged step must not stop the solver; the loss will show it.
UNMATCHABLE = 1e6


@torch.no_grad()
def match(costs: Sequence[Tensor], last_resort_BLQ: Tensor | None = None) -> Tensor:
    """Minimum-cost assignment of queries to targets: min(Q, N) pairs in each output of an image.

    All costs are copied to the host in one copy, and all answers back in one.

    Args:
        costs: For each image (L, Q, N) costs; L and Q are the same for all, N may be 0.
        last_resort_BLQ: (B, L, Q) bool, queries to match only if there are fewer others than targets: each costs more
            than any choice among the others. None: there is no such query.

    Returns:
        (B, L, Q) int64, the target of each query, or -1, on the device of the costs.

    Raises:
        ValueError: There is no image; the costs differ in L or Q; or the last resorts have another shape.
    """
    if not costs:
        raise ValueError("expected the costs of at least one image, got none")
    num_outputs, num_queries = costs[0].shape[:2]
    if any(c.dim() != 3 or c.shape[:2] != (num_outputs, num_queries) for c in costs):
        raise ValueError(f"costs must be (L, Q, N) with one L and one Q, got {[tuple(c.shape) for c in costs]}")
    if last_resort_BLQ is None:
        last_resort_BLQ = torch.zeros(len(costs), num_outputs, num_queries, device=costs[0].device)
    elif last_resort_BLQ.shape != (len(costs), num_outputs, num_queries):
        raise ValueError(
            f"expected last resorts of shape {(len(costs), num_outputs, num_queries)}, "
            f"got {tuple(last_resort_BLQ.shape)}"
        )
    # the first columns mark the last resorts of each image
    columns = [last_resort_BLQ.permute(1, 2, 0).float(), *(c.float() for c in costs)]
    together = torch.nan_to_num(torch.cat(columns, dim=2), UNMATCHABLE, UNMATCHABLE, -UNMATCHABLE)
    last_resort_LQB, *costs_on_host = np.split(
        together.cpu().double().numpy(), np.cumsum([len(costs), *(c.shape[2] for c in costs[:-1])]), axis=2
    )
    targets_BLQ = np.full(last_resort_BLQ.shape, UNMATCHED, dtype=np.int64)
    for image, cost_LQN in enumerate(costs_on_host):
        if cost_LQN.shape[2]:
            _match_image(cost_LQN, last_resort_LQB[..., image], targets_BLQ[image])
    return torch.from_numpy(targets_BLQ).to(together.device)


def _match_image(cost_LQN: np.ndarray, last_resort_LQ: np.ndarray, targets_LQ: np.ndarray) -> None:
    """Write the targets of one image's queries."""
    for cost_QN, last_resort_Q, targets_Q in zip(cost_LQN, last_resort_LQ, targets_LQ, strict=True):
        # one last resort costs more than all that a choice among the other queries can save
        extra = 1 + cost_QN.shape[1] * (cost_QN.max() - cost_QN.min())
        targets, queries = linear_sum_assignment((cost_QN + extra * last_resort_Q[:, None]).T)
        targets_Q[queries] = targets
