"""What the configs say of themselves is what they set: one definition for each source."""

import ast
from collections.abc import Sequence

from mmengine.config import Config

from mmdataseg.apis.config_files import config_root
from tests.config_world import LEAVES, LOADERS, key_of, load


def test_a_source_is_defined_once() -> None:
    """A name is given in one file; what changes a source of that file in a config leaves ``name`` alone."""
    names: list[str] = []
    for file in config_root().rglob("*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                names += [keyword.value.value for keyword in node.value.keywords if keyword.arg == "name"]
    assert {"ade_semantic", "coco_semantic", "toy_boxes"} <= set(names)
    assert sorted(names) == sorted(set(names))


def test_a_name_is_one_source() -> None:
    """Wherever a source is used, its data, task, classes and metrics are the same."""
    found: dict[str, set[str]] = {}
    for leaf in LEAVES:
        cfg = load(leaf)
        for source in sources_of(cfg):
            # whose parameters a source takes is a matter of the model
            settings = {key: value for key, value in source.items() if key != "parameters_of"}
            found.setdefault(source["name"], set()).add(key_of(settings))
    assert {"ade_semantic", "coco_semantic", "toy_boxes"} <= set(found)
    assert [name for name, settings in found.items() if len(settings) > 1] == []


def sources_of(cfg: Config) -> Sequence[dict]:
    """All that a config trains or tests on."""
    lists = [cfg.model.get("sources", ())]
    lists += [cfg[key].dataset.get("sources", ()) for key in LOADERS if cfg.get(key) is not None]
    return [source for sources in lists for source in sources]
