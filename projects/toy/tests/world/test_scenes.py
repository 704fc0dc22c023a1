"""What a scene of the toy world holds, and what it depends on."""

import numpy as np
import pytest

from projects.toy.world import vocabulary as v
from projects.toy.world.formats import instance_annotations
from projects.toy.world.scenes import draw_scene

ALL_SOURCES = tuple(v.TOY_SOURCES.values())


def test_a_scene_does_not_depend_on_what_was_drawn_before():
    first = draw_scene(v.TOY_PANOPTIC, "train", 7, seed=1, size=64)
    draw_scene(v.TOY_BOXES, "val", 0, seed=1, size=64)
    again = draw_scene(v.TOY_PANOPTIC, "train", 7, seed=1, size=64)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.region_map, again.region_map)
    assert first.regions == again.regions


@pytest.mark.parametrize(
    "other",
    [
        (v.TOY_BOXES, "train", 7, 1),
        (v.TOY_PANOPTIC, "val", 7, 1),
        (v.TOY_PANOPTIC, "train", 8, 1),
        (v.TOY_PANOPTIC, "train", 7, 2),
    ],
)
def test_another_source_split_index_or_seed_gives_another_scene(other):
    source, split, index, seed = other
    first = draw_scene(v.TOY_PANOPTIC, "train", 7, seed=1, size=64)
    assert not np.array_equal(first.image, draw_scene(source, split, index, seed=seed, size=64).image)


@pytest.mark.parametrize("source", ALL_SOURCES, ids=lambda s: s.name)
def test_scenes_contain_only_kinds_that_their_source_may_draw(source):
    allowed_things = {*source.thing_kinds, *(v.foreign_things(source) if source.foreign_rate else ())}
    drawn_things, num_crowds = set(), 0
    for index in range(60):
        scene = draw_scene(source, "train", index, size=64)
        assert scene.image.dtype == np.uint8
        assert scene.image.shape == (64, 64, 3)
        assert np.unique(scene.region_map).tolist() == list(range(len(scene.regions)))
        things = {r.kind for r in scene.regions if r.is_thing}
        assert things <= allowed_things
        assert {r.kind for r in scene.regions if not r.is_thing} <= set(v.drawn_stuff(source))
        assert not any(scene.regions[i].is_thing for i in np.unique(scene.region_map[scene.unlabelled]))
        drawn_things |= things
        num_crowds += sum(r.is_crowd for r in scene.regions)
    assert set(source.thing_kinds) <= drawn_things
    assert (num_crowds > 0) == (source.crowd_rate > 0)


def test_no_training_scene_shows_a_combination_of_the_hold_out():
    held_out = {*v.TOY_OPEN.thing_kinds, *v.TOY_OPEN.stuff_kinds}
    for source in v.TRAINING_SOURCES:
        assert not held_out & {*source.thing_kinds, *v.foreign_things(source), *v.drawn_stuff(source)}


def test_things_occlude_one_another_but_remain_recognisable():
    overlaps, sizes = 0, []
    for index in range(40):
        scene = draw_scene(v.TOY_BOXES, "train", index, size=128)
        boxes = [a["bbox"] for a in instance_annotations(scene, v.TOY_BOXES, with_masks=True) if not a["iscrowd"]]
        sizes += [max(b[2:]) for b in boxes]
        overlaps += sum(
            a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
            for i, a in enumerate(boxes)
            for b in boxes[:i]
        )
    assert overlaps > 10
    assert np.median(sizes) > 20
    assert max(sizes) <= 0.42 * 128 + 2


@pytest.mark.parametrize("arguments", [dict(size=32), dict(seed=-1), dict(index=-1)])
def test_numbers_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match="toy world: "):
        draw_scene(v.TOY_OPEN, "val", **{"index": 0, **arguments})
