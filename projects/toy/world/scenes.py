"""Scenes of the toy world: where the stuff is, which things are on it, and the exact map of both."""

import zlib
from dataclasses import dataclass

import cv2
import numpy as np

from projects.toy.world.drawing import finish, paste, stuff_texture, thing_patch
from projects.toy.world.vocabulary import Kind, ToySource, drawn_stuff, foreign_things

MIN_SIZE = 64
_DIAMETER = (0.2, 0.42)  # of the image's side: 26 to 54 pixels at 128, 6 to 13 cells of a stride-4 mask
_CROWD_DIAMETER = (0.11, 0.14)
_MIN_VISIBLE = 0.55  # of a thing's area: if less is visible, it cannot be recognised


@dataclass(frozen=True)
class Region:
    """One thing, one crowd of things, or one kind of stuff.

    Args:
        kind: What it is.
        is_thing: Thing or stuff.
        is_crowd: A heap of things under one annotation.
    """

    kind: Kind
    is_thing: bool
    is_crowd: bool = False


@dataclass(frozen=True)
class Scene:
    """An image with its truth.

    Args:
        image: (H, W, 3) uint8 RGB.
        region_map: (H, W) int32, the index in ``regions`` of what is seen at each pixel; each region is seen somewhere.
        regions: Stuff first, then things from back to front.
        unlabelled: (H, W) bool: stuff that the annotators of the source left out.
    """

    image: np.ndarray
    region_map: np.ndarray
    regions: tuple[Region, ...]
    unlabelled: np.ndarray


def draw_scene(source: ToySource, split: str, index: int, *, seed: int = 0, size: int = 128) -> Scene:
    """Draw one scene; the same arguments give the same scene, whatever was drawn before.

    Args:
        source: The source whose kinds are drawn.
        split: Name of the split, e.g. ``train``.
        index: Index of the image in the split.
        seed: Seed of the whole world.
        size: Height and width in pixels, at least 64.

    Raises:
        ValueError: The size is too small for things to be recognised, or the seed or index is negative.
    """
    if size < MIN_SIZE:
        raise ValueError(
            f"toy world: expected a size of at least {MIN_SIZE} pixels, got {size}; smaller things cannot be recognised"
        )
    if seed < 0 or index < 0:
        raise ValueError(f"toy world: seed and index must not be negative, got seed {seed} and index {index}")
    rng = np.random.default_rng([seed, zlib.crc32(f"{source.name}/{split}".encode()), index])
    image, region_map, regions = _lay_ground(rng, drawn_stuff(source), size)
    visible_map = _place_things(rng, source, image, region_map, regions)
    unlabelled = _leave_out(rng, source, visible_map, regions)
    seen, compact = np.unique(visible_map, return_inverse=True)
    return Scene(
        image=finish(rng, image),
        region_map=compact.reshape(visible_map.shape).astype(np.int32),
        regions=tuple(regions[i] for i in seen),
        unlabelled=unlabelled,
    )


def _lay_ground(
    rng: np.random.Generator, kinds: tuple[Kind, ...], size: int
) -> tuple[np.ndarray, np.ndarray, list[Region]]:
    """One to three kinds of stuff, separated by a wavy horizon or a diagonal, and sometimes a pool in the corner."""
    count = int(rng.choice([1, 2, 3], p=[0.2, 0.5, 0.3]))
    materials = list(dict.fromkeys(material for _, material in kinds))
    chosen = rng.permutation(len(materials))[:count]
    by_material = [[k for k in kinds if k[1] == materials[m]] for m in chosen]
    ground = [options[rng.integers(len(options))] for options in by_material]
    ys, xs = np.mgrid[:size, :size].astype(np.float32) / size
    region_map = np.zeros((size, size), np.int32)
    if count > 1:
        slope = rng.uniform(-0.25, 0.25) if rng.random() < 0.6 else rng.choice([-1, 1]) * rng.uniform(0.6, 1.4)
        wave = 0.03 * np.sin(2 * np.pi * (rng.uniform(1, 2.5) * xs + rng.random()))
        region_map[ys - 0.5 > slope * (xs - 0.5) + wave + rng.uniform(-0.15, 0.15)] = 1
    if count > 2:
        y, x = rng.uniform(0, 1, 2).round() + rng.uniform(-0.08, 0.08, 2)
        height, width = rng.uniform(0.35, 0.55, 2)
        region_map[((ys - y) / height) ** 2 + ((xs - x) / width) ** 2 < 1] = 2
    image = np.zeros((size, size, 3), np.float32)
    for i, kind in enumerate(ground):
        inside = region_map == i
        image[inside] = stuff_texture(rng, kind, size)[inside]
    return image, region_map, [Region(kind, is_thing=False) for kind in ground]


def _place_things(
    rng: np.random.Generator, source: ToySource, image: np.ndarray, region_map: np.ndarray, regions: list[Region]
) -> np.ndarray:
    """Put things on the ground, back to front; change ``image`` and ``regions``, return the new region map."""
    size = image.shape[0]
    own, foreign = source.thing_kinds, foreign_things(source)
    # Few kinds per image, so that things of one class are neighbours: only then do instances differ from regions.
    few = [own[i] for i in rng.permutation(len(own))[: rng.integers(2, 5)]]
    whole_area: dict[int, int] = {}
    if rng.random() < source.crowd_rate:
        region_map, mask = _place_crowd(rng, few[0], image, region_map, len(regions))
        whole_area[len(regions)] = int(mask.sum())
        regions.append(Region(few[0], is_thing=True, is_crowd=True))
    for _ in range(rng.integers(3, 7)):
        kind = few[rng.integers(len(few))]
        if rng.random() < source.foreign_rate:
            kind = foreign[rng.integers(len(foreign))]
        for _attempt in range(6):
            diameter = float(rng.uniform(*_DIAMETER) * size)
            centre = rng.uniform(0.3 * diameter, size - 0.3 * diameter, 2)
            colour, coverage = thing_patch(rng, kind, diameter)
            top_left = (int(centre[0] - coverage.shape[0] / 2), int(centre[1] - coverage.shape[1] / 2))
            trial = image.copy()
            mask = paste(trial, colour, coverage, top_left)
            if mask.sum() < _MIN_VISIBLE * (coverage >= 0.5).sum() or _hides(mask, region_map, whole_area):
                continue
            image[:] = trial
            region_map = np.where(mask, np.int32(len(regions)), region_map)
            whole_area[len(regions)] = int((coverage >= 0.5).sum())
            regions.append(Region(kind, is_thing=True))
            break
    return region_map


def _hides(mask: np.ndarray, region_map: np.ndarray, whole_area: dict[int, int]) -> bool:
    """Whether a thing with this mask would hide too much of one that is already there."""
    left = np.bincount(region_map[~mask], minlength=max(whole_area, default=0) + 1)
    return any(left[i] < _MIN_VISIBLE * area for i, area in whole_area.items())


def _place_crowd(
    rng: np.random.Generator, kind: Kind, image: np.ndarray, region_map: np.ndarray, index: int
) -> tuple[np.ndarray, np.ndarray]:
    """A heap of small things of one kind; change ``image``, return the new region map and the heap's mask."""
    size = image.shape[0]
    middle = rng.uniform(0.25, 0.75, 2) * size
    heap = np.zeros(region_map.shape, bool)
    for _ in range(rng.integers(5, 9)):
        colour, coverage = thing_patch(rng, kind, float(rng.uniform(*_CROWD_DIAMETER) * size))
        y, x = (middle + rng.uniform(-0.14, 0.14, 2) * size - coverage.shape[0] / 2).astype(int).tolist()
        heap |= paste(image, colour, coverage, (y, x))
    return np.where(heap, np.int32(index), region_map), heap


def _leave_out(
    rng: np.random.Generator, source: ToySource, region_map: np.ndarray, regions: list[Region]
) -> np.ndarray:
    """(H, W) bool: a patch of stuff without a label, in some images."""
    size = region_map.shape[0]
    patch = np.zeros(region_map.shape, np.uint8)
    if rng.random() < source.void_rate:
        x, y = (rng.uniform(0.1, 0.9, 2) * size).astype(int).tolist()
        axes = (rng.uniform(0.06, 0.16, 2) * size).astype(int).tolist()
        cv2.ellipse(patch, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, 1, cv2.FILLED)
    is_stuff = np.array([not region.is_thing for region in regions])
    return (patch > 0) & is_stuff[region_map]
