"""The configs of projects/voc: what they set, and two steps of each on files in both layouts."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmdataseg.apis.config.files import leaf_configs
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.registry import EVALUATOR, MODELS
from projects.voc import make_voc
from projects.voc.published.annotations import CLASSES
from projects.voc.tests.files import (
    NUM_VAL,
    VOCABULARIES,
    write_camvid,
    write_embeddings,
    write_published,
    write_real_world,
)
from tests.config_world import key_of, smaller

CONFIGS = Path(__file__).parents[1] / "configs"
LEAVES = {leaf.stem: leaf for leaf in leaf_configs(CONFIGS)}
TEST_ONLY = ("dataseg_voc_3ds_transfer", "dataseg_voc_3ds_training-images")
TRAINED = [name for name in LEAVES if name not in TEST_ONLY]
ALL = "dataseg_voc_3ds"
STEADY = ["cat", "cow", "dog", "horse", "person", "sheep"]


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The layout of the small real world, and that which is made of the published files; with SBD, so that boxes have
    masks."""
    root = tmp_path_factory.mktemp("layouts")
    write_real_world(root / "small/data/real_world")
    write_published(root, num_val=NUM_VAL, num_sbd=8)
    out = root / "published/data/real_world/voc"
    make_voc.make_voc(root / "VOC2012", out, sbd=root / "benchmark_RELEASE/dataset")
    write_camvid(out.parent)
    found = {name: root / name for name in ("small", "published")}
    for folder in found.values():
        write_embeddings(folder / "data/embeddings/voc")
    return found


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MMDATASEG_REAL_WORLD", raising=False)
    # mmengine collects garbage for each dataset, which takes long with the objects of so many configs
    monkeypatch.setattr("mmengine.dataset.base_dataset.gc", SimpleNamespace(collect=lambda: None))
    register_all_modules()
    init_default_scope("mmdet")


def load(name: str) -> Config:
    return Config.fromfile(LEAVES[name])


def tiny(name: str, folder: Path) -> Config:
    """A config for two steps on a CPU: small images and batches, nothing pretrained, few layers."""
    cfg = smaller(LEAVES[name], folder)
    head = cfg.model.panoptic_head
    head.num_queries = 10
    head.pixel_decoder.encoder.num_layers = 1
    head.transformer_decoder.num_layers = 2
    return cfg


def two_steps(cfg: Config) -> Iterator[dict[str, Any]]:
    """The losses of two training steps."""
    torch.manual_seed(0)
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    model = MODELS.build(cfg.model)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    model.backbone.init_weights()
    model.train()
    batches = iter(loader)
    for _ in range(2):
        yield model.train_step(next(batches), optimizer)


@pytest.mark.parametrize("name", TRAINED)
def test_every_config_takes_two_steps_in_both_layouts(
    name: str, layouts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = tiny(name, tmp_path)
    for folder in layouts.values():
        monkeypatch.chdir(folder)
        for losses in two_steps(cfg):
            assert torch.isfinite(losses["loss"])
            assert losses["loss"] > 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (ALL, ["voc_semantic/mIoU_steady", "voc_panoptic/PQ_steady", "voc_boxes/mask_AP", "voc_boxes/steady/mask_AP"]),
        ("dataseg_voc_3ds_transfer", ["camvid_semantic/mIoU"]),
        (
            "dataseg_voc_3ds_training-images",
            ["voc_semantic_training/mIoU", "voc_panoptic_training/PQ_steady", "voc_boxes_training/mask_AP"],
        ),
        ("dataseg_voc_4ds", ["camvid_semantic/mIoU", "voc_panoptic/PQ"]),
    ],
)
def test_what_is_tested_is_read_and_scored(
    name: str, expected: list[str], layouts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = tiny(name, tmp_path)
    for folder in layouts.values():
        monkeypatch.chdir(folder)
        loader = Runner.build_dataloader(cfg.test_dataloader, seed=0)
        evaluator = EVALUATOR.build(cfg.test_evaluator)
        evaluator.dataset_meta = loader.dataset.metainfo
        model = MODELS.build(cfg.model).eval()
        with torch.no_grad():
            for batch in loader:
                evaluator.process(data_samples=model.test_step(batch), data_batch=batch)
        assert set(evaluator.evaluate(len(loader.dataset))) >= set(expected)


@pytest.mark.parametrize("name", [ALL, "dataseg_voc_true-masks", "dataseg_voc_4ds"])
def test_the_small_real_world_is_read(
    name: str, real_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real files with the real backbone; the rows of text come from the hashing encoder."""
    monkeypatch.setenv("MMDATASEG_REAL_WORLD", str(real_world))
    monkeypatch.chdir(tmp_path)
    write_embeddings(tmp_path / "data/embeddings/voc")
    weights = Config.fromfile(LEAVES[name]).model.backbone.init_cfg
    cfg = tiny(name, tmp_path)
    cfg.model.backbone.init_cfg = weights
    for losses in two_steps(cfg):
        assert torch.isfinite(losses["loss"])
    dataset = Runner.build_dataloader(load(name).test_dataloader, seed=0).dataset
    assert dataset.sizes[:3] == [200, 200, 200]


def test_all_three_sources_test_the_same_images(layouts: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in layouts.values():
        monkeypatch.chdir(folder)
        dataset = Runner.build_dataloader(load(ALL).test_dataloader, seed=0).dataset
        names = [Path(dataset.get_data_info(index)["img_path"]).name for index in range(len(dataset))]
        assert names[:200] == names[200:400] == names[400:]
        assert len(set(names)) == 200


def test_vocabularies_are_those_of_the_sources() -> None:
    for source in load("dataseg_voc_4ds").model.sources:
        space = source["label_space"]
        assert (VOCABULARIES / f"{space['name']}.txt").read_text().splitlines() == list(space["classes"])
        assert source["embeddings"] == f"data/embeddings/voc/{space['name']}.safetensors"
    semantic, panoptic, boxes = (source["label_space"] for source in load(ALL).model.sources)
    assert semantic == panoptic
    assert tuple(boxes["classes"]) == CLASSES == tuple(semantic["classes"][1:])
    assert semantic["classes"][0] == "background"
    assert list(semantic["is_thing"]) == [False] + [True] * 20


def test_the_steady_classes_are_scored_in_each_source() -> None:
    semantic, panoptic, boxes = load(ALL).test_evaluator.metrics
    assert semantic["metrics"][0].subsets == panoptic["metrics"][0].subsets == {"steady": STEADY}
    assert boxes["metrics"][1].classes == STEADY


CHANGES = {
    "no-projection-cost": {"criterion.targets.boxes.cost": None},
    "no-merge": {"criterion.merge": "none"},
    "merge-after-matching": {"criterion.merge": "after_matching"},
    "no-text": {"classifier.type": "mmdataseg.LearnedClassifier"},
    "bce": {"criterion.targets.masks.focal_weight": 0.0, "criterion.targets.masks.bce_weight": 5.0},
    "equal-ratios": {},
}
CHANGES["merge-after-matching-bce"] = CHANGES["merge-after-matching"] | CHANGES["bce"]


@pytest.mark.parametrize("what", CHANGES)
def test_an_ablation_changes_only_what_its_name_says(what: str) -> None:
    whole, ablated = load(ALL), load(f"{ALL}_{what}")
    whole.merge_from_dict({f"model.{key}": value for key, value in CHANGES[what].items()})
    assert key_of(ablated.model) == key_of(whole.model)
    ratios = whole.train_dataloader.batch_sampler.pop("ratios"), ablated.train_dataloader.batch_sampler.pop("ratios")
    assert list(ratios[1]) == ([1, 1, 1] if what == "equal-ratios" else [1, 2, 1])
    for key in ("train_dataloader", "test_dataloader", "optim_wrapper", "param_scheduler", "train_cfg"):
        assert key_of(ablated[key]) == key_of(whole[key])


def test_all_ablations_are_listed_here() -> None:
    assert {leaf.stem for leaf in (CONFIGS / "ablations").glob("*.py")} == {f"{ALL}_{what}" for what in CHANGES}


def test_box_shares_differ_in_the_number_of_boxed_images() -> None:
    for count in (0, 55, 110, 220, 440):
        sources = load(f"dataseg_voc_110-masks_{count}-boxes").train_dataloader.dataset.sources
        assert [(s["name"], s["supervision"], s["train"]["indices"]) for s in sources] == [
            ("voc_panoptic_110", "masks", 110),
            *([(f"voc_boxes_{count}", "boxes", count)] if count else []),
        ]


def test_the_upper_bound_reads_the_masks_that_the_others_hold_back() -> None:
    (*_, boxes), (*_, masks) = (load(name).train_dataloader.dataset.sources for name in (ALL, "dataseg_voc_true-masks"))
    assert (boxes["supervision"], masks["supervision"]) == ("boxes", "masks")
    assert "instances_boxes" not in key_of(load(ALL).train_dataloader)
    assert masks["train"]["ann_file"] == "annotations/instances_boxes.json"
    assert key_of(load("dataseg_voc_true-masks").test_dataloader) == key_of(load(ALL).test_dataloader)
    assert boxes["train"]["img_dir"] == masks["train"]["img_dir"]


def test_one_data_root_for_all_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDATASEG_REAL_WORLD", "/somewhere")
    cfg = load("dataseg_voc_4ds")
    for source in cfg.model.sources:
        assert source["train"]["data_root"].startswith("/somewhere" + os.sep)
        for metric in source["metrics"]:
            assert metric.get("ann_file", "/somewhere/").startswith("/somewhere/")
    assert cfg.model.backbone.init_cfg.checkpoint.startswith("/somewhere/weights/")


def test_the_plain_vit_is_frozen_by_half() -> None:
    cfg = load("dataseg_voc_3ds_dinov3")
    cfg.model.backbone.pretrained = False
    backbone = MODELS.build(cfg.model.backbone)
    blocks = [any(p.requires_grad for p in block.parameters()) for block in backbone.net.model.blocks]
    assert blocks == [False] * 6 + [True] * 6
