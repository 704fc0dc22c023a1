"""The toy world: what it holds, how it is drawn, how it is annotated, and how it is written."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from pycocotools import mask as coco_mask

from mmdataseg.datasets.toy import vocabulary as v
from mmdataseg.datasets.toy.drawing import paste, shape_coverage, stuff_texture
from mmdataseg.datasets.toy.formats import categories, instance_annotations, panoptic_segments, semantic_map
from mmdataseg.datasets.toy.preview import CELL, contact_sheet
from mmdataseg.datasets.toy.scenes import Region, Scene, draw_scene
from mmdataseg.datasets.toy.writing import make_world, plan_world

SMALL = dict(seed=5, size=64, train_images=(3, 4, 5), val_images=2)
ALL_SOURCES = tuple(v.TOY_SOURCES.values())


def ids_of(colours):
    """Segment ids of an RGB picture."""
    return colours.astype(np.int64) @ [1, 256, 65536]


def files_of(folder):
    """Relative name -> content of every file under a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class TestVocabulary:
    @pytest.mark.parametrize("name", [*v.TOY_SOURCES, "toy_semantic_as_panoptic"])
    def test_source_configs_state_the_same_label_spaces(self, repo_root, name):
        config = Config.fromfile(repo_root / f"configs/_base_/sources/{name}.py")[name]
        expected = v.TOY_SOURCES.get(name, v.TOY_SEMANTIC).label_space
        assert config.name == name
        assert config.label_space.name == expected.name
        assert tuple(config.label_space.classes) == expected.classes
        assert tuple(config.label_space.is_thing) == expected.is_thing

    def test_box_source_config_scores_the_classes_that_only_had_boxes(self, repo_root):
        config = Config.fromfile(repo_root / "configs/_base_/sources/toy_boxes.py").toy_boxes
        metric = config.metrics[1]
        assert tuple(metric.classes) == v.BOX_ONLY_CLASSES
        assert metric.fill_boxes

    def test_box_only_classes_are_those_without_masks_anywhere(self):
        masked = {*v.TOY_SEMANTIC.thing_kinds, *v.TOY_PANOPTIC.thing_kinds}
        expected = [name for name, kinds in v.TOY_BOXES.things.items() if not masked & set(kinds)]
        assert list(v.BOX_ONLY_CLASSES) == expected
        assert len(expected) >= 5

    def test_sources_overlap_in_part_only(self):
        for one in v.TRAINING_SOURCES:
            for other in v.TRAINING_SOURCES:
                if one is not other:
                    shared = set(one.thing_kinds) & set(other.thing_kinds)
                    assert shared, (one.name, other.name)
                    assert set(one.thing_kinds) - shared, (one.name, other.name)

    def test_sources_name_the_same_kind_differently_with_shared_words(self):
        names = [
            {kind: set(s.classes[label].split()) for kind, label in s.label_of.items()} for s in v.TRAINING_SOURCES
        ]
        shared = [(a[k], b[k]) for a in names for b in names if a is not b for k in a.keys() & b.keys()]
        assert all(a & b for a, b in shared)
        assert any(a != b for a, b in shared)
        assert any(a == b for a, b in shared)

    def test_hold_out_combines_known_words_anew(self):
        words = {word for s in v.TRAINING_SOURCES for name in s.classes for word in name.split()}
        taught = {kind for s in v.TRAINING_SOURCES for kind in (*s.thing_kinds, *s.stuff_kinds)}
        assert {word for name in v.TOY_OPEN.classes for word in name.split()} <= words
        assert not taught & {*v.TOY_OPEN.thing_kinds, *v.TOY_OPEN.stuff_kinds}
        assert {shape for _, shape in v.TOY_OPEN.thing_kinds} == set(v.SHAPES)

    @pytest.mark.parametrize("source", ALL_SOURCES, ids=lambda s: s.name)
    def test_every_kind_can_be_drawn(self, source):
        assert {k for kind in source.thing_kinds for k in kind} <= {*v.COLOURS, *v.SHAPES}
        assert {k for kind in source.stuff_kinds for k in kind} <= {*v.PATTERNS, *v.MATERIALS}

    def test_docstring_table_says_who_annotates_what(self):
        rows = [line.split() for line in v.__doc__.splitlines() if line.split() and line.split()[0] in v.SHAPES]
        assert len(rows) == len(v.SHAPES)
        letters = {"S": v.TOY_SEMANTIC, "P": v.TOY_PANOPTIC, "B": v.TOY_BOXES, "O": v.TOY_OPEN}
        for shape, *cells in rows:
            for colour, cell in zip(v.COLOURS, cells, strict=True):
                owners = "".join(k for k, s in letters.items() if (colour, shape) in s.thing_kinds)
                assert cell == (owners or "."), (colour, shape)


class TestDrawing:
    @pytest.mark.parametrize(
        ("shape", "area"),
        [
            ("disc", np.pi / 4),
            ("ring", np.pi / 4 * (1 - 0.56**2)),
            ("square", 0.7**2),
            ("triangle", 3 * np.sqrt(3) / 16),
            ("cross", 4 * 0.15 * (0.475 - 0.15) * 2 + 0.3**2),
            ("star", 10 * 0.5 * 0.5 * 0.22 * np.sin(np.pi / 5)),
        ],
    )
    @pytest.mark.parametrize("degrees", [0.0, 20.0])
    def test_areas_are_those_of_the_figures(self, shape, area, degrees):
        """By hand, for a circle of diameter 1 around the figure."""
        assert shape_coverage(shape, 80.0, degrees).sum() == pytest.approx(area * 80**2, rel=0.06)

    @pytest.mark.parametrize("shape", v.SHAPES)
    def test_shapes_stay_inside_their_circle(self, shape):
        coverage = shape_coverage(shape, 40.0, 33.0)
        ys, xs = np.nonzero(coverage > 0)
        centre = (coverage.shape[0] - 1) / 2
        assert coverage.min() >= 0
        assert coverage.max() == 1
        assert np.hypot(ys - centre, xs - centre).max() <= 20 + 1

    def test_ring_star_and_crescent_fill_their_boxes_badly(self):
        def filled(shape):
            mask = shape_coverage(shape, 50.0, 15.0) >= 0.5
            ys, xs = np.nonzero(mask)
            return mask.sum() / (np.ptp(ys) + 1) / (np.ptp(xs) + 1)

        assert filled("disc") > 0.75
        assert max(filled(shape) for shape in ("ring", "star", "crescent")) < 0.6
        assert shape_coverage("ring", 50.0, 0.0)[26, 26] == 0

    def test_paste_clips_at_the_border_and_returns_what_it_covers(self):
        image = np.zeros((4, 4, 3), np.float32)
        coverage = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.4], [1.0, 1.0, 1.0]], np.float32)
        mask = paste(image, np.full((3, 3, 3), 100, np.float32), coverage, (-1, 2))
        expected = np.zeros((4, 4), bool)
        expected[0:2, 2:4] = True
        np.testing.assert_array_equal(mask, expected)
        np.testing.assert_array_equal(image[..., 0], np.where(expected, 100, 0))

    def test_paste_outside_the_image_changes_nothing(self):
        image = np.zeros((4, 4, 3), np.float32)
        assert not paste(image, np.ones((2, 2, 3), np.float32), np.ones((2, 2), np.float32), (9, 9)).any()
        assert not image.any()

    def test_patterns_of_one_material_differ(self):
        textures = {p: stuff_texture(np.random.default_rng(0), (p, "sand"), 64).mean(2) for p in v.PATTERNS}
        for one in textures:
            for other in textures:
                if one < other:
                    assert np.corrcoef(textures[one].ravel(), textures[other].ravel())[0, 1] < 0.8


class TestScenes:
    def test_a_scene_does_not_depend_on_what_was_drawn_before(self):
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
    def test_source_split_index_and_seed_each_make_another_scene(self, other):
        source, split, index, seed = other
        first = draw_scene(v.TOY_PANOPTIC, "train", 7, seed=1, size=64)
        assert not np.array_equal(first.image, draw_scene(source, split, index, seed=seed, size=64).image)

    @pytest.mark.parametrize("source", ALL_SOURCES, ids=lambda s: s.name)
    def test_scenes_hold_what_their_source_may_draw(self, source):
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

    def test_no_training_scene_shows_a_combination_of_the_hold_out(self):
        held_out = {*v.TOY_OPEN.thing_kinds, *v.TOY_OPEN.stuff_kinds}
        for source in v.TRAINING_SOURCES:
            assert not held_out & {*source.thing_kinds, *v.foreign_things(source), *v.drawn_stuff(source)}

    def test_things_occlude_one_another_and_stay_recognisable(self):
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
    def test_refuses_numbers_that_make_no_scene(self, arguments):
        with pytest.raises(ValueError, match="toy world: "):
            draw_scene(v.TOY_OPEN, "val", **{"index": 0, **arguments})


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


class TestFormats:
    def test_semantic_map_merges_things_and_leaves_0_unlabelled(self, handmade):
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

    def test_panoptic_segments_keep_things_apart(self, handmade):
        colours, segments = panoptic_segments(handmade, v.TOY_PANOPTIC)
        category = {c["name"]: c["id"] for c in categories(v.TOY_PANOPTIC)}
        sand, disc, crowd = (s["id"] for s in segments)
        expected = [
            [0, sand, disc, disc, crowd, crowd],
            [sand, sand, disc, disc, crowd, crowd],
            [sand, sand, sand, sand, 0, 0],
            [sand] * 6,
        ]
        assert ids_of(colours).tolist() == expected
        assert (colours[2, 0] > 0).all(), "ids should need all three bytes"
        assert segments[0] == dict(id=sand, category_id=category["sand"], iscrowd=0, bbox=[0, 0, 6, 4], area=13)
        assert segments[1] == dict(id=disc, category_id=category["red disc"], iscrowd=0, bbox=[2, 0, 2, 2], area=4)
        assert segments[2] == dict(id=crowd, category_id=category["red disc"], iscrowd=1, bbox=[4, 0, 2, 2], area=4)

    def test_stuff_of_one_class_is_one_segment(self, handmade):
        regions = (*handmade.regions[:3], Region(("striped", "sand"), is_thing=False))
        colours, segments = panoptic_segments(replace(handmade, regions=regions), v.TOY_PANOPTIC)
        assert len(segments) == 3
        assert ids_of(colours)[2, 4] == ids_of(colours)[3, 0]
        assert segments[0]["area"] == 15

    def test_a_segment_that_is_all_unlabelled_is_left_out(self, handmade):
        colours, segments = panoptic_segments(replace(handmade, unlabelled=handmade.region_map == 0), v.TOY_PANOPTIC)
        assert {s["id"] for s in segments} == set(np.unique(ids_of(colours)).tolist()) - {0}
        assert len(segments) == 2

    def test_boxes_have_no_masks(self, handmade):
        source = replace(v.TOY_BOXES, things=v.TOY_BOXES.things | {"red disc": (("red", "disc"),)})
        category = {c["name"]: c["id"] for c in categories(source)}
        assert instance_annotations(handmade, source, with_masks=False) == [
            dict(category_id=category["red disc"], iscrowd=0, bbox=[2, 0, 2, 2], area=4),
            dict(category_id=category["red disc"], iscrowd=1, bbox=[4, 0, 2, 2], area=4),
            dict(category_id=category["red pointed star"], iscrowd=0, bbox=[4, 2, 2, 1], area=2),
        ]

    def test_true_masks_decode_to_what_is_visible(self, handmade):
        (star,) = instance_annotations(handmade, v.TOY_BOXES, with_masks=True)
        np.testing.assert_array_equal(coco_mask.decode(star["segmentation"]), handmade.region_map == 3)
        assert star["area"] == 2

    @pytest.mark.parametrize("source", ALL_SOURCES, ids=lambda s: s.name)
    def test_category_ids_differ_and_name_the_classes_in_order(self, source):
        found = categories(source)
        assert [c["name"] for c in found] == list(source.classes)
        assert len({c["id"] for c in found}) == len(found)
        assert [bool(c["isthing"]) for c in found] == list(source.label_space.is_thing)


class TestWriting:
    def test_panoptic_files_agree_with_one_another(self, tmp_path):
        assert make_world(tmp_path, **SMALL) == 3 + 4 + 5 + 4 * 2
        for name, count in (
            ("toy_panoptic/annotations/panoptic_train", 4),
            ("toy_panoptic/annotations/panoptic_val", 2),
            ("toy_semantic/annotations/panoptic_validation", 2),
            ("toy_open/annotations/panoptic_val", 2),
        ):
            content = json.loads((tmp_path / f"{name}.json").read_text())
            assert len(content["images"]) == len(content["annotations"]) == count
            for annotation in content["annotations"]:
                picture = cv2.imread(str(tmp_path / name / annotation["file_name"]))[..., ::-1]
                ids, areas = np.unique(ids_of(picture), return_counts=True)
                expected = {s["id"]: s["area"] for s in annotation["segments_info"]}
                assert {i: a for i, a in zip(ids.tolist(), areas.tolist(), strict=True) if i} == expected

    def test_boxes_hold_no_masks_and_true_masks_lie_apart(self, tmp_path):
        make_world(tmp_path, **SMALL)
        root = tmp_path / "toy_boxes"
        for split in ("train", "val"):
            boxes = json.loads((root / f"annotations/boxes_{split}.json").read_text())
            assert boxes["annotations"]
            assert not any("segmentation" in a for a in boxes["annotations"])
        masks = json.loads((root / "true_masks/instances_val.json").read_text())
        keys = ("id", "image_id", "category_id", "bbox", "iscrowd")
        assert [[a[k] for k in keys] for a in masks["annotations"]] == [
            [a[k] for k in keys] for a in boxes["annotations"]
        ]
        assert all(a["segmentation"]["size"] == [64, 64] for a in masks["annotations"])
        assert len(list(root.glob("true_masks/*"))) == 1

    def test_label_maps_are_single_channel_and_in_range(self, tmp_path):
        make_world(tmp_path, **SMALL)
        for split, count in (("training", 3), ("validation", 2)):
            images = sorted(p.stem for p in (tmp_path / "toy_semantic/images" / split).iterdir())
            maps = sorted((tmp_path / "toy_semantic/annotations" / split).iterdir())
            assert [p.stem for p in maps] == images
            assert len(images) == count
            for path in maps:
                labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
                assert labels.shape == (64, 64)
                assert labels.max() <= len(v.TOY_SEMANTIC.classes)

    def test_second_run_touches_nothing(self, tmp_path):
        make_world(tmp_path, **SMALL)
        before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
        assert make_world(tmp_path, **SMALL) == 0
        assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before

    @pytest.mark.parametrize("stop_after", [1, 6, 13, 19])
    @pytest.mark.parametrize("torn_line", ["", '{"stem": "000'])
    def test_an_interrupted_run_goes_on_to_the_same_world(self, tmp_path, stop_after, torn_line):
        make_world(tmp_path / "whole", **SMALL)

        def interrupt(there, total):
            assert total == 20
            if there == stop_after:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            make_world(tmp_path / "cut", **SMALL, progress=interrupt)
        for journal in (tmp_path / "cut").rglob("*.journal"):
            with journal.open("a") as file:
                file.write(torn_line)
        assert make_world(tmp_path / "cut", **SMALL) == 20 - stop_after
        assert files_of(tmp_path / "cut") == files_of(tmp_path / "whole")

    @pytest.mark.parametrize("change", [dict(seed=6), dict(size=72), dict(train_images=(3, 4, 6)), dict(val_images=3)])
    def test_refuses_to_mix_two_worlds(self, tmp_path, change):
        make_world(tmp_path, **SMALL)
        before = files_of(tmp_path)
        with pytest.raises(ValueError, match=f"another world: {next(iter(change))}"):
            make_world(tmp_path, **(SMALL | change))
        assert files_of(tmp_path) == before

    def test_refuses_a_folder_of_other_files(self, tmp_path):
        (tmp_path / "holiday.jpg").touch()
        with pytest.raises(ValueError, match="holds other files"):
            make_world(tmp_path, **SMALL)

    @pytest.mark.parametrize("content", ["{", "[]", '{"world": 3}'])
    def test_refuses_a_broken_state_file(self, tmp_path, content):
        (tmp_path / "toy.json").write_text(content)
        with pytest.raises(ValueError, match=r"toy\.json is not what this tool wrote"):
            make_world(tmp_path, **SMALL)

    @pytest.mark.parametrize("train_images", [(1, 2), (1, 2, 0), ()])
    def test_refuses_numbers_that_make_no_world(self, train_images):
        with pytest.raises(ValueError, match="three numbers of training images"):
            plan_world(train_images, 1)

    def test_bad_size_leaves_no_folder_behind(self, tmp_path):
        with pytest.raises(ValueError, match="at least 64"):
            make_world(tmp_path / "world", size=16)
        assert not (tmp_path / "world").exists()


def test_contact_sheet_shows_images_beside_annotations():
    sheet = contact_sheet(size=64, pairs=1)
    assert sheet.shape[1] == 2 * CELL
    assert sheet.dtype == np.uint8
    row_height = sheet.shape[0] // 6
    for row in range(6):
        image, annotated = np.split(sheet[row * row_height + 40 : (row + 1) * row_height], 2, axis=1)
        assert (image != annotated).any(-1).mean() > 0.005
