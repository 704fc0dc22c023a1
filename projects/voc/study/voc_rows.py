"""The rows and columns of the study on photographs, and the findings that are checked with them."""

from pathlib import Path

from mmdataseg.apis.config.files import leaf_configs
from mmdataseg.ops.segment_errors import KINDS
from projects.study.command import Row, sources_of
from projects.study.findings import Finding
from projects.study.statistics import Results, Stat, mean_stat, stat

CONFIGS = Path(__file__).parents[1] / "configs"
# S: label maps, P: panoptic segments, B: boxes
COMBINATIONS = {
    "S": "dataseg_voc_semantic",
    "P": "dataseg_voc_panoptic",
    "B": "dataseg_voc_boxes",
    "S+P": "dataseg_voc_semantic-panoptic",
    "S+B": "dataseg_voc_semantic-boxes",
    "P+B": "dataseg_voc_panoptic-boxes",
    "S+P+B": "dataseg_voc_3ds",
}
ALL = COMBINATIONS["S+P+B"]
UPPER_BOUND = "dataseg_voc_true-masks"
SHARES = {f"P 110 + B {count}": f"dataseg_voc_110-masks_{count}-boxes" for count in (0, 55, 110, 220, 440)}
SHARE_PARTS = 2
"""All shares of boxes train equally long, to show the effect of the boxes and not of a longer training."""
TRANSFER = "dataseg_voc_3ds_transfer"
WITH_CAMVID = "dataseg_voc_4ds"
TRAINING_IMAGES = "dataseg_voc_3ds_training-images"


def longer(name: str, parts: int) -> str:
    """Return the name of a row that trains a config of another row longer."""
    return f"{name}_x{parts}"


def on_training_images(name: str) -> str:
    """Return the name of the row that tests the weights of another row on images that they were trained on."""
    return f"{name}_training-images"


NO_BOXES, MOST_BOXES = SHARES["P 110 + B 0"], SHARES["P 110 + B 440"]
LONGER = [
    *((COMBINATIONS[label], 3) for label in "SP"),
    *((name, 6) for name in (COMBINATIONS["P"], ALL, NO_BOXES, MOST_BOXES)),
]
"""Config and length of the trainings that are compared at equal length. ALL itself has length 3."""
LENGTHS = [
    ("P", COMBINATIONS["P"]),
    ("P 110 + B 0", NO_BOXES),
    ("P 110 + B 440", MOST_BOXES),
    ("P", longer(COMBINATIONS["P"], 3)),
    ("S+P+B", ALL),
    ("P", longer(COMBINATIONS["P"], 6)),
    ("S+P+B", longer(ALL, 6)),
    ("P 110 + B 0", longer(NO_BOXES, 6)),
    ("P 110 + B 440", longer(MOST_BOXES, 6)),
]
"""Label and name of trainings of several lengths, by length, that are also tested on images of their training."""

SEMANTIC, PANOPTIC, BOXES = "voc_semantic/mIoU", "voc_panoptic/PQ", "voc_boxes/mask_AP"
STEADY_SEMANTIC, STEADY_PANOPTIC = "voc_semantic/mIoU_steady", "voc_panoptic/PQ_steady"
STEADY_BOXES, FILLED = "voc_boxes/steady/mask_AP", "voc_boxes/steady/mask_AP_filled_boxes"
CAMVID = "camvid_semantic/mIoU"
STEADY = (STEADY_SEMANTIC, STEADY_PANOPTIC, STEADY_BOXES)
STEADY_TRAINING = tuple(metric.replace("/", "_training/", 1) for metric in STEADY)
"""The same metrics of the sources of TRAINING_IMAGES."""
COLUMNS = {
    "S: mIoU": SEMANTIC,
    "S: mIoU, steady": STEADY_SEMANTIC,
    "P: PQ": PANOPTIC,
    "P: PQ, steady": STEADY_PANOPTIC,
    "B: mask AP": BOXES,
    "B: mask AP, steady": STEADY_BOXES,
    "the same, filled boxes": FILLED,
}
ERRORS = {kind.replace("_", " "): f"voc_panoptic/{kind}_th" for kind in (*KINDS, "invented")}
OF_SIZE = {size: [name for row, name in COMBINATIONS.items() if row.count("+") == size - 1] for size in (1, 2, 3)}


def all_rows() -> tuple[dict[str, Row], list[Path]]:
    """Return the rows of the study.

    Returns:
        Name -> row, the combinations first; and the configs of the ablations, which are all in the folder.
    """
    leaves = {leaf.stem: leaf for leaf in leaf_configs(CONFIGS)}
    ablations = [leaf for leaf in leaves.values() if leaf.parent.name == "ablations"]
    by_sources = [*COMBINATIONS.values(), UPPER_BOUND, WITH_CAMVID, *(leaf.stem for leaf in ablations)]
    rows = {name: Row(config=leaves[name], parts=sources_of(leaves[name])) for name in by_sources}
    rows |= {name: Row(config=leaves[name], parts=SHARE_PARTS) for name in SHARES.values()}
    rows |= {longer(name, parts): Row(config=leaves[name], parts=parts) for name, parts in LONGER}
    rows[TRANSFER] = Row(config=leaves[TRANSFER], parts=0, weights_of=ALL)
    rows |= {
        on_training_images(name): Row(config=leaves[TRAINING_IMAGES], parts=0, weights_of=name) for _, name in LENGTHS
    }
    return rows, ablations


def findings(results: Results) -> list[Finding]:
    """Check the findings of the paper by the scores over the steady classes.

    Args:
        results: Results of the whole study.
    """

    def of(row: str, metric: str) -> Stat | None:
        return stat(results, COMBINATIONS.get(row, row), metric)

    def of_size(size: int) -> Stat | None:
        return mean_stat(results, OF_SIZE[size], STEADY)

    def ablation(claim: str, name: str) -> Finding:
        rival = f"{ALL}_{name}"
        compared = f"S+P+B against {name}: mean of mIoU of S, PQ of P and mask AP of B"
        return Finding(claim, compared, mean_stat(results, [ALL], STEADY), mean_stat(results, [rival], STEADY))

    helps, gain, masks, few, more, equal = (
        "co-training helps the label maps",
        "boxes gain masks from the other sources",
        "boxes become masks",
        "boxes help where masks are few",
        "more sources help",
        "more sources help at equal length",
    )
    return [
        Finding(helps, "S+P+B against S, mIoU of S", of("S+P+B", STEADY_SEMANTIC), of("S", STEADY_SEMANTIC)),
        Finding(gain, "S+P+B against B, mask AP", of("S+P+B", STEADY_BOXES), of("B", STEADY_BOXES)),
        Finding(masks, "S+P+B: masks against filled boxes", of("S+P+B", STEADY_BOXES), of("S+P+B", FILLED)),
        Finding(
            "true masks are better than boxes",
            "upper bound against S+P+B, mask AP",
            of(UPPER_BOUND, STEADY_BOXES),
            of("S+P+B", STEADY_BOXES),
        ),
        Finding(
            few,
            "110 masks with 440 boxes against none, mask AP",
            of(MOST_BOXES, STEADY_BOXES),
            of(NO_BOXES, STEADY_BOXES),
        ),
        Finding(
            few,
            "110 masks with 440 boxes against none, PQ",
            of(MOST_BOXES, STEADY_PANOPTIC),
            of(NO_BOXES, STEADY_PANOPTIC),
        ),
        Finding(
            few,
            "the same with three times the length, mask AP",
            of(longer(MOST_BOXES, 6), STEADY_BOXES),
            of(longer(NO_BOXES, 6), STEADY_BOXES),
        ),
        Finding(
            few,
            "the same with three times the length, PQ",
            of(longer(MOST_BOXES, 6), STEADY_PANOPTIC),
            of(longer(NO_BOXES, 6), STEADY_PANOPTIC),
        ),
        Finding(more, "two against one: mean of the three scores and of all rows", of_size(2), of_size(1)),
        Finding(more, "three against two: the same", of_size(3), of_size(2)),
        Finding(
            equal,
            "S+P+B against P, both as long as S+P+B: mean of the three scores",
            mean_stat(results, [ALL], STEADY),
            mean_stat(results, [longer(COMBINATIONS["P"], 3)], STEADY),
        ),
        Finding(
            equal,
            "the same, both twice as long",
            mean_stat(results, [longer(ALL, 6)], STEADY),
            mean_stat(results, [longer(COMBINATIONS["P"], 6)], STEADY),
        ),
        ablation("the projection in the cost of matching helps", "no-projection-cost"),
        ablation("MERGE in training helps", "no-merge"),
        ablation("MERGE belongs before the matching", "merge-after-matching"),
        ablation("text beats learned classifiers", "no-text"),
        ablation("focal loss beats binary cross-entropy", "bce"),
    ]
