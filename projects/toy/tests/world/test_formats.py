"""How a scene of the toy world is annotated, in each of the formats."""

from dataclasses import replace

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmdataseg.formats.coco_panoptic import id_to_rgb, segments_info
from projects.toy.world import vocabulary as v
from projects.toy.world.formats import categories, instance_annotations, scene_segments, semantic_map
from projects.toy.world.scenes import Region, Scene
from tests.datasets.writing import rgb_to_id

ALL_SOURCES = tuple(v.TOY_SOURCES.values())


@pytest.fixture
def handmade():
    """4 x 6: sand, unlabelled at its corner, a red disc, a crowd of red discs, and a star that only toy_boxes names."""
    region_map = np.array(
        [
            [0, 0, 1, 1, 2, 2],
            [0, 0, 1, 1, 2, 2],
            [0, 0, 0, 0, 3, 3],
            [0, 0, 0, 0, 0, 0],
        ],
        np.int32,
    )
    unlabelled = np.zeros((4, 6), bool)
    unlabelled[0, 0] = True
    regions = (
        Region(("dotted", "sand"), is_thing=False),
        Region(("red", "disc"), is_thing=True),
        Region(("red", "disc"), is_thing=True, is_crowd=True),
        Region(("red", "star"), is_thing=True),
    )
    return Scene(image=np.zeros((4, 6, 3), np.uint8), region_map=region_map, regions=regions, unlabelled=unlabelled)


def test_semantic_map_merges_things_and_leaves_0_unlabelled(handmade):
    sand, disc = v.TOY_SEMANTIC.classes.index("dotted sand") + 1, v.TOY_SEMANTIC.classes.index("red round disc") + 1
    expected = [
        [0, sand, disc, disc, disc, disc],
        [sand, sand, disc, disc, disc, disc],
        [sand, sand, sand, sand, 0, 0],
        [sand] * 6,
    ]
    labels = semantic_map(handmade, v.TOY_SEMANTIC)
    assert labels.dtype == np.uint8
    assert labels.tolist() == expected


def written(scene):
    segments = scene_segments(scene, v.TOY_PANOPTIC)
    return id_to_rgb(segments.ids), segments_info(segments)


def test_every_thing_is_its_own_segment(handmade):
    colours, segments = written(handmade)
    category = {c["name"]: c["id"] for c in categories(v.TOY_PANOPTIC)}
    sand, disc, crowd = (s["id"] for s in segments)
    expected = [
        [0, sand, disc, disc, crowd, crowd],
        [sand, sand, disc, disc, crowd, crowd],
        [sand, sand, sand, sand, 0, 0],
        [sand] * 6,
    ]
    assert rgb_to_id(colours).tolist() == expected
    assert (colours[2, 0] > 0).all(), "ids should need all three bytes"
    assert segments[0] == dict(id=sand, category_id=category["sand"], iscrowd=0, bbox=[0, 0, 6, 4], area=13)
    assert segments[1] == dict(id=disc, category_id=category["red disc"], iscrowd=0, bbox=[2, 0, 2, 2], area=4)
    assert segments[2] == dict(id=crowd, category_id=category["red disc"], iscrowd=1, bbox=[4, 0, 2, 2], area=4)


def test_stuff_of_one_class_is_one_segment(handmade):
    regions = (*handmade.regions[:3], Region(("striped", "sand"), is_thing=False))
    colours, segments = written(replace(handmade, regions=regions))
    assert len(segments) == 3
    assert rgb_to_id(colours)[2, 4] == rgb_to_id(colours)[3, 0]
    assert segments[0]["area"] == 15


def test_a_segment_that_is_entirely_unlabelled_is_left_out(handmade):
    colours, segments = written(replace(handmade, unlabelled=handmade.region_map == 0))
    assert {s["id"] for s in segments} == set(np.unique(rgb_to_id(colours)).tolist()) - {0}
    assert len(segments) == 2


def test_boxes_have_no_masks(handmade):
    source = replace(v.TOY_BOXES, things=v.TOY_BOXES.things | {"red disc": (("red", "disc"),)})
    category = {c["name"]: c["id"] for c in categories(source)}
    assert instance_annotations(handmade, source, with_masks=False) == [
        dict(category_id=category["red disc"], iscrowd=0, bbox=[2, 0, 2, 2], area=4),
        dict(category_id=category["red disc"], iscrowd=1, bbox=[4, 0, 2, 2], area=4),
        dict(category_id=category["red pointed star"], iscrowd=0, bbox=[4, 2, 2, 1], area=2),
    ]


def test_true_masks_decode_to_what_is_visible(handmade):
    (star,) = instance_annotations(handmade, v.TOY_BOXES, with_masks=True)
    np.testing.assert_array_equal(coco_mask.decode(star["segmentation"]), handmade.region_map == 3)
    assert star["area"] == 2


@pytest.mark.parametrize("source", ALL_SOURCES, ids=lambda s: s.name)
def test_category_ids_differ_and_name_the_classes_in_order(source):
    found = categories(source)
    assert [c["name"] for c in found] == list(source.classes)
    assert len({c["id"] for c in found}) == len(found)
    assert [bool(c["isthing"]) for c in found] == list(source.label_space.is_thing)
