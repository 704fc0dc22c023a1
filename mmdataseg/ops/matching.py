"""One-to-one matching of proposals with targets for all images and decoder outputs in one trip to the host.

Letters: B images, L decoder outputs, Q queries, N targets of one image, M = min(Q, N) pairs.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

# In place of a cost that is not finite. A diverged step must not stop the solver; the loss will show it.
UNMATCHABLE = 1e6


@torch.no_grad()
def match(costs: Sequence[Tensor], last_resort_BLQ: Tensor | None = None) -> list[tuple[Tensor, Tensor]]:
    """Minimum-cost assignment of queries to targets.

    All costs are copied to the host in one copy, and all answers back in one.

    Args:
        costs: For each image (L, Q, N) costs; L and Q are the same for all, N may be 0.
        last_resort_BLQ: (B, L, Q) bool, queries to match only if there are fewer others than targets: each costs more
            than any choice among the others. None: there is no such query.

    Returns:
        For each image two int64 tensors (L, M), query and target of each pair, on the device of the costs, targets
        ascending.

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
    widths = [c.shape[2] for c in costs]
    # the last column of each image marks its last resorts
    columns = [c.float() for pair in zip(costs, last_resort_BLQ[..., None], strict=True) for c in pair]
    together = torch.nan_to_num(torch.cat(columns, dim=2), UNMATCHABLE, UNMATCHABLE, -UNMATCHABLE)
    host = together.cpu().split([width + 1 for width in widths], dim=2)
    pairs = torch.cat([_match_image(c[..., :-1], c[..., -1]) for c in host], dim=2).to(together.device)
    sizes = [min(num_queries, width) for width in widths]
    return [(part[0], part[1]) for part in pairs.split(sizes, dim=2)]


def _match_image(cost_LQN: Tensor, last_resort_LQ: Tensor) -> Tensor:
    """(2, L, M) pairs of one image."""
    num_outputs, num_queries, num_targets = cost_LQN.shape
    pairs = np.zeros((2, num_outputs, min(num_queries, num_targets)), dtype=np.int64)
    if num_targets:
        outputs = zip(cost_LQN.double().numpy(), last_resort_LQ.double().numpy(), strict=True)
        for output, (cost, last_resort) in enumerate(outputs):
            # one last resort costs more than all that a choice among the other queries can save
            extra = 1 + num_targets * (cost.max() - cost.min())
            targets, queries = linear_sum_assignment((cost + extra * last_resort[:, None]).T)
            pairs[:, output] = queries, targets
    return torch.from_numpy(pairs)
