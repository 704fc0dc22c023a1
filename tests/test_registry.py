"""Everything we register."""

import inspect

import pytest
from mmengine.registry import Registry

from mmdataseg import registry
from mmdataseg.errors import UserError

REGISTRIES = [value for value in vars(registry).values() if isinstance(value, Registry) and value.scope == "mmdataseg"]


def components() -> list[tuple[Registry, str]]:
    for each in REGISTRIES:
        each.import_from_location()
    return [(each, name) for each in REGISTRIES for name in sorted(each.module_dict)]


COMPONENTS = components()
IDS = [name for _, name in COMPONENTS]


def test_the_documented_parts_are_registered():
    assert len(REGISTRIES) >= 10
    assert {
        "DaTaSeg", "DaTaSegHead", "TextClassifier", "DaTaSegCriterion", "BoxProjectionLoss", "BoxProjectionCost",
        "PanopticPostProcessor", "SemanticPostProcessor", "InstancePostProcessor", "MultiSourceDataset",
        "RatioBatchSampler", "MultiSourceEvaluator", "PanopticQualityMetric",
    } <= set(IDS)  # fmt: skip


@pytest.mark.parametrize(("where", "name"), COMPONENTS, ids=IDS)
def test_a_component_is_found_by_its_prefix_from_mmengines_registry(where, name):
    assert where.parent.get(f"mmdataseg.{name}") is where.get(name)


@pytest.mark.parametrize(("where", "name"), COMPONENTS, ids=IDS)
def test_an_unknown_key_is_refused(where, name):
    """The key is given alone: it must be refused before any other argument is used."""
    kind = where.get(name)
    required = {
        parameter.name: None
        for parameter in list(inspect.signature(kind.__init__).parameters.values())[1:]
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }
    with pytest.raises((TypeError, UserError), match=r"num_clases|takes no arguments"):
        kind(**required, num_clases=80)


@pytest.mark.parametrize(("where", "name"), COMPONENTS, ids=IDS)
def test_every_component_has_a_docstring(where, name):
    assert (where.get(name).__doc__ or "").strip()


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"type": "PackInputs"}, "PackInputs"),
        ({"type": "mmdataseg.PackInputs"}, "PackInputs"),
        ({"type": Registry}, "Registry"),
        ({"scale": 2}, None),
        (None, None),
    ],
)
def test_the_name_of_a_component(config, name):
    """With a prefix or without, as the class itself, and where there is none."""
    assert registry.type_name(config) == name
