"""ADE20K panoptic: label maps and instances combined, and Mask2Former's files read."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from mmdataseg.datasets import MultiSourceDataset
from mmdataseg.text.vocabularies import get_label_space
from tests import layouts
from tests.datasets.writing import rgb_to_id


def run():
    layouts.convert("ade_panoptic", "--root", "data/ADEChallengeData2016")


def test_ade_segments_by_hand():
    """Class 1 of the instances is 'bed', the first thing (label 7); wall is label 0, its value 1.

    An instance covers stuff, a thing without instance is unlabelled, and hidden stuff is not a segment.
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
def test_values_that_ade_does_not_have_are_refused(world, value, channel, match):
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
        run()
    assert not (root / "panoptic/validation.json").exists()


def mask2former_files(root):
    """The output of Mask2Former's preparation for the same data: longer names, ids from 0, a segment without pixel."""
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
    # things cover all of this segment
    ours["annotations"][0]["segments_info"].append(
        {"id": 99, "category_id": 2, "iscrowd": 0, "area": 5, "bbox": [0] * 4}
    )
    layouts.save_json({**ours, "categories": categories}, root / "ade20k_panoptic_val.json")


def test_files_of_mask2former_give_the_segments_of_the_official_files(world):
    layouts.write_layout("ade", world)
    root = world / "data/ADEChallengeData2016"
    mask2former_files(root)
    expected = json.loads((root / "panoptic/validation.json").read_text())
    (root / "panoptic").rename(root / "before")
    layouts.convert("ade_panoptic", "--root", root, "--from-mask2former", root / "ade20k_panoptic_val.json")
    assert json.loads((root / "panoptic/validation.json").read_text()) == expected
    for annotation in expected["annotations"]:
        name = f"validation/{annotation['file_name']}"
        made, expected_ids = (rgb_to_id(Image.open(root / folder / name)) for folder in ("panoptic", "before"))
        assert (made == expected_ids).all()


def test_a_json_that_is_not_mask2formers_is_refused(world):
    layouts.write_layout("ade", world)
    root = world / "data/ADEChallengeData2016"
    mask2former_files(root)
    content = json.loads((root / "ade20k_panoptic_val.json").read_text())
    content["categories"].pop()
    layouts.save_json(content, root / "ade20k_panoptic_val.json")
    with pytest.raises(SystemExit, match=r"ade20k_panoptic_val\.json': expected the categories 0 to 149"):
        layouts.convert("ade_panoptic", "--root", root, "--from-mask2former", root / "ade20k_panoptic_val.json")


def of_first(content, key, **values):
    """Change the first segment (key None), image, annotation or category of the JSON; a value of None removes it."""
    entry = content["annotations"][0]["segments_info"][0] if key is None else content[key][0]
    for name, value in values.items():
        entry[name] = value
        if value is None:
            del entry[name]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"key": None, "id": None}, "image .* or its annotation: key 'id' is missing"),
        ({"key": None, "id": "x"}, "image .* or its annotation: 'id': expected an integer, got 'x'"),
        ({"key": None, "id": 99}, "image .* or its annotation: segment 99 appears twice"),
        ({"key": None, "category_id": None}, "image .* or its annotation: key 'category_id' is missing"),
        ({"key": None, "category_id": 150}, r"image .*: segment \d+ has category 150, expected 0 to 149"),
        ({"key": None, "iscrowd": "maybe"}, "image .* or its annotation: 'iscrowd': expected 0 or 1, got 'maybe'"),
        ({"key": "annotations", "segments_info": None}, "image .* or its annotation: key 'segments_info' is missing"),
        ({"key": "annotations", "file_name": None}, "image .* or its annotation: key 'file_name' is missing"),
        ({"key": "images", "file_name": None}, "image .* or its annotation: key 'file_name' is missing"),
        ({"key": "categories", "isthing": None}, "a category: key 'isthing' is missing"),
        ({"key": "categories", "isthing": "both"}, "a category: 'isthing': expected 0 or 1, got 'both'"),
        ({"key": "categories", "id": None}, "expected categories with 'id' and 'name', got"),
    ],
)
def test_a_malformed_entry_of_mask2formers_json_ends_in_one_sentence(world, change, match):
    layouts.write_layout("ade", world)
    root = world / "data/ADEChallengeData2016"
    mask2former_files(root)
    file = root / "ade20k_panoptic_val.json"
    content = json.loads(file.read_text())
    of_first(content, **change)
    layouts.save_json(content, file)
    with pytest.raises(SystemExit, match=rf"^'{file}': {match}.*; repair the file$"):
        layouts.convert("ade_panoptic", "--root", root, "--from-mask2former", file)


def test_a_png_of_mask2former_with_one_channel_is_refused(world):
    layouts.write_layout("ade", world)
    root = world / "data/ADEChallengeData2016"
    mask2former_files(root)
    (root / "panoptic/validation.json").unlink()
    (root / "panoptic/validation/ADE_val_00000001.png").unlink()
    png = root / "ade20k_panoptic_val/ADE_val_00000001.png"
    layouts.save_array(np.zeros((layouts.HEIGHT, layouts.WIDTH), np.uint8), png)
    with pytest.raises(
        SystemExit, match=rf"^'{png}': expected an RGB PNG of segment ids, got shape .*; repair the file"
    ):
        layouts.convert("ade_panoptic", "--root", root, "--from-mask2former", root / "ade20k_panoptic_val.json")


def test_segments_of_the_mini_world_hold_its_label_maps_and_instances(mini_world, world):
    """Real label maps, with connected components of each thing as instances: the panoptic segments contain both."""
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
    run()
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
