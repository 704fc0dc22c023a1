"""Docstrings of configs state what the configs set (ratios, iterations), and each source is defined once."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from mmengine.config import Config

from mmdataseg.apis.config.files import config_roots, find_config
from tests.config_world import LEAVES, LOADERS, docstring, key_of, load

RATIO = re.compile(r"\b\d+(?: ?: ?\d+)+\b")
PAPER = "dataseg_r50_3ds.py"  # the paper's ratios, as far as they are known


def stated(text: str) -> list[list[int]]:
    """The ratios in a text."""
    return [[int(number) for number in found.split(":")] for found in RATIO.findall(text)]


def ratios_of(leaf: Path) -> list[int] | None:
    """The ratios by which a config draws its sources; None if it only tests."""
    cfg = load(leaf)
    return list(cfg.train_dataloader.batch_sampler.ratios) if cfg.get("train_dataloader") else None


def bases(leaf: Path) -> Iterator[Path]:
    """The leaf configs that a config is derived from."""
    for base in re.findall(r'"([^"]+\.py)"', re.search(r"^_base_ = \[(.*?)\]", leaf.read_text(), re.S | re.M)[1]):
        path = (leaf.parent / base).resolve()
        if "_base_" not in path.parts:
            yield path
            yield from bases(path)


STATED = [leaf for leaf in LEAVES if stated(docstring(leaf))]


def test_the_summary_of_many_configs_states_ratios() -> None:
    stems = {leaf.stem for leaf in STATED if stated(docstring(leaf).partition("\n\n")[0])}
    assert {"dataseg_r50_3ds", "dataseg_r50_ade-coco"} <= stems
    assert len(stems) >= 12


@pytest.mark.parametrize("leaf", STATED, ids=lambda leaf: leaf.stem)
def test_a_docstring_states_the_ratios_that_the_config_sets(leaf: Path) -> None:
    """The summary states its own ratios; the text below may state those of a config that it is derived from or compared
    with."""
    summary, _, rest = docstring(leaf).partition("\n\n")
    assert stated(summary) in ([], [ratios_of(leaf)])
    others = [ratios_of(other) for other in (leaf, *bases(leaf), find_config(PAPER))]
    for ratios in stated(rest):
        assert ratios in others


def test_ratios_are_recognised_in_a_text() -> None:
    assert stated("boxes, 1 : 4: a row") == [[1, 4]]
    assert stated("drawn 1:3:2. At 1024 : not one") == [[1, 3, 2]]
    assert stated("8 GPUs x 2; iter_2000.pth, 1 of 9") == []


def test_a_source_is_defined_once() -> None:
    """A name is given in one file; what changes a source of that file in a config leaves ``name`` alone."""
    names: list[str] = []
    for file in (file for root in config_roots() for file in root.rglob("*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                names += [keyword.value.value for keyword in node.value.keywords if keyword.arg == "name"]
    assert {"ade_semantic", "coco_semantic", "mini_boxes"} <= set(names)
    assert sorted(names) == sorted(set(names))


def test_sources_with_the_same_name_are_equal() -> None:
    """Wherever a source is used, its data, task, classes and metrics are the same."""
    found: dict[str, set[str]] = {}
    for leaf in LEAVES:
        cfg = load(leaf)
        for source in sources_of(cfg):
            # parameters_of depends on the model
            settings = {key: value for key, value in source.items() if key != "parameters_of"}
            found.setdefault(source["name"], set()).add(key_of(settings))
    assert {"ade_semantic", "coco_semantic", "mini_boxes"} <= set(found)
    differing = [name for name, settings in found.items() if len(settings) > 1]
    assert differing == [], "sources of one name differ; give the derived one a name of its own"


def sources_of(cfg: Config) -> Sequence[dict]:
    """All that a config trains or tests on."""
    lists = [cfg.model.get("sources", ())]
    lists += [cfg[key].dataset.get("sources", ()) for key in LOADERS if cfg.get(key) is not None]
    return [source for sources in lists for source in sources]
