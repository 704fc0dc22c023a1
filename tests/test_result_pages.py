"""The numbers of docs/results.md and docs/method.md are those of the configs they name."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from mmengine.config import Config

from mmdataseg.apis.config.files import find_config
from tests.config_world import docstring
from tools.text_embeddings import DEFAULT_TEMPLATES

ROOT = Path(__file__).parents[1]


def rows(page: str) -> list[tuple[str, list[str]]]:
    """(config, cells) of the table rows that link one config."""
    found = []
    for line in (ROOT / page).read_text().splitlines():
        link = re.search(r"\]\(\S*configs/\S*?(\w[\w-]*)\.py\)", line)
        if line.startswith("|") and link:
            found.append((link[1], [cell.strip() for cell in line.strip("|").split("|")]))
    return found


RESULTS = rows("docs/results.md")


def test_the_page_has_all_rows_of_the_paper() -> None:
    names = [name for name, _ in RESULTS]
    for sources in ("ade", "coco", "o365", "ade-o365", "coco-o365", "ade-coco", "3ds"):
        assert f"dataseg_r50_{sources}" in names
    for backbone in ("r50", "vitdet-b", "vitdet-l"):
        assert {f"dataseg_{backbone}_transfer", f"dataseg_{backbone}_3ds"} <= set(names)


@pytest.mark.parametrize(("name", "cells"), RESULTS, ids=[name for name, _ in RESULTS])
def test_the_numbers_of_the_paper_are_those_of_the_docstring(name: str, cells: list[str]) -> None:
    numbers = [cell for cell in cells if re.fullmatch(r"\d+\.\d", cell)]
    assert len(numbers) == (0 if name.endswith("_equal-epochs") else 4)
    text = " ".join(docstring(find_config(f"{name}.py")).split())
    paper = re.search(r"Paper \((.*?)Ours: ", text)
    quoted = re.findall(r"\d+\.\d\b", paper[1]) if paper else []
    assert quoted[: len(numbers)] == numbers
    assert (cells[-1] == "not run") == ("Ours: not run" in text)


def test_iterations_of_equal_epochs() -> None:
    found = [(name, cells) for name, cells in RESULTS if name.endswith("_equal-epochs")]
    assert len(found) == 3
    for name, cells in found:
        assert f"{Config.fromfile(find_config(f'{name}.py')).train_cfg.max_iters:,}" in cells


# ---- docs/method.md


@pytest.fixture(scope="module")
def values() -> Mapping[str, str]:
    """Choice -> value, from the table in "What a run depends on"."""
    section = (ROOT / "docs/method.md").read_text().partition("## What a run depends on")[2].partition("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "|" in line]
    assert all(len(row) == 4 for row in cells)
    return {row[0]: row[1] for row in cells}


@pytest.fixture(scope="module")
def configs() -> Mapping[str, Config]:
    return {name: Config.fromfile(find_config(f"dataseg_{name}_3ds.py")) for name in ("r50", "vitdet-b", "vitdet-l")}


def transform(source: Config, split: str, kind: str) -> Config:
    (found,) = [step for step in source[split].pipeline if step["type"] == kind]
    return found


def test_the_page_has_the_training_settings_of_the_configs(
    values: Mapping[str, str], configs: Mapping[str, Config]
) -> None:
    cfg = configs["r50"]
    assert values["ratios"] == " : ".join(map(str, cfg.train_dataloader.batch_sampler.ratios))
    assert values["batch"].startswith(f"{cfg.auto_scale_lr.base_batch_size} images")
    steps = [cfg.train_cfg.max_iters, *cfg.param_scheduler.milestones]
    assert re.findall(r"\d+,\d+", values["schedule"]) == [f"{step:,}" for step in steps]
    optimizer = cfg.optim_wrapper.optimizer
    expected = [optimizer.lr, optimizer.weight_decay, cfg.optim_wrapper.clip_grad.max_norm]
    assert [float(number) for number in re.findall(r"0\.\d+", values["optimizer"])] == expected
    rates = [cfg.optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult]
    rates += [configs[name].optim_wrapper.paramwise_cfg.decay_rate for name in ("vitdet-b", "vitdet-l")]
    assert [float(n) for n in re.findall(r"0\.\d+", values["learning rate of the backbone"])] == rates


def test_the_page_has_the_network_settings_of_the_configs(
    values: Mapping[str, str], configs: Mapping[str, Config]
) -> None:
    cfg = configs["r50"]
    head = cfg.model.panoptic_head
    assert values["queries"].startswith(f"{head.num_queries},")
    assert f"{head.transformer_decoder.num_layers} layers" in values["number of these blocks"]
    assert f"{head.pixel_decoder.encoder.num_layers} layers, {head.feat_channels}" in values["pixel decoder"]
    assert f"D = {cfg.model.classifier.embed_dim}" in values["text encoder"]
    assert DEFAULT_TEMPLATES == "vild63"
    assert values["prompt templates"].startswith("63 of ViLD")
    drops = [configs[name].model.backbone.drop_path_rate for name in ("vitdet-b", "vitdet-l")]
    assert [float(n) for n in re.findall(r"0\.\d", values["ViTDet, initialisation"])] == drops
    panoptic = cfg.model.postprocessors.panoptic
    assert values["thresholds, panoptic"].startswith(
        f"class probability {panoptic.score_threshold}; {panoptic.kept_share} of its own mask"
    )
    assert values["instances per image"] == str(cfg.model.postprocessors.instance.max_instances)


def test_the_page_has_the_crops_and_sizes_of_the_configs(
    values: Mapping[str, str], configs: Mapping[str, Config]
) -> None:
    ade, coco, objects365 = configs["r50"].train_dataloader.dataset.sources
    for name, source in (("ADE20K", ade), ("COCO", coco)):
        crop = transform(source, "train", "mmdataseg.RandomCrop")
        assert values[f"crop, {name}"].startswith(" x ".join(f"{side:,}" for side in crop["size"]))
        assert "max_class_share" not in crop
        scale = transform(source, "train", "RandomResize")
        low, high = scale["ratio_range"]
        assert f"{min(scale['scale']):,} x {low} to {high}" in values[f"jitter, {name}"]
    assert values["crop and jitter, Objects365"] == "as COCO"
    assert objects365.train.pipeline[2:] == coco.train.pipeline[2:]
    tested = {source["name"]: source for source in configs["r50"].test_dataloader.dataset.sources}
    transfer = Config.fromfile(find_config("dataseg_r50_transfer.py")).test_dataloader.dataset.sources
    tested |= {source["name"]: source for source in transfer}
    for name, sources in {
        "ADE20K": ("ade_semantic", "ade_panoptic", "pascal_context59", "pascal_context459"),
        "COCO": ("coco_panoptic", "coco_semantic", "objects365_instances"),
        "Cityscapes": ("cityscapes_panoptic",),
    }.items():
        for source in sources:
            long, short = sorted(transform(tested[source], "test", "Resize")["scale"], reverse=True)
            assert values[f"test size, {name}"] == f"short side {short:,}, long side at most {long:,}"
