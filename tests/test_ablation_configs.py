"""What the ablations and the comparisons with other systems set, beyond what every config is tested for."""

from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from mmdataseg.apis.config.files import config_root, find_config
from mmdataseg.registry import MODELS
from mmdataseg.text.vocabularies import get_label_space
from tests.config_world import LEAVES, NAMES, WITH_TOY, key_of

SCALES = ["r50", *(["toy"] if WITH_TOY else [])]
# those of projects/voc have a test beside them
ABLATIONS = sorted(
    leaf.stem
    for leaf, name in zip(LEAVES, NAMES, strict=True)
    if leaf.parent.name == "ablations" and not name.startswith("projects/voc/")
)
SETTINGS = {  # the setting of the model that an ablation changes, apart from its sources
    "no-text": {"classifier.type": "mmdataseg.LearnedClassifier"},
    "per-source-queries": {"queries": "per_source"},
    "per-source-background": {"classifier.background": "per_source"},
    "no-projection-cost": {"criterion.targets.boxes.cost": None},
    "no-merge": {"criterion.merge": "none"},
    "merge-after-matching": {"criterion.merge": "after_matching"},
    "bce": {"criterion.targets.masks.focal_weight": 0.0, "criterion.targets.masks.bce_weight": 5.0},
    "box-affinity": {
        "data_preprocessor.type": "mmdataseg.ColorSimilarityPreprocessor",
        "criterion.targets.boxes.affinity_weight": 5.0,
    },
    "probability-merge": {"postprocessors.semantic.merge": "probability"},
    "equal-ratios": {},
}


def load(name: str) -> Config:
    return Config.fromfile(find_config(f"{name}.py"))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("what", SETTINGS)
def test_an_ablation_differs_from_the_full_method_in_one_setting(scale: str, what: str) -> None:
    whole, ablated = load(f"dataseg_{scale}_3ds"), load(f"dataseg_{scale}_3ds_{what}")
    config = Config({"model": whole.model})
    config.merge_from_dict({f"model.{key}": value for key, value in SETTINGS[what].items()})
    actual = Config({"model": ablated.model})
    config.model.sources = actual.model.sources = []
    assert key_of(actual.model) == key_of(config.model)
    if what == "probability-merge":
        return
    ratios = [list(config.train_dataloader.batch_sampler.ratios) for config in (ablated, whole)]
    assert ratios[0] == ([1, 1, 1] if what == "equal-ratios" else ratios[1])
    for key in ("optim_wrapper", "param_scheduler", "train_cfg"):
        assert key_of(Config({key: ablated[key]})) == key_of(Config({key: whole[key]}))


def test_all_ablations_are_listed_here() -> None:
    assert sorted(f"dataseg_{scale}_3ds_{what}" for scale in SCALES for what in SETTINGS) == ABLATIONS


@pytest.mark.parametrize("leaf", LEAVES, ids=NAMES)
def test_find_unused_parameters_is_set_if_some_batches_do_not_train_all(leaf: Any) -> None:
    """Otherwise DistributedDataParallel stops at the second iteration."""
    cfg = Config.fromfile(leaf)
    if cfg.get("train_cfg") is None:
        return
    spaces = {key_of(Config({"space": source["label_space"]})) for source in cfg.train_dataloader.dataset.sources}
    classifier = cfg.model.get("classifier", {})  # mmdet's models have none
    learned = classifier.get("type") == "mmdataseg.LearnedClassifier" and len(spaces) > 1
    own = "per_source" in (cfg.model.get("queries"), classifier.get("background"))
    assert cfg.get("find_unused_parameters", False) == (learned or own)


def test_norms_and_position_tables_of_a_transformer_backbone_are_not_decayed() -> None:
    init_default_scope("mmdet")
    cfg = load("dataseg_swin-t_3ds")
    backbone = MODELS.build(dict(cfg.model.backbone, init_cfg=None))
    wrapper = build_optim_wrapper(
        torch.nn.ModuleDict({"backbone": backbone, "norm": torch.nn.LayerNorm(2)}), cfg.optim_wrapper
    )
    group_of = {id(p): group for group in wrapper.optimizer.param_groups for p in group["params"]}
    for name, parameter in backbone.named_parameters():
        group = group_of[id(parameter)]
        assert group["lr"] == pytest.approx(1e-5), name
        assert bool(group["weight_decay"]) == (not ("norm" in name or "bias_table" in name)), name


def test_the_one_gpu_config_has_the_same_images_steps_and_learning_rates() -> None:
    for scale, gpus in (("r50", 8), ("toy", 1))[: len(SCALES)]:
        many, one = load(f"dataseg_{scale}_3ds"), load(f"dataseg_{scale}_3ds_1gpu")
        accumulated = one.optim_wrapper.accumulative_counts
        assert accumulated * one.train_dataloader.batch_size == gpus * many.train_dataloader.batch_size
        assert one.train_cfg.max_iters == accumulated * many.train_cfg.max_iters
        assert one.optim_wrapper.optimizer == many.optim_wrapper.optimizer
        assert one.default_hooks.checkpoint.interval % accumulated == 0, (
            "a checkpoint within a step loses its gradients"
        )
        before, after = (c.param_scheduler for c in (many, one))
        before, after = ([s] if isinstance(s, dict) else s for s in (before, after))
        for old, new in zip(before, after, strict=True):
            for key in {"begin", "end", "T_max"} & set(old):
                assert new[key] == accumulated * old[key]
            assert list(new.get("milestones", [])) == [accumulated * m for m in old.get("milestones", [])]


class TestMergedTaxonomy:
    @staticmethod
    def source(name: str) -> Any:
        return Config.fromfile(config_root() / f"_base_/sources/{name}.py")[name]

    def test_ade_values_have_the_names_of_their_classes(self) -> None:
        ade, source = get_label_space("ade150"), self.source("merged_ade")
        label_map = source.train.label_map
        assert set(label_map) == set(range(151))
        assert label_map[0] is None
        classes = list(source.label_space.classes)
        for label, name in enumerate(ade.classes):
            if name in classes:
                assert label_map[label + 1] == name
        assert set(label_map.values()) - {None} == set(classes)
        assert label_map[21] == label_map[103] == "car"  # van
        assert label_map[27] == label_map[61] == label_map[129] == "water"  # sea, river, lake

    def test_all_coco_categories_are_mapped_and_every_class_has_one(self) -> None:
        coco, source = get_label_space("coco133"), self.source("merged_coco")
        classes, label_map = list(source.label_space.classes), source.train.label_map
        assert set(label_map) <= set(coco.classes)
        merged = [label_map.get(name, name) for name in coco.classes]
        assert set(merged) - {None} == set(classes)
        for name, thing in zip(coco.classes, coco.is_thing, strict=True):
            into = label_map.get(name, name)
            if into is not None and thing and into not in ("table", "food"):
                assert source.label_space.is_thing[classes.index(into)]
