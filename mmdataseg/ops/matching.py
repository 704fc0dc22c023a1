"""One-to-one matching of proposals with targets for all images and decoder outputs in one trip to the host.

Letters: B images, L decoder outputs, Q queries, N targets of one image, M = min(Q, N) pairs.
"""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

UNMATCHABLE = (
    1e6  # a cost that is not finite (a diverged half-precision step) must not stop the solver; the loss shows it
)


@torch.no_grad()
def match(costs_B: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Minimum-cost assignment of queries to targets.

    All costs are copied to the host together, once, and the answers back, once.

    Args:
        costs_B: For each image (L, Q, N_b) costs; L and Q are the same for all, N_b may be 0.

    Returns:
        For each image two int64 tensors (L, M_b), query and target of each pair, on the device of the costs, targets
        ascending.

    Raises:
        ValueError: No image, or costs that differ in L or Q.
    """
    if not costs_B:
        raise ValueError("expected the costs of at least one image, got none")
    num_outputs, num_queries = costs_B[0].shape[:2]
    if any(c.dim() != 3 or c.shape[:2] != (num_outputs, num_queries) for c in costs_B):
        raise ValueError(f"costs must be (L, Q, N) with one L and one Q, got {[tuple(c.shape) for c in costs_B]}")
    device = costs_B[0].device
    widths = [c.shape[2] for c in costs_B]
    together = torch.cat([c.float() for c in costs_B], dim=2)
    host = torch.nan_to_num(together, UNMATCHABLE, UNMATCHABLE, -UNMATCHABLE).cpu().split(widths, dim=2)
    pairs = torch.cat([_match_image(c) for c in host], dim=2).to(device)
    sizes = [min(num_queries, width) for width in widths]
    return [(part[0], part[1]) for part in pairs.split(sizes, dim=2)]


def _match_image(cost_LQN: Tensor) -> Tensor:
    """(2, L, M) pairs of one image."""
    num_outputs, num_queries, num_targets = cost_LQN.shape
    pairs = torch.zeros(2, num_outputs, min(num_queries, num_targets), dtype=torch.int64)
    if num_targets:
        for output, cost in enumerate(cost_LQN.numpy()):
            targets, queries = linear_sum_assignment(cost.T)
            pairs[0, output], pairs[1, output] = torch.from_numpy(queries), torch.from_numpy(targets)
    return pairs
