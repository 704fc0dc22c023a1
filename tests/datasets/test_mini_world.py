"""The mini world's real files through our loaders, against a direct reading with PIL, numpy and json."""

import json
from collections import defaultdict

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from pycocotools.coco import COCO

from mmdataseg.datasets import MultiSourceDataset
from mmdataseg.text.vocabularies import get_label_space
from tests.datasets.writing import rgb_to_id

COLOUR_ORDER = slice(None, None, -1)  # ours is OpenCV's BGR


def build(**source):
    return MultiSourceDataset(sources=[source], split="test" if "test" in source else "train")


def pipeline(loader, **kwargs):
    return [
        {"type": "mmdataseg.LoadImage"},
        {"type": f"mmdataseg.{loader}", **kwargs},
        {"type": "mmdataseg.PackInputs"},
    ]


def by_image(annotations):
    grouped = defaultdict(list)
    for annotation in annotations:
        grouped[annotation["image_id"]].append(annotation)
    return grouped


@pytest.mark.parametrize(("split", "count"), [("training", 24), ("validation", 10)])
def test_ade(mini_world, split, count):
    dataset = build(
        name="ade",
        task="semantic",
        label_space="ade150",
        train={
            "type": "mmdataseg.SemanticSegDataset",
            "data_root": str(mini_world / "ade"),
            "img_dir": f"images/{split}",
            "ann_dir": f"annotations/{split}",
            "zero_is_void": True,
            "pipeline": pipeline("LoadSemanticMap"),
        },
    )
    assert len(dataset) == count
    for index in range(count):
        sample = dataset[index]["data_samples"]
        png = np.asarray(Image.open(mini_world / f"ade/annotations/{split}/{sample.img_id}.png")).astype(int)
        labels = sample.gt_instances.labels.numpy()
        id_map = sample.gt_id_map.data[0].numpy()
        assert (np.where(id_map >= 0, labels[id_map], -1) == png - 1).all()
        assert labels.tolist() == sorted(set(np.unique(png - 1)) - {-1})
        assert sample.ori_shape == png.shape


@pytest.mark.parametrize(("split", "count"), [("train2017", 100), ("val2017", 50)])
@pytest.mark.parametrize("scoring", [False, True])
def test_coco_panoptic(mini_world, split, count, scoring):
    dataset = build(
        name="coco",
        task="panoptic",
        label_space="coco133",
        **{
            "test" if scoring else "train": {
                "type": "mmdataseg.PanopticSegDataset",
                "data_root": str(mini_world / "coco"),
                "img_dir": split,
                "ann_file": f"annotations/panoptic_{split}.json",
                "ann_dir": f"annotations/panoptic_{split}",
                "pipeline": pipeline("LoadPanopticMap", scoring=scoring),
            }
        },
    )
    content = json.loads((mini_world / f"coco/annotations/panoptic_{split}.json").read_text())
    names = {c["id"]: c["name"].strip() for c in content["categories"]}
    annotations = {a["image_id"]: a for a in content["annotations"]}
    space = get_label_space("coco133")
    assert len(dataset) == len(annotations) == count
    for index in range(count):
        packed = dataset[index]
        sample = packed["data_samples"]
        annotation = annotations[sample.img_id]
        png = np.asarray(Image.open(mini_world / f"coco/annotations/panoptic_{split}" / annotation["file_name"]))
        red, green, blue = np.moveaxis(png.astype(np.int64), -1, 0)
        ids = red + 256 * green + 256**2 * blue
        expected_class = np.full(ids.shape, -1)
        kept = [s for s in annotation["segments_info"] if scoring or not s["iscrowd"]]
        for segment in kept:
            expected_class[ids == segment["id"]] = space.index([names[segment["category_id"]]])[0]
        labels = sample.gt_instances.labels.numpy()
        id_map = sample.gt_id_map.data[0].numpy()
        assert (np.where(id_map >= 0, labels[id_map], -1) == expected_class).all()
        # things are told apart, stuff is one region a class (as annotated, COCO has one already)
        pairs = np.unique((ids * 1000 + id_map)[expected_class >= 0])
        assert len(pairs) == len(kept) == len(labels) == len(set(pairs % 1000))
        if scoring:
            assert sample.gt_instances.is_crowd.tolist() == [bool(s["iscrowd"]) for s in kept]
        if index < 3:
            path = mini_world / f"coco/{split}/{sample.img_id:012}.jpg"
            image = np.asarray(Image.open(path).convert("RGB")).astype(int)
            ours = packed["inputs"].numpy().transpose(1, 2, 0)[..., COLOUR_ORDER].astype(int)
            assert np.abs(image - ours).mean() < 1  # two JPEG decoders


@pytest.mark.parametrize("space", ["objects365", "objects365_80"])
def test_boxes(mini_world, space):
    content = json.loads((mini_world / "objects365/annotations/boxes_train.json").read_text())
    names = {c["id"]: c["name"] for c in content["categories"]}
    if space == "objects365":
        label_space = get_label_space(space)
        config = space
    else:  # the 80 categories in another order than the file's
        config = {"name": space, "classes": sorted(names.values()), "is_thing": [True] * len(names)}
        label_space = None
    dataset = build(
        name="boxes",
        task="instance",
        supervision="boxes",
        label_space=config,
        train={
            "type": "mmdataseg.InstanceSegDataset",
            "data_root": str(mini_world / "objects365"),
            "img_dir": "train",
            "ann_file": "annotations/boxes_train.json",
            "pipeline": pipeline("LoadInstances"),
        },
    )
    classes = config["classes"] if label_space is None else list(label_space.classes)
    grouped = by_image(content["annotations"])
    total = 0
    for index in range(len(dataset)):
        sample = dataset[index]["data_samples"]
        expected = [a for a in grouped[sample.img_id] if not a["iscrowd"]]
        got = sample.gt_instances
        assert [classes[label] for label in got.labels] == [names[a["category_id"]].strip() for a in expected]
        boxes = np.array([a["bbox"] for a in expected]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        assert np.abs(got.bboxes.numpy() - boxes).max(initial=0) < 1e-2
        total += len(expected)
    assert len(dataset) == 100
    assert len(content["annotations"]) == 672
    assert total == 662  # ten are crowd


@pytest.mark.parametrize(
    ("images", "file", "count"),
    [
        ("objects365/train", "instances_train_heldback.json", 672),  # polygons; crowds as uncompressed RLE
        ("coco/val2017", "instances_val.json", None),  # compressed RLE
    ],
)
def test_masks(mini_world, images, file, count):
    path = mini_world / "objects365/annotations" / file
    dataset = build(
        name="masks",
        task="instance",
        label_space="objects365",
        train={
            "type": "mmdataseg.InstanceSegDataset",
            "img_dir": str(mini_world / images),
            "ann_file": str(path),
            "with_masks": True,
            "pipeline": pipeline("LoadInstances", with_masks=True),
        },
    )
    reference = COCO(str(path))
    names = {c["id"]: c["name"].strip() for c in reference.dataset["categories"]}
    classes = get_label_space("objects365").classes
    assert count in (None, len(reference.dataset["annotations"]))
    rows = 0
    for index in range(len(dataset)):
        sample = dataset[index]["data_samples"]
        annotations = reference.imgToAnns[sample.img_id]
        masks = {a["id"]: reference.annToMask(a).astype(bool) for a in annotations}
        expected = [a for a in annotations if not a["iscrowd"] and masks[a["id"]].any()]
        got = sample.gt_instances
        assert [classes[label] for label in got.labels] == [names[a["category_id"]] for a in expected]
        for mask, annotation in zip(got.masks.numpy(), expected, strict=True):
            assert (mask == masks[annotation["id"]]).all()
        known = np.zeros(sample.ori_shape, bool)
        crowd = known.copy()
        for annotation in annotations:
            region = crowd if annotation["iscrowd"] else known
            region |= masks[annotation["id"]]
        assert (sample.gt_void.data[0].numpy() == (crowd & ~known)).all()
        rows += len(expected)
    assert rows > 300


def test_coco_panoptic_read_as_semantic(mini_world, repo_root, tmp_path, monkeypatch):
    """Against numpy: every segment's class, crowds included, and void where the PNG is 0."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/coco").symlink_to(mini_world / "coco")
    source = Config.fromfile(repo_root / "configs/_base_/sources/coco_semantic.py").coco_semantic.to_dict()
    dataset = MultiSourceDataset(sources=[source], split="test")
    content = json.loads((mini_world / "coco/annotations/panoptic_val2017.json").read_text())
    names = {c["id"]: c["name"].strip() for c in content["categories"]}
    annotations = {a["image_id"]: a for a in content["annotations"]}
    space = get_label_space("coco133")
    crowds = 0
    assert len(dataset) == 50
    for index in range(len(dataset)):
        sample = dataset[index]["data_samples"]
        annotation = annotations[sample.img_id]
        ids = rgb_to_id(Image.open(mini_world / "coco/annotations/panoptic_val2017" / annotation["file_name"]))
        expected = np.full(ids.shape, -1)
        for segment in annotation["segments_info"]:
            expected[ids == segment["id"]] = space.index([names[segment["category_id"]]])[0]
            crowds += segment["iscrowd"]
        rows = sample.gt_id_map.data[0].numpy()
        assert (np.where(rows >= 0, sample.gt_instances.labels.numpy()[rows], -1) == expected).all()
    assert crowds > 0
