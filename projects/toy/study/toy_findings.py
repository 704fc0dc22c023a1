"""The toy study: its rows, its columns, and the paper's findings that are checked with them."""

from collections.abc import Iterable

from projects.study.findings import Finding
from projects.study.statistics import Results, Stat, mean_stat, stat

# S: label maps, P: panoptic segments, B: boxes
COMBINATIONS = {
    "S": "dataseg_toy_semantic",
    "P": "dataseg_toy_panoptic",
    "B": "dataseg_toy_boxes",
    "S+P": "dataseg_toy_semantic-panoptic",
    "S+B": "dataseg_toy_semantic-boxes",
    "P+B": "dataseg_toy_panoptic-boxes",
    "S+P+B": "dataseg_toy_3ds",
}
ALL = COMBINATIONS["S+P+B"]
SEMANTIC, PANOPTIC, BOXES = "toy_semantic/mIoU", "toy_panoptic/PQ", "toy_boxes/mask_AP"
WEAK, OPEN, OPEN_CHANCE = "toy_semantic_as_panoptic/PQ", "toy_open/PQ", "toy_open/PQ_chance"
BOX_ONLY, FILLED = "toy_boxes/box_only/mask_AP", "toy_boxes/box_only/mask_AP_filled_boxes"
FOUR = (SEMANTIC, PANOPTIC, WEAK, BOXES)
"""The columns of the paper's table."""
COLUMNS = {
    "S: mIoU": SEMANTIC,
    "P: PQ": PANOPTIC,
    "S as panoptic: PQ": WEAK,
    "B: mask AP": BOXES,
    "box-only classes: mask AP": BOX_ONLY,
    "the same, filled boxes": FILLED,
    "unseen names: PQ": OPEN,
}
OF_SIZE = {size: [name for row, name in COMBINATIONS.items() if row.count("+") == size - 1] for size in (1, 2, 3)}


def without_text(ablations: Iterable[str]) -> str | None:
    """The ablation that learns a classifier for each source instead of using text."""
    found = [name for name in ablations if "no-text" in name]
    return found[0] if found else None


def findings(results: Results, ablations: Iterable[str] = ()) -> list[Finding]:
    """Check the findings of the paper.

    Args:
        results: The results of the whole study.
        ablations: Names of the ablations' configs.
    """

    def of(row: str, metric: str) -> Stat | None:
        return stat(results, COMBINATIONS.get(row, row), metric)

    def of_size(size: int) -> Stat | None:
        return mean_stat(results, OF_SIZE[size], FOUR)

    helps, masks, boxes, weak, more, text = (
        "co-training helps the small semantic source",
        "boxes become masks",
        "boxes gain masks from the other sources",
        "the semantic source gains panoptic segments",
        "more sources help",
        "text beats a classifier for each source",
    )
    found = [
        Finding(helps, "S+P+B against S, mIoU of S", of("S+P+B", SEMANTIC), of("S", SEMANTIC)),
        Finding(
            masks, "S+P+B, box-only classes: masks against filled boxes", of("S+P+B", BOX_ONLY), of("S+P+B", FILLED)
        ),
        Finding(boxes, "S+P+B against B, box-only classes, mask AP", of("S+P+B", BOX_ONLY), of("B", BOX_ONLY)),
        Finding(weak, "S+P+B against S, S as panoptic, PQ", of("S+P+B", WEAK), of("S", WEAK)),
        Finding(more, "two against one: mean of the paper's four columns and of all rows", of_size(2), of_size(1)),
        Finding(more, "three against two: the same", of_size(3), of_size(2)),
        Finding(more, "S+P+B against P, PQ of P", of("S+P+B", PANOPTIC), of("P", PANOPTIC)),
        Finding(more, "S+P+B against B, mask AP of B", of("S+P+B", BOXES), of("B", BOXES)),
    ]
    rival = without_text(ablations)
    if rival is not None:
        own = (SEMANTIC, PANOPTIC, BOXES)
        compared = f"S+P+B against {rival}: mean of mIoU of S, PQ of P and mask AP of B"
        found.append(Finding(text, compared, mean_stat(results, [ALL], own), mean_stat(results, [rival], own)))
    else:
        found.append(Finding(text, "no config without text", None, None))
    return [
        *found,
        Finding("names never seen are found", "S+P+B against chance, PQ", of("S+P+B", OPEN), of("S+P+B", OPEN_CHANCE)),
    ]
