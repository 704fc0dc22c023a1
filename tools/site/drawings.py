"""Draw the pictures of docs/concepts.md with the functions that training and inference use.

What a picture shows is computed: rows by `merge_rows`, costs and pairs by the functions of the criterion, projections by
`mask_profiles` and `box_profiles`, what a proposal is taught by the gradient of `DaTaSegCriterion`.

Letters: Q proposals, K classes, J = K + 1 logits (background last), N targets, R rows of MERGE, (H, W) a grid of cells.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.config import Config
from torch import Tensor

from mmdataseg.apis.parsers import Parser
from mmdataseg.models import DaTaSegCriterion, Proposals
from mmdataseg.models.targets.mask_targets import MaskAnnotation
from mmdataseg.ops.box_projection import box_profiles, mask_profiles, projection_loss
from mmdataseg.ops.matching import match
from mmdataseg.ops.merge import merge_masks, merge_rows
from mmdataseg.ops.point_losses import class_cost, point_dice_cost, point_focal_cost
from mmdataseg.sources import Source
from mmdataseg.structures import LabelSpace, Task
from tools.site.svg import FAINT, Drawing

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs/images"
ORANGE, BLUE, GREEN, PINK, GREY = "#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#9a9a9a"
SPACE = LabelSpace("riding", ("person", "horse", "building"), (True, True, False))
COLORS = {"person": ORANGE, "horse": BLUE, "building": GREEN, "background": GREY}
GRID = (12, 20)
SURE = 4.0  # a mask logit


class Scene(NamedTuple):
    """The proposals of one image: two riders, a horse, and a building in two parts; a sixth shows nothing."""

    class_logits_QJ: Tensor
    mask_logits_QHW: Tensor


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line.

    Args:
        argv: Its words; None: those of the process.
    """
    parser = Parser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write them (default: docs/images)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    folder = parse_args(argv).folder
    for name, draw in DRAWINGS.items():
        (folder / name).write_text(draw(), encoding="utf-8")


def ellipse(center: tuple[float, float], radii: tuple[float, float], size: tuple[int, int] = GRID) -> Tensor:
    """(H, W) mask logits of an ellipse.

    Args:
        center: (y, x) in cells.
        radii: (y, x) in cells.
        size: (H, W).
    """
    y, x = torch.meshgrid(torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5, indexing="ij")
    distance = ((y - center[0]) / radii[0]) ** 2 + ((x - center[1]) / radii[1]) ** 2
    return torch.where(distance <= 1, SURE, -SURE)


def rectangle(rows: slice, columns: slice) -> Tensor:
    """(H, W) mask logits of a rectangle.

    Args:
        rows: Of cells.
        columns: Of cells.
    """
    mask = torch.full(GRID, -SURE)
    mask[rows, columns] = SURE
    return mask


def scene() -> Scene:
    """The proposals of the example."""
    probabilities = [  # person, horse, building, background
        (0.90, 0.04, 0.01, 0.05),
        (0.80, 0.05, 0.05, 0.10),
        (0.05, 0.85, 0.05, 0.05),
        (0.02, 0.02, 0.90, 0.06),
        (0.02, 0.03, 0.70, 0.25),
        (0.10, 0.05, 0.15, 0.70),
    ]
    masks = [
        ellipse((4, 8), (2.6, 1.3)),
        ellipse((4, 11.5), (2.4, 1.3)),
        ellipse((8, 10), (2.4, 5.2)),
        rectangle(slice(0, 9), slice(0, 5)),
        rectangle(slice(0, 9), slice(15, 20)),
        ellipse((10.5, 17.5), (1.2, 1.6)),
    ]
    return Scene(torch.tensor(probabilities).log(), torch.stack(masks))


def merge_drawing() -> str:
    """Proposals, and the rows that each task makes of them."""
    logits_QJ, masks_QHW = scene()
    names = [*SPACE.classes, "background"]
    probs, labels = logits_QJ.softmax(-1).max(-1)
    drawing = Drawing(820, 516, "MERGE: six proposals become rows, by the task of the source")
    drawing.text(10, 24, "proposals", font_weight="bold")
    for n, (mask, prob, label) in enumerate(zip(masks_QHW, probs, labels, strict=True)):
        _tile(drawing, n, 34, mask > 0, names[label], f"{names[label]} {prob:.2f}")
    for line, task in enumerate(Task):
        top = 150 + 124 * line
        leaders = merge_rows(logits_QJ[None], SPACE.mergeable(task))[0]
        rows, row_Q = leaders.unique(return_inverse=True)
        drawing.text(10, top, f"{task.value} source: rows", font_weight="bold")
        for n, (mask, leader) in enumerate(zip(merge_masks(masks_QHW, row_Q, len(rows)), rows, strict=True)):
            size, name = int((row_Q == n).sum()), names[labels[leader]]
            _tile(drawing, n, top + 10, mask > 0, name, f"{name}, {size} joined" if size > 1 else name)
    return drawing.to_text()


def _tile(drawing: Drawing, n: int, top: float, mask_HW: Tensor, name: str, caption: str) -> None:
    """The n-th grid of a line of grids, with its caption below."""
    left = 10 + 135 * n
    drawing.cells(left, top, mask_HW, 6, COLORS[name])
    drawing.text(left, top + 88, caption, font_size="12")


def matching_drawing() -> str:
    """The costs of each row with each target of a panoptic image, and the pairs of the lowest sum."""
    logits_QJ, masks_QHW = scene()
    names = [*SPACE.classes, "background"]
    rows, row_Q = merge_rows(logits_QJ[None], SPACE.mergeable(Task.PANOPTIC))[0].unique(return_inverse=True)
    masks_RHW, classes_R = merge_masks(masks_QHW, row_Q, len(rows)), logits_QJ[rows].argmax(-1)
    targets = {  # what was annotated: the first rider is a little wider, the horse is a little longer
        "person (left)": (0, ellipse((4, 8), (2.8, 1.6))),
        "person (right)": (0, ellipse((4, 11.7), (2.4, 1.3))),
        "horse": (1, ellipse((8, 10.5), (2.6, 5.8))),
        "building": (2, torch.maximum(masks_QHW[3], masks_QHW[4])),
    }
    cost_RN = matching_costs(logits_QJ[rows], masks_RHW, list(targets.values()))
    target_R = match([cost_RN[None]])[0, 0]
    drawing = Drawing(760, 408, "Matching: the cost of each row with each target, and the pairs that are chosen")
    drawing.text(10, 24, "rows", font_weight="bold")
    drawing.text(270, 24, "cost with each target; the pairs with the lowest sum are framed", font_weight="bold")
    for n, name in enumerate(targets):
        drawing.text(325 + 110 * n, 48, name, text_anchor="middle")
    for r, mask in enumerate(masks_RHW):
        top, name = 58 + 68 * r, names[classes_R[r]]
        drawing.cells(10, top, mask > 0, 5, COLORS[name])
        drawing.text(124, top + 34, name)
        for n in range(len(targets)):
            x, framed = 272 + 110 * n, target_R[r] == n
            drawing.rect(x, top + 10, 106, 40, fill="#fff3d6" if framed else "#f4f4f4")
            if framed:
                drawing.rect(x, top + 10, 106, 40, fill="none", stroke="#222222", stroke_width="2")
            drawing.text(x + 53, top + 35, f"{cost_RN[r, n]:.2f}", text_anchor="middle")
        if target_R[r] < 0:
            drawing.text(124, top + 50, "in no pair", font_size="12", fill="#666666")
    return drawing.to_text()


def matching_costs(class_logits_RJ: Tensor, mask_logits_RHW: Tensor, targets: Sequence[tuple[int, Tensor]]) -> Tensor:
    """The costs of the criterion, with the weights of the full-size models, on all cells.

    Args:
        class_logits_RJ: (R, K + 1).
        mask_logits_RHW: (R, H, W).
        targets: For each target its class and (H, W) mask logits.

    Returns:
        (R, N).
    """
    criterion = Config.fromfile(ROOT / "configs/_base_/models/dataseg_r50.py").model.criterion
    labels_N = torch.tensor([label for label, _ in targets])
    targets_NP = torch.stack([(mask > 0).float().flatten() for _, mask in targets])
    logits_LRP, weights_P = mask_logits_RHW.flatten(1)[None], torch.ones(targets_NP.shape[1])
    return (
        criterion.class_weight * class_cost(class_logits_RJ[None], labels_N)
        + criterion.targets.masks.focal_weight * point_focal_cost(logits_LRP, targets_NP, weights_P)
        + criterion.targets.masks.dice_weight * point_dice_cost(logits_LRP, targets_NP, weights_P)
    )[0]


def box_drawing() -> str:
    """Three masks with one box: their projections, and the projection loss."""
    size, cell, box = (14, 14), 10, torch.tensor([[3.0, 4.0, 11.0, 10.0]])  # a stride of 1 pixel per cell
    masks = {
        "touches all four sides": ellipse((7, 7), (3.0, 4.0), size),
        "too small": ellipse((7, 6), (2.0, 2.0), size),
        "leaves the box": ellipse((7.5, 7.5), (5.5, 5.5), size),
    }
    drawing = Drawing(700, 268, "Projection loss: a mask and a box, seen from the side and from above")
    drawing.text(10, 24, "mask (blue), box (frame), and their projections on the two axes", font_weight="bold")
    for n, (caption, mask) in enumerate(masks.items()):
        left, top = 14 + 230 * n, 40
        drawing.cells(left, top, mask > 0, cell, BLUE)
        x1, y1, x2, y2 = box[0].tolist()
        corner = (left + cell * x1, top + cell * y1, cell * (x2 - x1), cell * (y2 - y1))
        drawing.rect(*corner, fill="none", stroke="#d55e00", stroke_width="2.5")
        side, below = left + cell * size[1] + 6, top + cell * size[0] + 6
        (mask_rows, mask_columns), (box_rows, box_columns) = mask_profiles(mask), box_profiles(box, size, 1)
        for k in range(size[0]):
            drawing.rect(side, top + cell * k, 14 * float(mask_rows[k]), cell, fill=BLUE)
            drawing.rect(side + 17, top + cell * k, 14 * float(box_rows[0, k]), cell, fill="#d55e00")
        for k in range(size[1]):
            drawing.rect(left + cell * k, below, cell, 14 * float(mask_columns[k]), fill=BLUE)
            drawing.rect(left + cell * k, below + 17, cell, 14 * float(box_columns[0, k]), fill="#d55e00")
        loss = float(projection_loss(mask[None], box, 1))
        drawing.text(left, below + 50, caption)
        drawing.text(left, below + 68, f"projection loss {loss:.2f}", font_weight="bold")
    return drawing.to_text()


def source_drawing() -> str:
    """The three sources of the main experiment, side by side, as their files define them."""
    cfg = Config.fromfile(ROOT / "configs/_base_/ade_coco_objects365.py")
    sources = [Source.from_config(config) for config in cfg.train_sources]
    ratios = cfg.train_dataloader.batch_sampler.ratios
    drawing = Drawing(760, 236, "What a source is: the three sources of the main experiment")
    labels = ("task", "supervision", "classes", "of them things", "mergeable classes", "share of the batches")
    for line, label in enumerate(labels):
        drawing.text(10, 76 + 28 * line, label, fill="#555555")
        drawing.line(10, 84 + 28 * line, 750, 84 + 28 * line, stroke=FAINT)
    for n, (source, ratio, color) in enumerate(zip(sources, ratios, (GREEN, ORANGE, PINK), strict=True)):
        x, space = 190 + 190 * n, source.label_space
        drawing.rect(x, 14, 180, 34, fill=color, fill_opacity="0.35", rx="6")
        drawing.text(x + 90, 36, source.name, text_anchor="middle", font_weight="bold")
        merged = sum(space.mergeable(source.task))
        values = (source.task.value, source.supervision, len(space), sum(space.is_thing), merged)
        for line, value in enumerate([*values, f"{ratio} of {sum(ratios)}"]):
            drawing.text(x + 90, 76 + 28 * line, str(value), text_anchor="middle")
    return drawing.to_text()


def taught(class_logits_QJ: Tensor, annotated: Sequence[tuple[int, int]], mergeable: Sequence[bool]) -> Tensor:
    """The class that each proposal is taught, read from the gradient of the criterion's class loss.

    Args:
        class_logits_QJ: (Q, K + 1), background last. The mask of proposal q is the q-th column of the image.
        annotated: For each target its column and its class; the other columns are void.
        mergeable: For each class whether MERGE joins its proposals.

    Returns:
        (Q,) int64 in 0..K, K for background.
    """
    num_queries, cells = len(class_logits_QJ), 4
    criterion = DaTaSegCriterion(targets=dict(masks=dict(type="mmdataseg.MaskTargets", num_points=None)))
    mask_logits_BQHW = torch.full((1, num_queries, num_queries, num_queries), -SURE)
    for q in range(num_queries):
        mask_logits_BQHW[0, q, :, q] = SURE
    side = cells * num_queries
    id_map_HW = torch.full((side, side), -1, dtype=torch.int32)
    for index, (column, _) in enumerate(annotated):
        id_map_HW[:, cells * column : cells * (column + 1)] = index
    labels_N = torch.tensor([label for _, label in annotated])
    annotation = MaskAnnotation(labels_N, (side, side), void_HW=id_map_HW == -1, id_map_HW=id_map_HW)
    logits = class_logits_QJ.clone().requires_grad_()
    losses = criterion(
        Proposals(torch.empty(0), torch.eye(num_queries)[None, None], mask_logits_BQHW),
        logits[None, None],
        [annotation],
        supervision="masks",
        mergeable=mergeable,
        padded_size=(side, side),
    )
    losses["loss_class"].backward()
    return logits.grad.argmin(-1)  # cross-entropy raises the logit of the class that is taught, and no other


def background_drawing() -> str:
    """What the same three proposals are taught in a batch of two sources with other classes."""
    shown = ("car", "dog", "grass")
    sources: Mapping[str, tuple[str, ...]] = {"streets": ("car", "grass"), "pets": ("dog", "grass")}
    drawing = Drawing(700, 290, "What is background: the same proposals in a batch of two sources")
    for n, (source, classes) in enumerate(sources.items()):
        left = 16 + 345 * n
        columns = [*classes, "background"]
        drawing.text(left, 26, f"a batch of source '{source}'", font_weight="bold")
        drawing.text(left, 46, f"classes: {', '.join(classes)}", fill="#555555")
        logits_QJ = torch.tensor([[0.8 if name == shape else 0.1 for name in columns] for shape in shown]).log()
        annotated = [(q, classes.index(name)) for q, name in enumerate(shown) if name in classes]
        space = LabelSpace(source, classes, tuple(name != "grass" for name in classes))
        labels_Q = taught(logits_QJ, annotated, space.mergeable(Task.PANOPTIC))
        drawing.text(left, 82, "proposal shows", font_size="12", fill="#555555")
        for j, name in enumerate(columns):
            drawing.text(left + 134 + 74 * j, 82, name, text_anchor="middle", font_size="12")
        for q, name in enumerate(shown):
            top = 92 + 44 * q
            drawing.text(left, top + 25, name)
            for j in range(len(columns)):
                right = int(labels_Q[q]) == j
                drawing.rect(left + 99 + 74 * j, top, 70, 38, fill="#fff3d6" if right else "#f4f4f4")
                if right:
                    drawing.text(left + 134 + 74 * j, top + 24, "taught", text_anchor="middle", font_weight="bold")
    drawing.text(16, 250, "A column is a logit. The other source's own class has no column, so no proposal is taught", fill="#555555")
    drawing.text(16, 268, "that it is not that class. The background column is one vector that both sources share.", fill="#555555")
    return drawing.to_text()


DRAWINGS: Mapping[str, Callable[[], str]] = {
    "concepts_background.svg": background_drawing,
    "concepts_box.svg": box_drawing,
    "concepts_matching.svg": matching_drawing,
    "concepts_merge.svg": merge_drawing,
    "concepts_source.svg": source_drawing,
}

if __name__ == "__main__":
    main()
