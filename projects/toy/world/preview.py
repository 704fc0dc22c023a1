"""A contact sheet of the toy world: scenes of every source beside their annotations."""

import cv2
import numpy as np

from projects.toy.world.formats import instance_annotations, scene_segments, semantic_map
from projects.toy.world.scenes import Scene, draw_scene
from projects.toy.world.vocabulary import TOY_BOXES, TOY_OPEN, TOY_PANOPTIC, TOY_SEMANTIC, ToySource

CELL = 320
_TITLE = 26
_ROWS = (
    ("toy_semantic: label maps (black: unlabelled)", TOY_SEMANTIC, "train", "semantic"),
    ("toy_semantic as panoptic (for scoring)", TOY_SEMANTIC, "val", "panoptic"),
    ("toy_panoptic: segments (black: unlabelled, *: crowd)", TOY_PANOPTIC, "train", "panoptic"),
    ("toy_boxes: boxes (*: crowd)", TOY_BOXES, "train", "boxes"),
    ("toy_boxes: true masks (for scoring)", TOY_BOXES, "val", "masks"),
    ("toy_open: the hold-out of unseen combinations", TOY_OPEN, "val", "panoptic"),
)


def contact_sheet(*, seed: int = 0, size: int = 128, pairs: int = 3) -> np.ndarray:
    """Draw a few scenes of every source, each beside its annotation.

    Args:
        seed: Seed of the world.
        size: Height and width of its images in pixels.
        pairs: Scenes per row.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    rows = []
    for title, source, split, form in _ROWS:
        bar = np.full((_TITLE, 2 * pairs * CELL, 3), 255, np.uint8)
        cv2.putText(bar, title, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
        cells = []
        for index in range(pairs):
            scene = draw_scene(source, split, index, seed=seed, size=size)
            cells += [_enlarge(scene.image), _annotated(scene, source, form)]
        rows += [bar, np.concatenate(cells, axis=1)]
    return np.concatenate(rows)


def _annotated(scene: Scene, source: ToySource, form: str) -> np.ndarray:
    """An image with its annotation drawn over it."""
    scale = CELL / scene.image.shape[0]
    if form == "boxes":
        canvas = _enlarge(scene.image)
        for annotation, region in _named(scene, source):
            x, y, width, height = (round(v * scale) for v in annotation["bbox"])
            cv2.rectangle(canvas, (x, y), (x + width - 1, y + height - 1), (255, 255, 255), 1)
            _write(canvas, region, (x + 2, y + 10))
        return canvas
    ids, names = _id_map(scene, source, form)
    # One colour per id, spread over the hues.
    hues = np.array([[[(i * 47) % 180, 190, 230] for i in range(max(names, default=0) + 1)]], np.uint8)
    palette = cv2.cvtColor(hues, cv2.COLOR_HSV2RGB)[0]
    palette[0] = 0
    weight = np.where(ids[..., None] > 0, 0.55, 0.85) if form != "masks" else np.where(ids[..., None] > 0, 0.55, 0.0)
    canvas = _enlarge(((1 - weight) * scene.image + weight * palette[ids]).astype(np.uint8))
    for i, name in names.items():
        ys, xs = np.nonzero(ids == i)
        if len(ys):
            middle = np.argmin((ys - ys.mean()) ** 2 + (xs - xs.mean()) ** 2)
            _write(canvas, name, (round(xs[middle] * scale) - 3 * len(name), round(ys[middle] * scale)))
    return canvas


def _id_map(scene: Scene, source: ToySource, form: str) -> tuple[np.ndarray, dict[int, str]]:
    """(H, W) ids from 1, 0 where nothing is labelled, and the name of each."""
    if form == "semantic":
        ids = semantic_map(scene, source).astype(int)
        return ids, {i: source.classes[i - 1] for i in np.unique(ids).tolist() if i}
    if form == "panoptic":
        ids = np.where(scene_segments(scene, source).ids > 0, scene.region_map + 1, 0)
    else:
        is_thing = np.array([region.is_thing for region in scene.regions])
        ids = np.where(is_thing[scene.region_map], scene.region_map + 1, 0)
    label_of = source.label_of
    return ids, {
        i + 1: source.classes[label_of[region.kind]] + ("*" if region.is_crowd else "")
        for i, region in enumerate(scene.regions)
        if region.kind in label_of
    }


def _named(scene: Scene, source: ToySource) -> list[tuple[dict, str]]:
    """The box annotations of a scene, each with its name."""
    names = [
        source.classes[source.label_of[r.kind]] + ("*" if r.is_crowd else "")
        for r in scene.regions
        if r.is_thing and r.kind in source.label_of
    ]
    return list(zip(instance_annotations(scene, source, with_masks=False), names, strict=True))


def _enlarge(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (CELL, CELL), interpolation=cv2.INTER_NEAREST)


def _write(canvas: np.ndarray, text: str, at: tuple[int, int]) -> None:
    """Write black letters on white, inside the picture."""
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.36, 1)
    at = (int(np.clip(at[0], 1, CELL - width - 1)), int(np.clip(at[1], 10, CELL - 3)))
    for colour, thickness in (((255, 255, 255), 3), ((0, 0, 0), 1)):
        cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, colour, thickness, cv2.LINE_AA)
