"""docs/train_and_test.md: its options exist, and its changes to a config are accepted and have an effect."""

import re
import shlex
from inspect import signature
from pathlib import Path

import pytest
from mmdet.models.backbones import ResNet, SwinTransformer
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from mmdataseg.apis import runs
from mmdataseg.apis.config.checking import check_components
from mmdataseg.apis.config.files import find_config
from mmdataseg.apis.config.reading import read_config
from mmdataseg.apis.parsers import build_test_parser, build_train_parser
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.engine.whole_checkpoints import WholeCheckpoints

PAGE = (Path(__file__).parents[1] / "docs/train_and_test.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
CHANGES = re.findall(r"^\| .* \| `(--cfg-options [^`]+)`", PAGE, flags=re.M)


SCORES = {"garden_small/mIoU": 94.5}


@pytest.fixture(autouse=True, scope="module")
def _registered():
    register_all_modules()


def test_the_options_are_those_of_the_commands():
    of_command = {"train": build_train_parser(), "test": build_test_parser()}
    rows = re.findall(r"^\| (?:(train|test): )?`(--[\w-]+)` \|", PAGE, flags=re.M)
    assert len(rows) == 9
    for command, option in rows:
        for name, parser in of_command.items():
            assert (option in parser.format_help()) == (command in ("", name)), (name, option)


def changed(change):
    options = build_train_parser().parse_args(["dataseg_r50_3ds.py", *shlex.split(change)]).cfg_options
    cfg = read_config("dataseg_r50_3ds.py", options)
    check_components(cfg)
    return cfg, options


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_accepted_and_reaches_the_config(change):
    plain = read_config("dataseg_r50_3ds.py")
    cfg, options = changed(change)
    for name, value in options.items():
        found, before = cfg, plain
        for key in name.split("."):
            found = found[key]
            before = None if before is None else before.get(key)
        assert found == value
        assert found != before


def settings_of_the_page(part):
    """Name -> value of all settings of a part of the config that the page changes."""
    settings = {name: value for change in CHANGES for name, value in changed(change)[1].items()}
    return {name.removeprefix(f"{part}."): value for name, value in settings.items() if name.startswith(f"{part}.")}


def test_what_other_packages_take_has_the_names_of_the_page():
    assert len(CHANGES) == 12
    assert set(settings_of_the_page("model")) == {"backbone.frozen_stages", "backbone.with_cp"}
    for backbone in (ResNet, SwinTransformer):
        assert {"frozen_stages", "with_cp"} <= set(signature(backbone).parameters)
    assert "accumulative_counts" in signature(OptimWrapper).parameters


def test_the_hook_of_checkpoints_takes_what_the_page_gives_it():
    of_hook = settings_of_the_page("default_hooks.checkpoint")
    assert set(of_hook) == {"save_best", "interval", "max_keep_ckpts", "published_keys"}
    hook = WholeCheckpoints(**of_hook)
    assert hook.rules == ["greater"]
    assert hook.published_keys == ["meta", "state_dict"]


def test_the_config_of_the_page_is_accepted(tmp_path, repo_root):
    block, _ = BLOCKS
    (tmp_path / "own.py").write_text(block.replace("./configs", f"{repo_root}/configs"))
    cfg = Config.fromfile(tmp_path / "own.py")
    check_components(cfg)
    assert [hook.type for hook in cfg.custom_hooks] == ["mmdataseg.PlotCurves", "EMAHook", "EarlyStoppingHook"]
    assert [backend.type for backend in cfg.visualizer.vis_backends] == ["LocalVisBackend", "TensorboardVisBackend"]
    assert cfg.visualizer.type == read_config("dataseg_r50_3ds.py").visualizer.type
    monitored = cfg.custom_hooks[-1].monitor.partition("/")[0]
    assert monitored in {source.name for source in cfg.val_evaluator.metrics}


def test_the_functions_take_what_the_page_gives_them(monkeypatch):
    """The lines as printed, with functions that only compare the arguments with their own."""
    _, block = BLOCKS
    asked = []
    for function in (runs.run_training, runs.run_testing):
        bind = signature(function).bind
        monkeypatch.setattr(runs, function.__name__, lambda *a, bind=bind, **k: asked.append(bind(*a, **k)) or SCORES)
    exec(block, {})
    training, testing = (bound.arguments for bound in asked)
    assert find_config(training["config"]).is_file()
    assert (
        testing["checkpoint"] == f"work_dirs/{find_config(training['config']).stem}/iter_{training['iterations']}.pth"
    )
