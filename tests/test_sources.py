"""Sources, from their configs."""

import dataclasses

import pytest

from mmdataseg.errors import UserError
from mmdataseg.sources import Source, build_sources, parameter_owners
from mmdataseg.structures import LabelSpace, Task
from mmdataseg.text.vocabularies import get_label_space

SPACE = {"name": "two", "classes": ["cat", "sky"], "is_thing": [True, False]}
CONFIG = {"name": "pets", "task": "panoptic", "label_space": SPACE}


def test_a_source_is_built_from_its_config():
    source = Source.from_config({**CONFIG, "train": {"type": "X"}, "metrics": [{"type": "Y"}], "embeddings": "a.b"})
    assert source.task is Task.PANOPTIC
    assert source.supervision == "masks"
    assert source.label_space == LabelSpace(name="two", classes=("cat", "sky"), is_thing=(True, False))
    assert source.train == {"type": "X"}
    assert source.test is None
    assert source.metrics == ({"type": "Y"},)
    assert source.embeddings == "a.b"


def test_a_source_equals_its_config_and_the_config_is_not_changed():
    config = {**CONFIG, "metrics": []}
    source = Source.from_config(config)
    assert Source.from_config(source) is source
    assert config == {**CONFIG, "metrics": []}
    assert Source.from_config(config) == source


def test_a_label_space_can_be_a_known_name_or_an_object():
    assert Source.from_config({**CONFIG, "label_space": "coco80"}).label_space is get_label_space("coco80")
    space = get_label_space("cityscapes19")
    assert Source.from_config({**CONFIG, "label_space": space}).label_space is space


def test_the_supervision_may_be_any_word():
    source = Source.from_config({**CONFIG, "task": "instance", "supervision": "boxes"})
    assert source.supervision == "boxes"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"task": "depth"},
            UserError,
            r"unknown task 'depth'; expected one of \['panoptic', 'semantic', 'instance'\]",
        ),
        ({"supervision": None}, UserError, "expected a supervision such as 'masks' or 'boxes', got None"),
        ({"label_space": "ade151"}, UserError, "unknown label space 'ade151'; known ones are"),
        ({"label_space": {**SPACE, "is_thing": [True]}}, UserError, "one is_thing flag for each of its 2 classes"),
        ({"label_space": {**SPACE, "palette": []}}, UserError, "label_space: unknown key 'palette'"),
        ({"label_space": {"name": "a", "classes": ["b"]}}, UserError, "label_space: key 'is_thing' is missing"),
        ({"label_space": 7}, UserError, "expected label_space to be a known name, or a dict"),
        ({"ratio": 4}, UserError, "unknown key 'ratio'; a source has"),
    ],
)
def test_bad_input_names_the_source(change, error, message):
    with pytest.raises(error, match=f"source 'pets': .*{message}"):
        Source.from_config({**CONFIG, **change})


def test_a_name_may_contain_loss():
    """`DaTaSeg.parse_losses` looks at the part of a value's name after the source."""
    assert Source.from_config({**CONFIG, "name": "blossoms"}).name == "blossoms"


@pytest.mark.parametrize("key", ["name", "task", "label_space"])
def test_a_missing_key_is_named(key):
    with pytest.raises(UserError, match=f"key '{key}' is missing"):
        Source.from_config({k: v for k, v in CONFIG.items() if k != key})


@pytest.mark.parametrize("name", ["", "a.b", "a/b", "two words", None])
def test_a_name_with_other_characters_is_refused(name):
    with pytest.raises(UserError, match="expected a name of letters, digits, '_' and '-'; rename it"):
        Source.from_config({**CONFIG, "name": name})


def test_no_source_and_two_sources_with_the_same_name_are_refused():
    names = [source.name for source in build_sources([CONFIG, {**CONFIG, "name": "pets-2"}])]
    assert names == ["pets", "pets-2"]
    with pytest.raises(UserError, match="at least one source, got none"):
        build_sources([])
    with pytest.raises(UserError, match="source name 'pets' appears 2 times; rename one"):
        build_sources([CONFIG, {**CONFIG, "name": "other"}, CONFIG])


def test_a_source_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Source.from_config(CONFIG).name = "other"


def owners(**changes):
    """The owners for pets (trained), cousins with the same classes (trained), and two sources that are only tested."""
    configs = {
        "pets": {**CONFIG, "train": {}},
        "cousins": {**CONFIG, "train": {}},
        "same": CONFIG,
        "other": {**CONFIG, "label_space": {**SPACE, "classes": ["dog", "sky"]}, "parameters_of": "cousins"},
    }
    return parameter_owners(build_sources([{**c, "name": n, **changes.get(n, {})} for n, c in configs.items()]))


def test_a_source_uses_its_own_parameters_or_those_of_a_named_or_equal_source():
    assert owners() == {"pets": "pets", "cousins": "cousins", "same": "pets", "other": "cousins"}
    assert owners(same={"parameters_of": "cousins"})["same"] == "cousins"


def test_a_source_without_an_owner_of_parameters_is_refused():
    with pytest.raises(UserError, match=r"source 'other' is not trained on.*set its parameters_of to one of \['pets'"):
        owners(other={"parameters_of": None})
    for name, value in (("pets", "cousins"), ("other", "same"), ("other", "birds")):
        with pytest.raises(
            UserError, match=f"source '{name}': parameters_of='{value}' is only for a source that is not"
        ):
            owners(**{name: {"parameters_of": value}})


@pytest.mark.parametrize("sources", [["ade"], {"name": "ade", "task": "semantic"}])
def test_a_name_in_place_of_a_source_is_refused(sources):
    with pytest.raises(UserError, match=r"expected a dict for each source, got '(ade|name)'"):
        build_sources(sources)
