"""Scenes as the real data sets annotate them: ADE-style label maps, COCO panoptic segments, COCO boxes and masks."""

from typing import Any

import numpy as np

from mmdataseg.formats.coco_panoptic import PanopticSegments
from mmdataseg.formats.masks import describe_mask
from projects.toy.world.scenes import Scene
from projects.toy.world.vocabulary import ToySource

FIRST_STUFF_CATEGORY = 101
# Distance between the segment ids of a scene: large, so that they need all three bytes of a PNG's pixel, as COCO's do.
_SEGMENT_ID_STEP = 1_000_003
_JSON = dict[str, Any]


def category_id(source: ToySource, label: int) -> int:
    """The id on disk of a label: with gaps and stuff far from things, as in COCO panoptic."""
    name = source.classes[label]
    if name in source.things:
        position = list(source.things).index(name)
        return 1 + position + position // 4
    return FIRST_STUFF_CATEGORY + 2 * list(source.stuff).index(name)


def categories(source: ToySource) -> list[_JSON]:
    """The ``categories`` of a COCO JSON; with ``isthing``, as COCO panoptic has it."""
    return [
        {
            "id": category_id(source, label),
            "name": name,
            "supercategory": "thing" if name in source.things else "stuff",
            "isthing": int(name in source.things),
        }
        for label, name in enumerate(source.classes)
    ]


def semantic_map(scene: Scene, source: ToySource) -> np.ndarray:
    """Labels as in ADE20K's PNG files.

    Returns:
        (H, W) uint8: label + 1, or 0 where the source has no label.
    """
    values = np.array([source.label_of.get(region.kind, -1) + 1 for region in scene.regions], np.uint8)
    return np.where(scene.unlabelled, np.uint8(0), values[scene.region_map])


def scene_segments(scene: Scene, source: ToySource) -> PanopticSegments:
    """Segments as in COCO panoptic: one for each thing, one for each crowd, one for each class of stuff."""
    owner: dict[tuple[int, int], int] = {}  # (label, region of a thing or -1) -> segment id
    id_of_region = np.zeros(len(scene.regions), np.int32)
    crowds = set()
    for i, region in enumerate(scene.regions):
        label = source.label_of.get(region.kind)
        if label is None:
            continue
        key = (label, i if region.is_thing else -1)
        id_of_region[i] = owner.setdefault(key, (len(owner) + 1) * _SEGMENT_ID_STEP)
        if region.is_crowd:
            crowds.add(int(id_of_region[i]))
    return PanopticSegments(
        ids=np.where(scene.unlabelled, np.int32(0), id_of_region[scene.region_map]),
        categories={segment_id: category_id(source, label) for (label, _), segment_id in owner.items()},
        crowds=frozenset(crowds),
    )


def instance_annotations(scene: Scene, source: ToySource, *, with_masks: bool) -> list[_JSON]:
    """Things as in COCO's or Objects365's ``annotations``, without ``id`` and ``image_id``.

    Args:
        scene: What to annotate.
        source: The source whose classes are named.
        with_masks: True: the exact visible masks, run-length encoded, and their area. False: boxes of what is visible,
            their area, and no ``segmentation``.
    """
    annotations = []
    for i, region in enumerate(scene.regions):
        label = source.label_of.get(region.kind)
        if label is None or not region.is_thing:
            continue
        mask = scene.region_map == i
        bbox = mask_to_xywh(mask)
        annotation: _JSON = {"category_id": category_id(source, label), "iscrowd": int(region.is_crowd), "bbox": bbox}
        if with_masks:
            described = describe_mask(mask)
            annotation |= {"area": described["area"], "segmentation": described["segmentation"]}
        else:
            annotation["area"] = bbox[2] * bbox[3]
        annotations.append(annotation)
    return annotations


def mask_to_xywh(mask: np.ndarray) -> list[int]:
    """The box of a mask as COCO writes it: x, y, width, height in pixels. The mask must not be empty."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    x0, x1, y0, y1 = int(columns[0]), int(columns[-1]), int(rows[0]), int(rows[-1])
    return [x0, y0, x1 - x0 + 1, y1 - y0 + 1]
