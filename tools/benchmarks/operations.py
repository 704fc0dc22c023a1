"""`--operations`: the torch operations of a call of each side. On a GPU, each is at least one launch."""

from typing import Any

import torch

from tools.benchmarks.comparing import Comparison, Missing

PROFILER = "2.5"  # torch whose profiler was tried; that of 2.1.2 has microseconds, in which short operations overlap
# torch operations that start nothing on a GPU, unless an operation inside them does
_NO_LAUNCH = frozenset(
    f"aten::{name}"
    for name in (
        "alias as_strided chunk contiguous detach empty empty_like empty_strided expand expand_as flatten item "
        "lift_fresh matrix_H movedim narrow new_empty numpy_T permute reshape resize_ resolve_conj resolve_neg "
        "result_type select slice split split_with_sizes squeeze t to transpose type_as unbind unflatten unsqueeze "
        "view view_as _reshape_alias _unsafe_view"
    ).split()
)


def operations(comparison: Comparison) -> dict[str, int]:
    """Count the torch operations of a call of each side. On a GPU, each is at least one launch.

    An operation that consists of others is not counted itself; views and allocations are not counted either.

    Returns:
        Side -> number of operations.

    Raises:
        Missing: The alternative is not available, or the profiler of this torch cannot tell which operation is part of
            which.
    """
    if torch.__version__ < PROFILER:
        raise Missing(f"operations are counted with torch >= {PROFILER}, here is {torch.__version__}")
    counts = {}
    for side, call in comparison.prepare().items():
        call()  # the first call is not counted: some things are made only then
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            call()
        counts[side] = sum(_launches(event) for event in profile.events() if event.cpu_parent is None)
    return counts


def _launches(event: Any) -> int:
    inside = sum(map(_launches, event.cpu_children))
    return inside or (event.name.startswith("aten::") and event.name not in _NO_LAUNCH)
