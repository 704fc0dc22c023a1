"""For the tests of the configs: generated data in the places that the configs name, and smaller versions of the
configs."""

import ast
import json
import re
import shlex
from argparse import Namespace
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from pycocotools import mask as coco_mask

from mmdataseg.apis import cli, runs
from mmdataseg.apis.config.files import config_root, leaf_configs
from mmdataseg.text.embeddings import save_embeddings
from mmdataseg.text.encoding import embed_classes
from mmdataseg.text.hashing import HashingEncoder
from mmdataseg.text.vocabularies import get_label_space
from tests import layouts

LEAVES = leaf_configs()


def _name(leaf: Path) -> str:
    """Path of a leaf without its suffix, relative to configs, or to the root for a leaf of a project."""
    root = config_root()
    return leaf.relative_to(root if leaf.is_relative_to(root) else root.parent).with_suffix("").as_posix()


NAMES = [_name(leaf) for leaf in LEAVES]
WITH_TOY = any("toy" in leaf.parts for leaf in LEAVES)  # projects/toy can be deleted
WITH_VOC = any(name.startswith("projects/voc/") for name in NAMES)  # and so can projects/voc
LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
MINI_EMBED_DIM = 512  # that of ViT-B/16, which configs/_base_/models/dataseg_mini.py expects
SMALL = 64  # pixels


def write_world(root: Path) -> None:
    """Write the data of every source and their text embeddings below ``root``."""
    layouts.write_all(root)
    if WITH_TOY:
        from tests.toy import make_toy

        make_toy([str(root / "data/toy"), "--train-images", "4", "6", "6", "--val-images", "2"])
    if WITH_VOC:
        from tests.voc import write_voc

        write_voc(root)
    write_mini(root)


def write_mini(root: Path) -> None:
    """Write the mini layout: official layouts of a few images, and instances of some of Objects365's classes."""
    mini = root / "data/mini_world"
    mini.mkdir()
    (mini / "ade").symlink_to(root / "data/ADEChallengeData2016")
    (mini / "coco").symlink_to(root / "data/coco")
    space, rng = get_label_space("objects365_coco80"), np.random.default_rng(9)
    content: dict[str, list[dict[str, Any]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": i, "name": name} for i, name in enumerate(space.classes, 1)],
    }
    for number in range(layouts.TRAIN_IMAGES):
        scene, file_name = layouts.Scene(rng, space), f"{number}.jpg"
        layouts.save(scene.picture(rng), mini / "objects365/train" / file_name)
        content["images"].append(
            {"id": number, "file_name": file_name, "height": layouts.HEIGHT, "width": layouts.WIDTH}
        )
        for thing in scene.things:
            rle = coco_mask.encode(np.asfortranarray(scene.mask(thing).astype(np.uint8)))
            entry = {"id": len(content["annotations"]) + 1, "image_id": number, "iscrowd": 0}
            entry |= {"category_id": scene.label[thing] + 1, "area": int(coco_mask.area(rle))}
            entry |= {"bbox": coco_mask.toBbox(rle).tolist()}
            entry |= {"segmentation": {"size": rle["size"], "counts": rle["counts"].decode()}}
            content["annotations"].append(entry)
    folder = mini / "objects365/annotations"
    layouts.save_json(content, folder / "instances_train_heldback.json")
    for entry in content["annotations"]:
        del entry["segmentation"]
    layouts.save_json(content, folder / "boxes_train.json")
    encoder = HashingEncoder(dim=MINI_EMBED_DIM)
    for vocabulary in ("ade150", "coco133", "objects365_coco80"):
        embeddings = embed_classes(encoder, get_label_space(vocabulary).classes, vocabulary=vocabulary)
        save_embeddings(root / f"data/embeddings/mini/{vocabulary}.safetensors", embeddings)


def docstring(leaf: Path) -> str:
    return ast.get_docstring(ast.parse(leaf.read_text())) or ""


def commands(leaf: Path) -> list[tuple[str, Namespace]]:
    """(train or test, its arguments) of the commands that a leaf's docstring gives.

    Raises:
        SystemExit: The program does not accept one.
    """
    joined = re.sub(r"\\\n\s*", "", docstring(leaf))  # join lines that end with a backslash
    found = re.findall(r"^Command: mim (train|test) mmdataseg (.+)$", joined, flags=re.MULTILINE)
    parsers = {"train": cli.build_train_parser(), "test": cli.build_test_parser()}
    # --gpus is mim's own
    return [(verb, parsers[verb].parse_args(shlex.split(re.sub(r"--gpus \d+", "", words)))) for verb, words in found]


def load(leaf: Path) -> Config:
    """Load a leaf; each test gets its own copy, which is faster than reading again."""
    return deepcopy(_read(leaf))


@cache
def _read(leaf: Path) -> Config:
    return Config.fromfile(leaf)


def smaller(leaf: Path, work_dir: Path) -> Config:
    """A leaf as its own command loads it, for two steps on a CPU: small images and batches, nothing pretrained."""
    _, args = commands(leaf)[0]
    cfg = runs.load_config(leaf, work_dir=str(work_dir), options=args.cfg_options)
    rename(cfg, work_dir.name)
    cfg.randomness = dict(seed=0)
    for key in LOADERS:
        loader = cfg.get(key)
        if loader is None:
            continue
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        for source in loader.dataset.sources:
            indices = source.test.get("indices") if source.get("test") else None
            if indices:
                source.test.indices = 2 if isinstance(indices, int) else indices[:2]
        for transform in _transforms(loader.dataset):
            for size in {"scale", "size"} & set(transform):
                transform[size] = (SMALL, SMALL)
    _forget_pretrained(cfg.model)
    cfg.load_from = None  # no checkpoint is converted here
    if cfg.model.backbone.get("arch") == "large":
        cfg.model.backbone.arch = dict(embed_dim=1024, depth=4, num_heads=16)
    cfg.default_hooks.checkpoint.update(save_optimizer=False, save_param_scheduler=False)
    cfg.default_hooks.logger.update(interval=1)
    if cfg.get("train_cfg") is not None:
        cfg.train_cfg.update(max_iters=2, val_begin=3)  # the test afterwards shows that it can be scored
    return cfg


def rename(cfg: Config, name: str) -> None:
    """Give a run its own name: mmengine keeps the loggers and visualizers of a process by name."""
    cfg.experiment_name = name
    cfg.visualizer.name = name


def components(config: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(dotted path, type) of everything in a config that mmdataseg's classes are built from."""
    items = enumerate(config) if isinstance(config, list | tuple) else config.items()
    for key, value in items:
        if isinstance(value, dict | list | tuple):
            place = f"{path}.{key}" if path else str(key)
            if isinstance(value, dict) and str(value.get("type", "")).startswith("mmdataseg."):
                yield place, value["type"]
            yield from components(value, place)


def key_of(config: Any) -> str:
    """The same text for the same settings."""
    return json.dumps(config.to_dict() if hasattr(config, "to_dict") else config, sort_keys=True, default=str)


def _transforms(dataset: Any) -> Iterator[Any]:
    for source in dataset.sources:
        for split in ("train", "test"):
            yield from (source.get(split) or {}).get("pipeline", ())


def _forget_pretrained(config: Any) -> None:
    if isinstance(config, dict):
        if (config.get("init_cfg") or {}).get("type") == "Pretrained":
            config["init_cfg"] = None
        if config.get("pretrained") is True:
            config["pretrained"] = False
        for value in config.values():
            _forget_pretrained(value)
