"""The drawn gardens: their files agree with each other, and the template of configs/own_data reads them."""

import json
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmdataseg.datasets import MultiSourceDataset
from mmdataseg.formats.masks import decode_mask
from tests.layouts import load_tool

tool = load_tool("draw_garden.py")
TEMPLATES = (
    *("garden_small.py", "garden_with_boxes.py", "garden_masks_boxes_small.py"),
    *("garden_instances.py", "garden_instances_small.py"),
)


@pytest.fixture(scope="module")
def gardens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which data/garden was drawn."""
    folder = tmp_path_factory.mktemp("gardens")
    tool.main([str(folder / "data/garden")])
    return folder


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_templates_read_the_drawn_gardens(
    name: str, gardens: Path, repo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(gardens)
    cfg = Config.fromfile(repo_root / "configs/own_data" / name)
    names = ("garden", "garden_small", "garden_instances", "garden_instances_small")
    sizes = dict.fromkeys(names, 24) | {"garden_boxes": 40, "garden_boxes_small": 40}
    for loader, split, expected in ((cfg.train_dataloader, "train", sizes), (cfg.val_dataloader, "test", None)):
        dataset = MultiSourceDataset(sources=loader.dataset.sources, split=split)
        assert dataset.sizes == [8 if expected is None else expected[source] for source in dataset.source_names]
        for index in (0, len(dataset) - 1):
            assert len(dataset[index]["data_samples"].gt_instances) > 0


def test_every_class_and_the_void_are_drawn_in_both_splits(gardens: Path) -> None:
    for split in ("train", "val"):
        values = {int(v) for p in (gardens / "data/garden/labels" / split).iterdir() for v in np.unique(Image.open(p))}
        assert values == {0, 1, 2, 3, 255}


def test_a_box_is_the_extent_of_what_can_be_seen() -> None:
    mask = np.zeros((tool.HEIGHT, tool.WIDTH), bool)
    mask[10:13, 20:27] = True
    garden = tool.Garden(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint8), [(tool.TREE, mask)])
    (annotation,) = tool.annotations_of(garden, 7, with_masks=False)
    assert annotation == {"image_id": 7, "category_id": 1, "bbox": [20, 10, 7, 3], "iscrowd": 0}
    (annotation,) = tool.annotations_of(garden, 7, with_masks=True)
    assert (annotation["bbox"], annotation["area"]) == ([20, 10, 7, 3], 21)
    assert np.array_equal(decode_mask(annotation["segmentation"], *mask.shape), mask)


@pytest.mark.parametrize("seed", range(5))
def test_things_do_not_overlap_and_have_their_class_in_the_label_map(seed: int) -> None:
    garden = tool.draw(np.random.default_rng(seed))
    covered = sum(mask.astype(int) for _, mask in garden.things)
    assert covered.max() == 1
    for kind, mask in garden.things:
        assert (garden.labels[mask] == kind).all()
    assert np.array_equal(covered > 0, np.isin(garden.labels, list(tool.THINGS)))


def test_the_instances_are_the_things_of_the_label_maps(gardens: Path) -> None:
    content = json.loads((gardens / "data/garden/instances_val.json").read_text())
    assert len(content["images"]) == 8
    for image in content["images"]:
        labels = np.array(Image.open(gardens / "data/garden/labels/val" / image["file_name"].replace(".jpg", ".png")))
        drawn = np.zeros_like(labels)
        for annotation in content["annotations"]:
            if annotation["image_id"] == image["id"]:
                drawn[decode_mask(annotation["segmentation"], *labels.shape) > 0] = annotation["category_id"]
        assert np.array_equal(drawn, np.where(np.isin(labels, list(tool.THINGS)), labels, 0))


def test_the_seed_decides_what_is_drawn(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        tool.write_gardens(tmp_path / name, seed=seed)
    first, same, other = (json.loads((tmp_path / name / "boxes_train.json").read_text()) for name in "abc")
    assert first == same != other
    assert [a["id"] for a in first["annotations"]] == list(range(1, len(first["annotations"]) + 1))


def test_a_folder_with_files_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.txt").write_text("mine")
    tool.main([str(tmp_path)])
    assert "nothing was drawn" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["own.txt"]


def test_a_negative_seed_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        tool.main([str(tmp_path / "out"), "--seed", "-1"])
    assert "--seed: expected 0 or more" in capsys.readouterr().err
