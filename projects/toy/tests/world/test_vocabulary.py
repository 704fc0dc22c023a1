"""The toy world's vocabulary: what each source annotates, under which name, and what is held out."""

import pytest
from mmengine.config import Config

from projects.toy.world import vocabulary as v

ALL_SOURCES = tuple(v.TOY_SOURCES.values())


@pytest.mark.parametrize("name", [*v.TOY_SOURCES, "toy_semantic_as_panoptic"])
def test_source_configs_state_the_same_label_spaces(repo_root, name):
    config = Config.fromfile(repo_root / f"projects/toy/configs/_base_/sources/{name}.py")[name]
    expected = v.TOY_SOURCES.get(name, v.TOY_SEMANTIC).label_space
    assert config.name == name
    assert config.label_space.name == expected.name
    assert tuple(config.label_space.classes) == expected.classes
    assert tuple(config.label_space.is_thing) == expected.is_thing


def test_box_source_config_scores_the_classes_that_only_had_boxes(repo_root):
    config = Config.fromfile(repo_root / "projects/toy/configs/_base_/sources/toy_boxes.py").toy_boxes
    metric = config.metrics[1]
    assert tuple(metric.classes) == v.BOX_ONLY_CLASSES
    assert metric.fill_boxes


def test_box_only_classes_are_those_without_masks_anywhere():
    masked = {*v.TOY_SEMANTIC.thing_kinds, *v.TOY_PANOPTIC.thing_kinds}
    expected = [name for name, kinds in v.TOY_BOXES.things.items() if not masked & set(kinds)]
    assert list(v.BOX_ONLY_CLASSES) == expected
    assert len(expected) >= 5


def test_sources_overlap_only_in_part():
    for one in v.TRAINING_SOURCES:
        for other in v.TRAINING_SOURCES:
            if one is not other:
                shared = set(one.thing_kinds) & set(other.thing_kinds)
                assert shared, (one.name, other.name)
                assert set(one.thing_kinds) - shared, (one.name, other.name)


def test_sources_name_the_same_kind_differently_with_shared_words():
    names = [{kind: set(s.classes[label].split()) for kind, label in s.label_of.items()} for s in v.TRAINING_SOURCES]
    shared = [(a[k], b[k]) for a in names for b in names if a is not b for k in a.keys() & b.keys()]
    assert all(a & b for a, b in shared)
    assert any(a != b for a, b in shared)
    assert any(a == b for a, b in shared)


def test_the_hold_out_has_new_combinations_of_known_words():
    words = {word for s in v.TRAINING_SOURCES for name in s.classes for word in name.split()}
    taught = {kind for s in v.TRAINING_SOURCES for kind in (*s.thing_kinds, *s.stuff_kinds)}
    assert {word for name in v.TOY_OPEN.classes for word in name.split()} <= words
    assert not taught & {*v.TOY_OPEN.thing_kinds, *v.TOY_OPEN.stuff_kinds}
    assert {shape for _, shape in v.TOY_OPEN.thing_kinds} == set(v.SHAPES)


@pytest.mark.parametrize("source", ALL_SOURCES, ids=lambda s: s.name)
def test_every_kind_can_be_drawn(source):
    assert {k for kind in source.thing_kinds for k in kind} <= {*v.COLOURS, *v.SHAPES}
    assert {k for kind in source.stuff_kinds for k in kind} <= {*v.PATTERNS, *v.MATERIALS}


def test_the_docstrings_table_shows_what_each_source_annotates():
    rows = [line.split() for line in v.__doc__.splitlines() if line.split() and line.split()[0] in v.SHAPES]
    assert len(rows) == len(v.SHAPES)
    letters = {"S": v.TOY_SEMANTIC, "P": v.TOY_PANOPTIC, "B": v.TOY_BOXES, "O": v.TOY_OPEN}
    for shape, *cells in rows:
        for colour, cell in zip(v.COLOURS, cells, strict=True):
            owners = "".join(k for k, s in letters.items() if (colour, shape) in s.thing_kinds)
            assert cell == (owners or "."), (colour, shape)
