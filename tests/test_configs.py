"""Every config that can be run: its form, its parts on generated data, and (slow) two training steps and a test."""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmdataseg.apis import runs
from mmdataseg.apis.config.files import config_root, find_config
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.errors import UserError
from mmdataseg.registry import EVALUATOR, HOOKS, LOOPS, MODELS
from tests.config_world import (
    LEAVES,
    LOADERS,
    NAMES,
    commands,
    components,
    docstring,
    key_of,
    load,
    rename,
    smaller,
    write_world,
)

each_leaf = pytest.mark.parametrize("leaf", LEAVES, ids=NAMES)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated data in the places that the configs name."""
    root = tmp_path_factory.mktemp("world")
    write_world(root)
    return root


@pytest.fixture
def in_world(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in the folder of that data."""
    monkeypatch.chdir(world)
    monkeypatch.delenv("MMDATASEG_MINI_WORLD", raising=False)
    monkeypatch.delenv("MMDATASEG_REAL_WORLD", raising=False)
    # mmengine collects garbage for each dataset, which takes a second each with the objects of so many configs
    monkeypatch.setattr("mmengine.dataset.base_dataset.gc", SimpleNamespace(collect=lambda: None))
    register_all_modules()
    init_default_scope("mmdet")


@pytest.fixture(scope="module")
def built() -> dict[str, Any]:
    """Parts that were built already: many leaves share a model and a source."""
    return {}


def once(built: dict[str, Any], config: Any, build: Callable[[], Any]) -> Any:
    key = key_of(config)
    if key not in built:
        built[key] = build()
    return built[key]


# ---- form


def test_there_are_configs() -> None:
    assert {"dataseg_r50_3ds", "mini/dataseg_mini_3ds"} <= set(NAMES)


def test_names_are_unique() -> None:
    """A name is a work_dir, a checkpoint and a row of a table, and mim finds a config by it."""
    stems = sorted(leaf.stem for leaf in LEAVES)
    assert stems == sorted(set(stems))


@each_leaf
def test_a_leaf_has_the_form_of_a_config(leaf: Path) -> None:
    assert len(leaf.read_text().splitlines()) <= 45
    first, *_ = docstring(leaf).splitlines()
    assert first.endswith(".")
    named = commands(leaf)
    assert named, f"{leaf}: no line 'Command: mim train|test mmdataseg ...' in its docstring"
    for verb, args in named:
        assert find_config(args.config).samefile(leaf)
        assert (config_root().parent / args.config).samefile(leaf), "the path is given from the root of the repository"
        if args.work_dir is not None:
            assert Path(args.work_dir).name == leaf.stem
        if verb == "test":
            of = Path(args.checkpoint_option).parent.name
            assert of in {other.stem for other in LEAVES}, f"the checkpoint is of {of}, and there is no such config"


@each_leaf
def test_what_is_trained_and_tested_agrees_with_the_docstring(leaf: Path) -> None:
    """The model also has every source, and the evaluator every tested source."""
    cfg = load(leaf)
    # in mmdet's models the preprocessor has the sources
    known = {source["name"] for source in cfg.model.get("sources") or cfg.model.data_preprocessor.sources}
    assert (cfg.get("train_cfg") is not None) == (commands(leaf)[0][0] == "train")
    for key in LOADERS:
        if cfg.get(key) is not None and "sources" in cfg[key].dataset:
            assert {source["name"] for source in cfg[key].dataset.sources} <= known
    for key in ("val", "test"):
        if cfg.get(f"{key}_evaluator") is not None and "sources" in cfg[f"{key}_dataloader"].dataset:
            tested = [source["name"] for source in cfg[f"{key}_dataloader"].dataset.sources]
            assert [source["name"] for source in cfg[f"{key}_evaluator"].metrics] == tested


# ---- parts


@pytest.mark.usefixtures("in_world")
@each_leaf
def test_the_model_and_its_optimizer_build(leaf: Path, built: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Full-size models are built on the meta device, which has shapes but no numbers: 300 million would take seconds.

    mmdet's Swin reads numbers while it is built: there, weights are not initialised.
    """
    cfg = load(leaf)
    monkeypatch.setattr("torch.nn.init.kaiming_uniform_", lambda tensor, **_: tensor)
    with torch.device(
        "cpu" if leaf.stem.startswith(("dataseg_toy", "dataseg_mini")) or "swin" in leaf.stem else "meta"
    ):
        once(built, [cfg.model, cfg.get("optim_wrapper")], lambda: build_model_and_optimizer(cfg))


def build_model_and_optimizer(cfg: Config) -> None:
    model = MODELS.build(cfg.model)
    if cfg.get("optim_wrapper") is not None:
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        trained = {id(p) for p in model.parameters() if p.requires_grad}
        assert {id(p) for group in wrapper.optimizer.param_groups for p in group["params"]} >= trained


@pytest.mark.usefixtures("in_world")
@each_leaf
def test_every_source_gives_a_sample(leaf: Path, built: dict[str, Any]) -> None:
    cfg = load(leaf)
    for key in LOADERS:
        if cfg.get(key) is None:
            continue
        cfg[key].update(num_workers=0, persistent_workers=False)
        loader = once(built, cfg[key], lambda loader=cfg[key]: Runner.build_dataloader(loader, seed=0))
        dataset, start = loader.dataset, 0
        for source, size in zip(cfg[key].dataset.sources, dataset.sizes, strict=True):
            sample = once(built, [key.startswith("train"), source], lambda d=dataset, i=start: d[i]["data_samples"])
            assert sample.source == source["name"]
            assert len(sample.gt_instances) > 0
            start += size
    if cfg.get("test_evaluator") is not None:
        once(built, cfg.test_evaluator, lambda: EVALUATOR.build(cfg.test_evaluator))


# ---- unknown keys


def build_loader(config: Any) -> Any:
    return Runner.build_dataloader({**config, "num_workers": 0, "persistent_workers": False}, seed=0)


BUILDERS = {
    "model": MODELS.build,
    "train_dataloader": build_loader,
    "test_dataloader": build_loader,
    "test_evaluator": EVALUATOR.build,
    "train_cfg": lambda config: LOOPS.build(config, default_args={"runner": None, "dataloader": None}),
    "default_hooks": lambda config: [HOOKS.build(hook) for hook in config.values()],
    "optim_wrapper": lambda config: build_optim_wrapper(torch.nn.Linear(1, 1), config),
}
# A source is given to model, data and evaluator; each builds its own part of it. A collate function is called with the
# first batch only; `check_components` checks its keywords.
BUILT = {
    "model": r"(?!.*\bsources\b)",
    "train_dataloader": r"(?!.*\bsources\.\d+\.(test|metrics)|collate_fn)",
    "test_dataloader": r"(?!.*\bsources\.\d+\.(train|metrics)|collate_fn)",
    "test_evaluator": r"(metrics\.\d+\.metrics\.\d+)?$",
}


def with_typo(config: Any, path: str) -> Any:
    """A copy with the key ``nun_points`` at that place."""
    copied = deepcopy(config.to_dict())
    place = copied
    for key in path.split(".") if path else ():
        place = place[int(key)] if isinstance(place, list | tuple) else place[key]
    place["nun_points"] = 1
    return copied


@pytest.mark.usefixtures("in_world")
def test_an_unknown_key_is_an_error_that_names_it() -> None:
    """A TypeError, or a `UserError` where a source's dataset or metric is built.

    In each of our components once, whichever configs there are; the small ones first.
    """
    seen: dict[str, str] = {}
    for leaf in sorted(LEAVES, key=lambda path: ("toy" not in path.stem, path)):
        cfg = load(leaf)
        for root, build in BUILDERS.items():
            for path, kind in components({root: cfg.get(root) or {}}):
                path = path.partition(".")[2]
                if kind in seen or not re.match(BUILT.get(root, ""), path):
                    continue
                seen[kind] = f"{leaf.stem}: {root}.{path}"
                with pytest.raises((TypeError, UserError)) as raised:
                    build(with_typo(cfg[root], path))
                # for a class without arguments, Python's message is only that
                assert re.search("nun_points|takes no arguments", str(raised.value)), seen[kind]
    assert {"mmdataseg.DaTaSeg", "mmdataseg.DaTaSegCriterion", "mmdataseg.RatioBatchSampler"} <= set(seen)
    assert {"mmdataseg.LoadImage", "mmdataseg.SemanticMetric", "mmdataseg.ResumableTrainLoop"} <= set(seen)


@pytest.mark.usefixtures("in_world")
@pytest.mark.parametrize(
    ("root", "path", "error"),
    [
        ("model", "sources.0", UserError),
        ("model", "panoptic_head.pixel_decoder", TypeError),
        ("model", "panoptic_head.transformer_decoder.layer_cfg", TypeError),
        ("model", "backbone", TypeError),
        ("train_dataloader", "dataset.sources.1", UserError),
        ("train_dataloader", "", TypeError),
        ("test_evaluator", "metrics.2", UserError),
    ],
)
def test_an_unknown_key_in_a_source_or_a_foreign_part_is_an_error(root: str, path: str, error: type[Exception]) -> None:
    cfg = load(find_config("dataseg_mini_3ds.py"))
    with pytest.raises(error, match="nun_points"):
        BUILDERS[root](with_typo(cfg[root], path))


# ---- two steps and a test


def untrained_checkpoint(leaf: Path, folder: Path) -> Path:
    """An untrained checkpoint for a leaf that only tests, made with the leaf that its command names."""
    _, args = commands(leaf)[0]
    trained = smaller(find_config(f"{Path(args.checkpoint_option).parent.name}.py"), folder / "trained")
    file = folder / "untrained.pth"
    torch.save({"state_dict": MODELS.build(trained.model).state_dict(), "meta": {}}, file)
    return file


@pytest.mark.slow
@pytest.mark.usefixtures("in_world")
@each_leaf
def test_a_leaf_trains_two_steps_and_is_tested(leaf: Path, tmp_path: Path) -> None:
    cfg = smaller(leaf, tmp_path / leaf.stem)
    if cfg.get("train_cfg") is None:
        checkpoint = untrained_checkpoint(leaf, tmp_path)
    else:
        runs.run_training(deepcopy(cfg))
        (log,) = tmp_path.glob("*/*/vis_data/scalars.json")
        losses = [line["loss"] for line in map(json.loads, log.read_text().splitlines()) if "loss" in line]
        assert losses
        assert all(0 < loss < float("inf") for loss in losses)
        checkpoint = next(tmp_path.glob("*/iter_2.pth"))
    rename(cfg, f"{leaf.stem} test")
    metrics = runs.run_testing(cfg, str(checkpoint))
    checkpoint.unlink()  # a gigabyte
    tested = {name.partition("/")[0] for name in metrics}
    assert tested >= {source["name"] for source in cfg.test_dataloader.dataset.get("sources", ())}
    assert metrics
