"""The converters: what they write, that they go on where they stopped, and what they say of broken input."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from scipy.io import savemat

from mmdataseg.datasets import MultiSourceDataset
from mmdataseg.datasets.conversion import PanopticImage, Segmented, convert_panoptic, segments_info
from mmdataseg.datasets.transforms.annotation_maps import decode_mask
from mmdataseg.text.vocabularies import get_label_space
from tests import layouts

# converter -> (layout it belongs to, its arguments, what it writes under data/)
CONVERTERS = {
    "ade_panoptic": ("ade", ["--root", "data/ADEChallengeData2016"], "ADEChallengeData2016/panoptic"),
    "cityscapes_panoptic": ("cityscapes", ["--root", "data/cityscapes"], "cityscapes/panoptic"),
    "pascal_context": (
        "pascal_context",
        ["--root", "data/VOCdevkit/VOC2010"],
        "VOCdevkit/VOC2010/SegmentationClassContext",
    ),
    "objects365_instances": (
        "objects365",
        ["data/objects365/annotations/o365_instance_seg_val.json"],
        "objects365/annotations/instances_val_1000.json",
    ),
}


@pytest.fixture
def world(tmp_path, monkeypatch):
    """An empty folder to write layouts in, and to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(name):
    layouts.convert(name, *CONVERTERS[name][1])


def state(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def ids_of(path):
    return np.asarray(Image.open(path)).astype(np.int64) @ [1, 256, 65536]


def test_every_converter_is_tested(repo_root):
    files = {path.stem for path in (repo_root / "tools/dataset_converters").glob("*.py")}
    assert files == set(CONVERTERS)


@pytest.mark.parametrize("name", CONVERTERS)
def test_help(name, capsys):
    with pytest.raises(SystemExit) as stop:
        layouts.convert(name, "--help")
    assert stop.value.code == 0
    assert "does nothing" in capsys.readouterr().out


@pytest.mark.parametrize("name", CONVERTERS)
def test_second_run_does_nothing(world, name, capsys):
    layouts.write_layout(CONVERTERS[name][0], world)
    before = state(world)
    capsys.readouterr()
    run(name)
    assert "complete, nothing to do" in capsys.readouterr().out
    assert state(world) == before


@pytest.mark.parametrize("name", ["ade_panoptic", "cityscapes_panoptic", "pascal_context"])
def test_a_lost_png_is_made_again_and_nothing_else(world, name, capsys):
    layouts.write_layout(CONVERTERS[name][0], world)
    folder = world / "data" / CONVERTERS[name][2]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    lost = sorted(path for path in before if path.suffix == ".png")[1]
    kept = sorted(path for path in before if path.suffix == ".png")[0]
    lost.unlink()
    time = kept.stat().st_mtime_ns
    run(name)
    assert "1 images converted" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert kept.stat().st_mtime_ns == time


def test_interrupted_run_goes_on(tmp_path):
    """The journal holds what is done; a line that was cut short counts for nothing."""
    images = [PanopticImage(image_id=i, file_name=f"{i}.jpg", png=f"{i}.png") for i in range(4)]
    converted = []

    def convert(image, stop_at=None):
        if image.image_id == stop_at:
            raise KeyboardInterrupt
        converted.append(image.image_id)
        return Segmented(ids=np.full((2, 3), image.image_id + 1, np.int32), categories={image.image_id + 1: 7})

    arguments = {
        "categories": [{"id": 7, "name": "cat", "isthing": 1}],
        "json_file": tmp_path / "out/a.json",
        "png_dir": tmp_path / "out/a",
        "description": "test",
    }
    with pytest.raises(KeyboardInterrupt):
        convert_panoptic(images, convert=lambda image: convert(image, stop_at=2), **arguments)
    assert not (tmp_path / "out/a.json").exists()
    journal = tmp_path / "out/a.json.journal"
    assert len(journal.read_text().splitlines()) == 2
    journal.write_text(journal.read_text() + '{"image": {"id": 2, "fi')
    assert convert_panoptic(images, convert=convert, **arguments) == 2
    assert converted == [0, 1, 2, 3]
    content = json.loads((tmp_path / "out/a.json").read_text())
    assert [image["id"] for image in content["images"]] == [0, 1, 2, 3]
    assert content["annotations"][2] == {
        "image_id": 2,
        "file_name": "2.png",
        "segments_info": [{"id": 3, "category_id": 7, "area": 6, "bbox": [0, 0, 3, 2], "iscrowd": 0}],
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "a.json"]
    assert convert_panoptic(images, convert=convert, **arguments) == 0
    with pytest.raises(ValueError, match=r"a\.json' is there with other categories, .*choose another output"):
        convert_panoptic(images, convert=convert, **{**arguments, "categories": []})


def test_segments_info_by_hand():
    ids = np.array([[0, 300, 300, 0], [5, 5, 300, 0], [5, 70000, 0, 0]], np.int32)
    assert segments_info(Segmented(ids=ids, categories={5: 1, 300: 2, 70000: 3}, crowds=frozenset([300]))) == [
        {"id": 5, "category_id": 1, "area": 3, "bbox": [0, 1, 2, 2], "iscrowd": 0},
        {"id": 300, "category_id": 2, "area": 3, "bbox": [1, 0, 2, 2], "iscrowd": 1},
        {"id": 70000, "category_id": 3, "area": 1, "bbox": [1, 2, 1, 1], "iscrowd": 0},
    ]


def test_ade_by_hand():
    """Class 1 of the instances is 'bed', the first thing (label 7); wall is label 0, its value 1.

    An instance lies above stuff, a thing without instance is unlabelled, and stuff that is hidden is no segment.
    """
    tool = layouts.load_tool("dataset_converters/ade_panoptic.py")
    labels = np.array([[1, 1, 8, 8], [1, 8, 8, 3], [0, 8, 8, 8]], np.uint8)
    classes = np.array([[0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1]], np.uint8)
    instances = np.array([[0, 0, 4, 4], [0, 4, 2, 2], [0, 0, 0, 4]], np.uint8)
    found = tool.combine(labels, classes, instances, get_label_space("ade150"))
    assert found.ids.tolist() == [[1, 1, 8004, 8004], [1, 8004, 8002, 8002], [0, 0, 0, 8004]]
    assert found.categories == {1: 1, 8002: 8, 8004: 8}  # sky, value 3, is hidden
    assert found.crowds == frozenset()


def test_ade_instance_classes_are_the_things_in_the_order_of_the_labels():
    """Some rows of the official list (Instance100 -> SceneParse150)."""
    tool = layouts.load_tool("dataset_converters/ade_panoptic.py")
    table = tool.thing_categories(get_label_space("ade150"))
    assert len(table) == 101
    assert table[[1, 2, 3, 4, 10, 25, 50, 64, 75, 99, 100]].tolist() == [8, 9, 11, 13, 23, 44, 81, 99, 119, 149, 150]


@pytest.mark.parametrize(
    ("value", "channel", "match"),
    [
        (151, None, r"label map has the value 151, expected 0 to 150"),
        (101, 0, r"instances have the class 101, expected 0 to 100"),
        (0, 0, r"an instance has no class"),
        (1, 1, r"instance 1 has several classes"),
    ],
)
def test_ade_values_that_mean_nothing(world, value, channel, match):
    layouts.write_layout("ade", world)
    root = world / "data/ADEChallengeData2016"
    (root / "panoptic/validation.json").unlink()
    (root / "panoptic/validation/ADE_val_00000001.png").unlink()
    kind = "annotations" if channel is None else "annotations_instance"
    path = root / f"{kind}/validation/ADE_val_00000001.png"
    array = np.array(Image.open(path))
    if channel is None:
        array[10, 10] = value
    else:
        array[..., channel][array[..., 1] > 0] = value
    layouts.save_array(array, path)
    with pytest.raises(SystemExit, match=rf"ADE_val_00000001\.png'.*{match}.*unpack"):
        run("ade_panoptic")
    assert not (root / "panoptic/validation.json").exists()


def mask2former_files(root):
    """What Mask2Former's preparation makes of the same data: longer names, ids from 0, a segment without pixel."""
    ours = json.loads((root / "panoptic/validation.json").read_text())
    space = get_label_space("ade150")
    long = {"painting": "painting, picture", "road": "road, route", "waterfall": "falls"}
    categories = [
        {"id": i, "name": long.get(name, name), "isthing": int(thing), "color": [1, 2, 3]}
        for i, (name, thing) in enumerate(zip(space.classes, space.is_thing, strict=True))
    ]
    for annotation in ours["annotations"]:
        for segment in annotation["segments_info"]:
            segment["category_id"] -= 1
        layouts.save_array(
            np.array(Image.open(root / "panoptic/validation" / annotation["file_name"])),
            root / "ade20k_panoptic_val" / annotation["file_name"],
        )
    # things were painted over all of this segment
    ours["annotations"][0]["segments_info"].append(
        {"id": 99, "category_id": 2, "iscrowd": 0, "area": 5, "bbox": [0] * 4}
    )
    layouts.save_json({**ours, "categories": categories}, root / "ade20k_panoptic_val.json")


def test_ade_from_mask2former_is_ade_from_the_official_files(world):
    layouts.write_layout("ade", world)
    root = world / "data/ADEChallengeData2016"
    mask2former_files(root)
    expected = json.loads((root / "panoptic/validation.json").read_text())
    (root / "panoptic").rename(root / "before")
    layouts.convert("ade_panoptic", "--root", root, "--from-mask2former", root / "ade20k_panoptic_val.json")
    assert json.loads((root / "panoptic/validation.json").read_text()) == expected
    for annotation in expected["annotations"]:
        name = f"validation/{annotation['file_name']}"
        assert (ids_of(root / "panoptic" / name) == ids_of(root / "before" / name)).all()


def test_ade_from_some_other_json(world):
    layouts.write_layout("ade", world)
    root = world / "data/ADEChallengeData2016"
    mask2former_files(root)
    content = json.loads((root / "ade20k_panoptic_val.json").read_text())
    content["categories"].pop()
    layouts.save_json(content, root / "ade20k_panoptic_val.json")
    with pytest.raises(SystemExit, match=r"ade20k_panoptic_val\.json': expected the categories 0 to 149"):
        layouts.convert("ade_panoptic", "--root", root, "--from-mask2former", root / "ade20k_panoptic_val.json")


def test_cityscapes_by_hand():
    """road 7; cars 26001, 26002 and a group of cars 26; static 4 and caravan 29001 are not evaluated."""
    tool = layouts.load_tool("dataset_converters/cityscapes_panoptic.py")
    found = tool.segments(np.array([[7, 7, 26001, 26002], [26, 4, 29001, 0]], np.int32))
    assert found.ids.tolist() == [[7, 7, 26001, 26002], [26, 0, 0, 0]]
    assert found.categories == {7: 7, 26: 26, 26001: 26, 26002: 26}
    assert found.crowds == {26}
    with pytest.raises(ValueError, match="value 40001 stands for no Cityscapes class"):
        tool.segments(np.array([[7, 40001]], np.int32))


def test_cityscapes_json_is_that_of_cityscapesscripts_but_for_the_city(world):
    layouts.write_layout("cityscapes", world)
    content = json.loads((world / "data/cityscapes/panoptic/val.json").read_text())
    assert content["images"][0] == {
        "id": "frankfurt_000000_000019",
        "file_name": "frankfurt/frankfurt_000000_000019_leftImg8bit.png",
        "height": layouts.HEIGHT,
        "width": layouts.WIDTH,
    }
    assert content["annotations"][0]["file_name"] == "frankfurt_000000_000019_gtFine_panoptic.png"
    assert content["categories"][0] == {"id": 7, "name": "road", "isthing": 0}
    assert content["categories"][-1] == {"id": 33, "name": "bicycle", "isthing": 1}
    ids = ids_of(world / "data/cityscapes/panoptic/val/frankfurt_000000_000019_gtFine_panoptic.png")
    raw = world / "data/cityscapes/gtFine/val/frankfurt/frankfurt_000000_000019_gtFine_instanceIds.png"
    truth = np.asarray(Image.open(raw)).astype(int)
    assert (ids == np.where(truth == 4, 0, truth)).all()


def test_pascal_context_59_keeps_the_frequent_ones_by_name():
    tool = layouts.load_tool("dataset_converters/pascal_context.py")
    table = tool.table_59()
    small, large = get_label_space("pascal_context59").classes, get_label_space("pascal_context459").classes
    assert np.count_nonzero(table) == 59
    assert table[0] == 0
    for label, name in enumerate(large, 1):
        assert table[label] == (small.index(name) + 1 if name in small else 0)
    # ids of the dataset's labels.txt, as in everyone's converters: aeroplane 2, bag 9, wood 458
    assert table[[1, 2, 9, 458]].tolist() == [0, 1, 2, 59]


def test_pascal_context_writes_the_matrices(world):
    layouts.write_layout("pascal_context", world)
    root = world / "data/VOCdevkit/VOC2010"
    tool = layouts.load_tool("dataset_converters/pascal_context.py")
    names = (root / "ImageSets/SegmentationContext/val.txt").read_text().split()
    assert len(names) == layouts.VAL_IMAGES
    for name in names:
        labels = tool.read_labels(root / f"trainval/{name}.mat")
        assert labels.max() <= 459
        assert (np.asarray(Image.open(root / f"SegmentationClassContext459/{name}.png")) == labels).all()
        small = np.asarray(Image.open(root / f"SegmentationClassContext/{name}.png"))
        assert small.dtype == np.uint8
        assert (small == tool.table_59()[labels]).all()


def truncate(path):
    path.write_bytes(path.read_bytes()[:40])


def wrong_size(path):
    layouts.save_array(np.array(Image.open(path))[:-1], path)


def no_label_map(path):
    savemat(path, {"Labels": np.zeros((3, 3))})


def large_label(path):
    savemat(path, {"LabelMap": np.full((layouts.HEIGHT, layouts.WIDTH), 460, np.uint16)})


def remove(path):
    path.unlink()


BROKEN = [
    ("ade_panoptic", "ADEChallengeData2016/annotations/validation/ADE_val_00000001.png", truncate, "unpack it again"),
    (
        "ade_panoptic",
        "ADEChallengeData2016/annotations_instance/validation/ADE_val_00000001.png",
        remove,
        "put the data",
    ),
    (
        "ade_panoptic",
        "ADEChallengeData2016/annotations_instance/validation/ADE_val_00000001.png",
        wrong_size,
        "has 47 x 64 pixels .* same release",
    ),
    ("ade_panoptic", "ADEChallengeData2016/images/validation/ADE_val_00000001.jpg", truncate, "no image .* again"),
    (
        "cityscapes_panoptic",
        "cityscapes/gtFine/val/frankfurt/frankfurt_000000_000019_gtFine_instanceIds.png",
        truncate,
        "unpack it again",
    ),
    (
        "cityscapes_panoptic",
        "cityscapes/leftImg8bit/val/frankfurt/frankfurt_000000_000019_leftImg8bit.png",
        remove,
        "put the data there",
    ),
    ("pascal_context", "VOCdevkit/VOC2010/trainval/2010_001000.mat", truncate, r"unpack trainval\.tar\.gz again"),
    ("pascal_context", "VOCdevkit/VOC2010/trainval/2010_001000.mat", no_label_map, "has no matrix LabelMap"),
    (
        "pascal_context",
        "VOCdevkit/VOC2010/trainval/2010_001000.mat",
        large_label,
        "labels 460 to 460, expected 0 to 459",
    ),
    ("pascal_context", "VOCdevkit/VOC2010/ImageSets/Main/val.txt", remove, "put the data there"),
    ("objects365_instances", "objects365/annotations/o365_instance_seg_val.json", truncate, "no valid JSON"),
]


@pytest.mark.parametrize(("name", "file", "damage", "remedy"), BROKEN)
def test_broken_input_stops_with_its_name_and_the_remedy(world, name, file, damage, remedy):
    layouts.write_layout(CONVERTERS[name][0], world)
    target = world / "data" / CONVERTERS[name][2]
    for path in [target, *target.rglob("*")] if target.is_dir() else [target]:
        if path.is_file():
            path.unlink()
    damage(world / "data" / file)
    with pytest.raises(SystemExit, match=rf"(?s){Path(file).name}'.*{remedy}"):
        run(name)


def instances_json(world, change):
    layouts.write_layout("objects365", world)
    folder = world / "data/objects365/annotations"
    (folder / "instances_val_1000.json").unlink()
    content = json.loads((folder / "o365_instance_seg_val.json").read_text())
    change(content)
    layouts.save_json(content, folder / "o365_instance_seg_val.json")
    run("objects365_instances")
    return content, json.loads((folder / "instances_val_1000.json").read_text())


def test_objects365_instances_gets_what_scoring_needs(world, capsys):
    def strip(content):
        del content["annotations"][0]["iscrowd"]
        del content["annotations"][1]["bbox"]

    before, after = instances_json(world, strip)
    assert "'kept': 4, 'left out: no mask': 1, 'left out: crowd': 1" in capsys.readouterr().out
    assert [image["file_name"] for image in after["images"]] == [
        "patch0/objects365_v1_00000000.jpg",
        "patch1/objects365_v1_00000001.jpg",
    ]
    assert {"info", "licenses", "categories"} <= set(after)
    originals = {annotation["id"]: annotation for annotation in before["annotations"]}
    for annotation in after["annotations"]:
        mask = decode_mask(annotation["segmentation"], layouts.HEIGHT, layouts.WIDTH)
        assert annotation["area"] == mask.sum()
        assert annotation["iscrowd"] == 0
        x, y, width, height = annotation["bbox"]
        assert mask[y : y + height, x : x + width].sum() == mask.sum()
        assert annotation["category_id"] == originals[annotation["id"]]["category_id"]


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("segmentation", [[1, 2, 3, 4]], r"annotation 1: a polygon needs three or more"),
        ("segmentation", {"size": [3, 3], "counts": [9]}, r"annotation 1: its RLE is 3 x 3"),
        ("category_id", 999, r"annotation 1 has category 999, which is outside the label space"),
        ("image_id", 77, r"annotation 1 is of image 77, which is not listed"),
    ],
)
def test_objects365_instances_with_a_broken_annotation(world, key, value, match):
    with pytest.raises(SystemExit, match=rf"o365_instance_seg_val\.json': {match}"):
        instances_json(world, lambda content: content["annotations"][0].update({key: value}))


def test_mini_world_ade_round_trip(mini_world, world):
    """Real label maps, instances by connected components of each thing: the panoptic segments hold both again."""
    space = get_label_space("ade150")
    root = world / "data/ADEChallengeData2016"
    root.mkdir(parents=True)
    (root / "images").symlink_to(mini_world / "ade/images")
    (root / "annotations").symlink_to(mini_world / "ade/annotations")
    thing_class = {label: n for n, label in enumerate((i for i, t in enumerate(space.is_thing) if t), 1)}
    truth = {}
    for path in sorted((root / "annotations/validation").glob("*.png")):
        labels = np.asarray(Image.open(path))
        coded = np.zeros((*labels.shape, 3), np.uint8)
        for value in np.unique(labels):
            if value and space.is_thing[value - 1]:
                parts, _ = ndimage.label(labels == value)
                coded[..., 0][labels == value] = thing_class[value - 1]
                coded[..., 1] += np.where(parts > 0, parts + coded[..., 1].max(), 0).astype(np.uint8)
        if coded[..., 1].max() == 255:
            pytest.fail("the components of a real image do not fit eight bits; choose larger ones")
        layouts.save_array(coded, root / f"annotations_instance/validation/{path.name}")
        truth[path.stem] = labels, coded
    run("ade_panoptic")
    dataset = MultiSourceDataset(
        sources=[
            {
                "name": "ade",
                "task": "panoptic",
                "label_space": "ade150",
                "test": {
                    "type": "mmdataseg.PanopticSegDataset",
                    "data_root": str(root),
                    "img_dir": "images/validation",
                    "ann_file": "panoptic/validation.json",
                    "ann_dir": "panoptic/validation",
                    "pipeline": [
                        {"type": "mmdataseg.LoadImage"},
                        {"type": "mmdataseg.LoadPanopticMap", "scoring": True},
                        {"type": "mmdataseg.PackInputs"},
                    ],
                },
            }
        ],
        split="test",
    )
    assert len(dataset) == len(truth) == 10
    instances = 0
    for index in range(len(dataset)):
        sample = dataset[index]["data_samples"]
        labels, coded = truth[sample.img_id]
        rows = sample.gt_id_map.data[0].numpy()
        row_labels = sample.gt_instances.labels.numpy()
        assert (np.where(rows >= 0, row_labels[rows], -1) == labels.astype(int) - 1).all()
        pairs = np.unique(np.stack([rows, coded[..., 1]], axis=-1)[rows >= 0], axis=0)
        assert len(pairs) == len(row_labels)  # each row is one instance, or stuff
        instances += int(coded[..., 1].max())
    assert instances > 20


def test_mini_world_coco_panoptic_read_as_semantic(mini_world, repo_root, world):
    """Against numpy: every segment's class, crowds included, and void where the PNG is 0."""
    from mmengine.config import Config

    (world / "data").mkdir()
    (world / "data/coco").symlink_to(mini_world / "coco")
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
        ids = ids_of(mini_world / "coco/annotations/panoptic_val2017" / annotation["file_name"])
        expected = np.full(ids.shape, -1)
        for segment in annotation["segments_info"]:
            expected[ids == segment["id"]] = space.index([names[segment["category_id"]]])[0]
            crowds += segment["iscrowd"]
        rows = sample.gt_id_map.data[0].numpy()
        assert (np.where(rows >= 0, sample.gt_instances.labels.numpy()[rows], -1) == expected).all()
    assert crowds > 0
