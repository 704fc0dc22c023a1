"""docs/datasets.md: its commands parse, its sources and layouts are there, its example builds."""

import argparse
import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.registry import init_default_scope

from mmdataseg.apis import cli
from mmdataseg.apis.config_files import find_config
from mmdataseg.datasets import MultiSourceDataset, RatioBatchSampler
from mmdataseg.evaluation import MultiSourceEvaluator
from mmdataseg.text.vocabularies import known_label_spaces
from tests import layouts

KNOWN_PROGRAMS = {"python", "unzip", "tar", "mim"}


@pytest.fixture(scope="module")
def page(repo_root):
    return (repo_root / "docs/datasets.md").read_text()


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.S)


def test_every_command_parses(page, repo_root, monkeypatch):
    commands = [shlex.split(line) for block in blocks(page, "shell") for line in block.strip().splitlines()]
    assert len(commands) == 23
    assert {command[0] for command in commands} == KNOWN_PROGRAMS
    scripts = [command for command in commands if command[0] == "python"]
    assert {command[1] for command in scripts} >= {
        f"tools/dataset_converters/{path.name}" for path in (repo_root / "tools/dataset_converters").glob("*.py")
    }
    for _, script, *arguments in scripts:
        args = parsed(script, arguments, monkeypatch)
        if script.endswith("text_embeddings.py"):
            assert all(name in known_label_spaces() for name in args.vocabularies)
    for command in commands:
        if command[0] == "unzip":
            assert command[1].endswith(".zip")
            assert command[2] == "-d"
        if command[0] == "tar":
            assert command[1] == "-xf"
            assert command[3] == "-C"
        if command[0] in ("unzip", "tar"):
            assert command[-1].startswith("data")
        if command[0] == "mim":
            assert command[1] in ("train", "test")
            assert command[2] == "mmdataseg"


def test_the_test_with_regions_to_ignore_reads_them(page):
    """The options of the command reach the data and the metric of objects365_instances, and nothing else."""
    (command,) = [line for block in blocks(page, "shell") for line in block.splitlines() if line.startswith("mim test")]
    args = cli.build_test_parser().parse_args(shlex.split(command)[3:])
    plain, changed = (Config.fromfile(find_config(args.config)) for _ in range(2))
    changed.merge_from_dict(args.cfg_options)
    read = [changed.test_dataloader.dataset.sources, changed.test_evaluator.metrics]
    written = [plain.test_dataloader.dataset.sources, plain.test_evaluator.metrics]
    for sources, before in zip(read, written, strict=True):
        different = [new for new, old in zip(sources, before, strict=True) if new != old]
        assert [source["name"] for source in different] == ["objects365_instances"]
    test, scored = read[0][3].test, read[1][3].metrics[0].ann_file
    assert Path(test.data_root, test.ann_file) == Path(scored)
    assert Path(scored).name == "instances_val_1000_ignore-unmasked.json"


class Parsed(Exception):
    """Ends a tool as soon as it has read its command line."""


def parsed(script, arguments, monkeypatch):
    read = argparse.ArgumentParser.parse_args
    tool = layouts.load_tool(script.removeprefix("tools/"))

    def read_and_end(parser, *args):
        raise Parsed(read(parser, *args))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", read_and_end)
    with pytest.raises(Parsed) as stop:
        tool.main(arguments)
    monkeypatch.undo()
    return stop.value.args[0]


def test_every_source_is_in_the_table(page, repo_root):
    rows = set(re.findall(r"^\| [^|]+ \| `(\w+)` \|", page, flags=re.M))
    files = {path.stem for path in (repo_root / "configs/_base_/sources").glob("*.py")}
    assert len(rows) == 9
    assert rows <= files


def test_generated_layouts_are_those_of_the_page(page, tmp_path):
    """Every file pattern of the page's trees matches something in the generated data."""
    for name in layouts.LAYOUTS:
        layouts.write_layout(name, tmp_path)
    patterns = [pattern for block in blocks(page, "text") for pattern in tree_patterns(block)]
    assert len(patterns) > 25
    for pattern in patterns:
        assert list(tmp_path.glob(pattern)), pattern


def tree_patterns(block):
    """Glob patterns of an indented tree, without what is only made later or in the full download."""
    root, *lines = block.strip().splitlines()
    for line in lines:
        text = line.partition("#")[0]
        if "cache/" in text:  # made by the first start
            continue
        entries = re.split(r",\s+(?![^{]*})|\s\.\.\.\s*", text.strip())
        for entry in filter(None, entries):
            for expanded in expand(entry):
                if not expanded.startswith("train/patch50"):
                    yield root.strip() + re.sub(r"<\w+>", "*", expanded)


def expand(pattern):
    """Shell braces."""
    found = re.search(r"\{([^}]*)\}", pattern)
    if not found:
        return [pattern]
    return [
        result
        for choice in found[1].split(",")
        for result in expand(pattern[: found.start()] + choice + pattern[found.end() :])
    ]


def test_the_example_builds(page, repo_root, tmp_path, monkeypatch):
    """The two files as printed, on four generated images."""
    source, leaf, _ = blocks(page, "python")
    shutil.copytree(repo_root / "configs", tmp_path / "configs")
    (tmp_path / "configs/_base_/sources/garden.py").write_text(source)
    (tmp_path / "configs/garden_with_coco.py").write_text(leaf)
    monkeypatch.chdir(tmp_path)
    layouts.write_layout("coco", tmp_path)
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for index in range(2):
            picture = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            labels = rng.choice(np.array([0, 1, 2, 3, 255], np.uint8), (6, 8)).repeat(8, 0).repeat(8, 1)
            layouts.save_array(picture, tmp_path / f"data/garden/images/{split}/{index}.jpg")
            layouts.save_array(labels, tmp_path / f"data/garden/labels/{split}/{index}.png")
    init_default_scope("mmdet")
    config = Config.fromfile("configs/garden_with_coco.py")
    train = MultiSourceDataset(**{k: v for k, v in config.train_dataloader.dataset.items() if k != "type"})
    test = MultiSourceDataset(**{k: v for k, v in config.val_dataloader.dataset.items() if k != "type"})
    assert train.source_names == ["garden", "coco_panoptic"]
    assert train.sizes == [2, layouts.TRAIN_IMAGES]
    assert set(test[0]["data_samples"].gt_instances.labels.tolist()) <= {0, 1, 2, 3}
    assert config.model.sources == config.train_dataloader.dataset.sources
    assert len(config.train_dataloader.batch_sampler.ratios) == 2
    (own_sizes,) = re.findall(r"`(batch_sampler=dict\(.*batch_sizes.*?\))`", page)
    own_sizes = Config.fromstring(own_sizes, ".py").batch_sampler
    sampler = RatioBatchSampler(sampler=DefaultSampler(train, seed=0), batch_size=2, **own_sizes)
    assert {sampler.global_batch(t)[0]: len(sampler.batch(t)) for t in range(4)} == {0: 4, 1: 2}


def test_the_test_of_instances_builds(page, tmp_path, monkeypatch):
    """As printed, on an annotation with nothing but what the page says is needed."""
    *_, scored = blocks(page, "python")
    monkeypatch.chdir(tmp_path)
    layouts.save_array(np.zeros((48, 64, 3), np.uint8), tmp_path / "data/garage/images/val/a.jpg")
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 8, 16, 16]}
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 48, "width": 64}],
        "annotations": [{**box, "segmentation": [[8, 8, 24, 8, 24, 24, 8, 24]]}],
        "categories": [{"id": 1, "name": "car"}],
    }
    (tmp_path / "data/garage/masks_val.json").write_text(json.dumps(content))
    init_default_scope("mmdet")
    space = {"name": "garage", "classes": ["car"], "is_thing": [True]}
    source = {"name": "garage", "task": "instance", "label_space": space, **Config.fromstring(scored, ".py").to_dict()}
    dataset = MultiSourceDataset(split="test", sources=[source])
    truth = dataset[0]["data_samples"].gt_instances
    assert truth.masks.shape == (1, 48, 64), "at the size on disk"
    assert truth.is_crowd.tolist() == [False]
    MultiSourceEvaluator(metrics=[source])
