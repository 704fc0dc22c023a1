"""The toy configs: their merged taxonomy, and mmdet's own Mask2Former compared with ours."""

from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmdataseg.apis.config.files import find_config
from mmdataseg.registry import MODELS
from mmdataseg.structures import LabelSpace
from projects.toy.world.vocabulary import TOY_MIXED
from tests.config_world import key_of

YARDSTICK, OURS = "mmdet-mask2former_toy_panoptic", "mask2former_toy_panoptic"


def test_mmdets_mask2former_is_trained_and_tested_like_ours() -> None:
    mmdets, ours = load(YARDSTICK), load(OURS)
    settings = {name for name in {**mmdets, **ours} if not name.startswith("_") and name != "model"}
    assert {"train_dataloader", "test_evaluator", "optim_wrapper", "param_scheduler", "train_cfg"} <= settings
    assert [name for name in settings if key_of(mmdets[name]) != key_of(ours[name])] == []


def test_mmdets_mask2former_has_our_loss_weights_and_thresholds() -> None:
    mmdets, ours = load(YARDSTICK).model, load(OURS).model
    head, criterion, masks = mmdets.panoptic_head, ours.criterion, ours.criterion.targets.masks
    weights = [criterion.class_weight, masks.bce_weight, masks.dice_weight]
    assert [head[f"loss_{term}"].loss_weight for term in ("cls", "mask", "dice")] == weights
    assert [cost.weight for cost in mmdets.train_cfg.assigner.match_costs] == weights
    label_space = ours.sources[0].label_space
    assert head.loss_cls.class_weight == [1.0] * len(label_space.classes) + [criterion.background_weight]
    for counted in (head, mmdets.panoptic_fusion_head):
        assert counted.num_things_classes == sum(label_space.is_thing)
        assert counted.num_stuff_classes == len(label_space.is_thing) - sum(label_space.is_thing)
    read = ours.postprocessors.panoptic
    assert [mmdets.test_cfg[key] for key in ("object_mask_thr", "iou_thr")] == [read.score_threshold, read.kept_share]


def test_mmdets_mask2former_has_our_network_except_for_the_classifier() -> None:
    """It also draws the same number of points."""
    init_default_scope("mmdet")
    mmdets, ours = (MODELS.build(load(name).model) for name in (YARDSTICK, OURS))
    shapes = [{name: tuple(value.shape) for name, value in model.state_dict().items()} for model in (mmdets, ours)]
    assert {name.split(".")[1] for name in shapes[0].keys() - shapes[1].keys()} == {"cls_embed"}
    assert {name.split(".")[0] for name in shapes[1].keys() - shapes[0].keys()} == {"classifier", "panoptic_head"}
    missing = {name.split(".")[1] for name in shapes[1].keys() - shapes[0].keys() if name.startswith("panoptic_head")}
    assert missing == {"class_embed"}
    common = shapes[0].keys() & shapes[1].keys()
    assert {name: shapes[0][name] for name in common} == {name: shapes[1][name] for name in common}
    head, masks = mmdets.panoptic_head, ours.criterion.targets["masks"]
    drawn = (head.num_points, head.oversample_ratio, head.importance_sample_ratio)
    assert drawn == (masks.num_points, masks.oversample_ratio, masks.importance_ratio)


def load(name: str) -> Config:
    return Config.fromfile(find_config(f"{name}.py"))


def test_the_merged_class_is_the_last_word_of_a_toy_name(repo_root) -> None:
    def source(name: str) -> Any:
        return Config.fromfile(repo_root / f"projects/toy/configs/_base_/sources/{name}.py")[name]

    semantic, panoptic = source("toy_merged_semantic"), source("toy_merged_panoptic")
    toy = source("toy_semantic").label_space.classes
    for value, into in semantic.train.label_map.items():
        assert into is None or into in toy[value - 1].split()
    assert panoptic.train.label_map["dotted grass"] == "grass"
    assert panoptic.train.label_map["blue ring"] is None
    assert panoptic.label_space == semantic.label_space


def test_mixed_words_are_those_of_two_sources_and_the_models_are_the_usual_ones() -> None:
    for name, usual in {
        "dataseg_toy_3ds_mixed-words": "dataseg_toy_3ds",
        "mask2former_toy_mixed-words": "mask2former_toy",
    }.items():
        mixed = load(name)
        for source in mixed.test_dataloader.dataset.sources:
            assert LabelSpace(**source.label_space) == TOY_MIXED
        other = load(usual).model
        assert {key for key in other if key_of(other[key]) != key_of(mixed.model[key])} == {"sources"}
