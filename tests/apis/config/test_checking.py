"""Names and keywords of components are checked before anything is built."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import OPTIMIZERS

from mmdataseg.apis.config.checking import check_components, check_leaf
from mmdataseg.apis.config.files import config_root, leaf_configs, leaf_configs_of
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.errors import UserError
from tests.config_world import load


@pytest.fixture(autouse=True, scope="module")
def _registered():
    register_all_modules()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            dict(train_dataloader=dict(batch_sampler=dict(type="mmdataseg.RatioBatchSampler", ratio=[1]))),
            r"config: train_dataloader\.batch_sampler: mmdataseg\.RatioBatchSampler has no setting 'ratio'; "
            r"did you mean 'ratios'\?",
        ),
        (
            dict(model=dict(type="mmdataseg.DaTaSec")),
            r"config: model\.type: there is no 'mmdataseg\.DaTaSec'; did you mean 'DaTaSeg'\?",
        ),
        (
            dict(default_hooks=dict(a=[dict(type="mmdataseg.PlotCurves", zzz=1)])),
            r"config: default_hooks\.a\.0: .* has no setting 'zzz'; expected one of metrics",
        ),
        (dict(model=dict(type="Foo")), "no model is registered as 'Foo'; import its module in custom_imports"),
        (
            dict(train_dataloader=dict(batchsize=4)),
            r"config: train_dataloader: a data loader has no setting 'batchsize'; did you mean 'batch_size'\?",
        ),
        (
            dict(train_dataloader=dict(collate_fn=dict(type="mmdataseg.single_storage_collate", zzz=1))),
            r"config: train_dataloader\.collate_fn: mmdataseg\.single_storage_collate has no setting 'zzz'",
        ),
        (
            dict(optim_wrapper=dict(type="OptimWrapper", optimizer=dict(type="AdamW", weight_deca=1))),
            r"config: optim_wrapper\.optimizer: AdamW has no setting 'weight_deca'; did you mean 'weight_decay'\?",
        ),
        (
            dict(optim_wrapper=dict(optimizer=dict(type="Adamw"))),
            r"config: optim_wrapper\.optimizer\.type: nothing is registered as 'Adamw'; did you mean 'AdamW'\?",
        ),
        (
            dict(param_scheduler=[dict(type="LinearLR", start_facto=0.1)]),
            r"config: param_scheduler\.0: LinearLR has no setting 'start_facto'; did you mean 'start_factor'\?",
        ),
        (
            dict(default_hooks=dict(logger=dict(type="LoggerHook", intervals=5))),
            r"config: default_hooks\.logger: LoggerHook has no setting 'intervals'; did you mean 'interval'\?",
        ),
        (
            dict(custom_hooks=[dict(type="Zzz")]),
            r"config: custom_hooks\.0\.type: nothing is registered as 'Zzz'; import its module in custom_imports",
        ),
        (
            dict(source=dict(metrics=[dict(type="mmdataseg.PanopticQualityMetric", classwize=True)])),
            r"config: source\.metrics\.0: .*Metric has no setting 'classwize'; did you mean 'classwise'\?",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(config, message):
    with pytest.raises(UserError, match=message):
        check_components(Config(config))


@pytest.mark.parametrize(
    "config",
    [
        dict(visualizer=dict(type="Zzz", zzz=1)),
        dict(train_pipeline=[dict(type="RandomFlip", zzz=1)]),
        dict(custom_hooks=[dict(type="EMAHook", priority=1, zzz=1)]),  # it passes keywords on
        dict(param_scheduler=dict(type="LinearLR", convert_to_iter_based=True)),
        dict(train_dataloader=dict(num_batch_per_epoch=4, collate_fn=dict(type="pseudo_collate"))),
        dict(train_dataloader=dict(disable_subprocess_warning=True)),
        dict(custom_hooks=[dict(type="mmdataseg.PlotCurves", priority=49)]),
        dict(custom_hooks=[dict(type="mmdataseg.engine.PlotCurves", metrics=["PQ"])]),  # an import path
        dict(custom_hooks=[dict(type="mmengine.hooks.EMAHook", momentum=0.1)]),
        dict(default_scope="mmdet", custom_hooks=[dict(type="SegVisualizationHook", _scope_="mmseg")]),
        dict(optim_wrapper=dict(optimizer=dict(type="SGD", params=dict(type="Zzz")))),  # not an optimizer itself
    ],
)
def test_other_components_of_others_and_what_mmengine_takes_are_left_to_them(config):
    check_components(Config(config))


def test_a_class_of_others_that_takes_any_keyword_is_left_to_itself_and_a_function_is_checked(monkeypatch):
    class TakesAny(torch.optim.SGD):
        def __init__(self, params, **mine):
            super().__init__(params, **mine)

    def made(params, lr):
        return torch.optim.SGD(params, lr)

    def made_by_any(params, **rest):
        return torch.optim.SGD(params, **rest)

    for component in (TakesAny, made, made_by_any):
        monkeypatch.setitem(OPTIMIZERS.module_dict, component.__name__, component)
    check_components(Config(dict(optim_wrapper=dict(optimizer=dict(type="TakesAny", zzz=1)))))
    check_components(Config(dict(optim_wrapper=dict(optimizer=dict(type="made", lr=1)))))
    with pytest.raises(UserError, match=r"optimizer: made has no setting 'zzz'; expected one of lr, params"):
        check_components(Config(dict(optim_wrapper=dict(optimizer=dict(type="made", zzz=1)))))
    check_components(Config(dict(optim_wrapper=dict(optimizer=dict(type="made_by_any", zzz=1)))))


def test_a_config_in_pure_python_style_names_classes_and_is_checked(tmp_path):
    file = tmp_path / "pure.py"
    file.write_text(
        "from mmengine.hooks import EMAHook\n"
        "from torch.optim import AdamW\n"
        "from mmdataseg.engine import PlotCurves\n"
        "optim_wrapper = dict(optimizer=dict(type=AdamW, lr=0.1))\n"
        "custom_hooks = [dict(type=EMAHook, momentum=0.1, priority=49), dict(type=PlotCurves, metrics=['PQ'])]\n"
    )
    cfg = Config.fromfile(file)
    check_components(cfg)
    cfg.custom_hooks[1]["metric"] = 1
    with pytest.raises(UserError, match=r"custom_hooks\.1: mmdataseg\.engine\.PlotCurves .* did you mean 'metrics'"):
        check_components(cfg)


@pytest.mark.parametrize("leaf", leaf_configs(), ids=lambda leaf: leaf.stem)
def test_every_config_passes(leaf):
    check_components(load(leaf))


@pytest.mark.parametrize(
    ("file", "defined", "leaf"),
    [
        (
            "sources/ade_semantic.py",
            "defines the source ade_semantic, not a model",
            "configs/dataseg_r50_3ds.py",
        ),
        (
            "sources/coco_semantic.py",
            "defines the sources coco_panoptic, coco_semantic, not a model",
            r"configs/\S+\.py",
        ),
        ("models/dataseg_vitdet-b.py", "defines a model without data", "configs/dataseg_vitdet-b_3ds.py"),
        ("schedules/adamw_4k.py", "defines no model", "configs/own_data/garden_with_boxes.py"),
    ],
)
def test_a_part_of_a_config_is_refused_and_a_whole_one_is_named(file, defined, leaf):
    cfg = Config.fromfile(config_root() / "_base_" / file)
    with pytest.raises(UserError, match=rf"{file}': this file {defined}; give a leaf config such as .*{leaf}"):
        check_leaf(cfg)


def test_every_leaf_is_a_whole_config():
    for leaf in leaf_configs():
        check_leaf(load(leaf))


def test_the_leaves_of_a_users_own_base_file_are_found_first(tmp_path):
    (tmp_path / "_base_").mkdir()
    (tmp_path / "_base_/roofs.py").write_text("roofs = dict(task='semantic', label_space='ade150')\n")
    (tmp_path / "_base_/more_roofs.py").write_text("_base_ = ['./roofs.py']\n")
    (tmp_path / "town.py").write_text("_base_ = ['./_base_/more_roofs.py']\n")
    assert leaf_configs_of(tmp_path / "_base_/roofs.py") == [tmp_path / "town.py"]
    assert leaf_configs_of(tmp_path / "_base_/other.py") == []
    cfg = Config.fromfile(tmp_path / "_base_/roofs.py")
    (tmp_path / "town.py").unlink()
    with pytest.raises(UserError, match="give a leaf config that names it in its _base_"):
        check_leaf(cfg)
