"""Findings that workers send together are those of one image after the other."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks

from mmdataseg.datasets.findings import Findings
from mmdataseg.datasets.inspection import Inspection, check_source, inspect, judge, report
from mmdataseg.datasets.multi_source import MultiSourceDataset
from mmdataseg.sources import Source, build_sources
from tests.datasets.writing import CLASSES, IS_THING, write_png

IMAGES = 75  # more than two messages, and not a multiple of their length


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """Label maps of random classes; some images and maps are broken, and two images are the same."""
    rng = np.random.default_rng(0)
    for number in range(IMAGES):
        write_png(tmp_path / f"img/{number:03}.png", rng.integers(0, 256, (4, 6, 3), np.uint8))
        write_png(tmp_path / f"ann/{number:03}.png", rng.integers(0, 5, (4, 6), np.uint8))
    for number in (3, 31, 32, 64, 74):
        (tmp_path / f"img/{number:03}.png").write_bytes(b"broken")
    for number in (5, 40):
        write_png(tmp_path / f"ann/{number:03}.png", np.full((4, 6), 9, np.uint8))
    (tmp_path / "img/070.png").write_bytes((tmp_path / "img/001.png").read_bytes())
    pipeline = [{"type": "mmdataseg.LoadImage"}, {"type": "mmdataseg.LoadSemanticMap"}]
    paths = {"data_root": str(tmp_path), "img_dir": "img", "ann_dir": "ann", "suffixes": (".png", ".png")}
    dataset = {"type": "mmdataseg.SemanticSegDataset", **paths, "zero_is_void": True, "pipeline": pipeline}
    space = {"name": "four", "classes": CLASSES, "is_thing": IS_THING}
    return build_sources([{"name": "sem", "task": "semantic", "label_space": space, "train": dataset}])[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_findings_are_the_same_to_the_letter(source: Source, workers: int) -> None:
    inspection = Inspection(MultiSourceDataset(sources=[source], split="train"))
    expected = Findings()
    for index in range(IMAGES):
        expected.add(inspection[index])
    judge(source, expected, inspection.dataset.datasets[0], complete=True)
    found = check_source(source, "train", workers, None)
    assert found == expected
    assert report(source, "train", found) == report(source, "train", expected)
    assert (found.images, len(found.problems), len(found.notes)) == (IMAGES, 7, 1)
    assert list(found.paths) == list(expected.paths)


@pytest.mark.parametrize("with_masks", [False, True])
def test_boxes_under_a_pixel_matter_only_where_boxes_are_trained(with_masks: bool) -> None:
    results = {
        "gt_bboxes": HorizontalBoxes(torch.tensor([[0.0, 0, 4, 0.5], [0, 0, 4, 4], [0, 0, 2, 0]])),
        "gt_bboxes_labels": np.array([1, 2, 3]),
    }
    if with_masks:
        results["gt_masks"] = BitmapMasks(np.array([[[1, 0]], [[0, 0]], [[0, 1]]], np.uint8), 1, 2)
    found = inspect(results)
    assert (found.tiny, found.vanished, dict(found.classes)) == ((0, 1, {1: 1, 3: 1}) if with_masks else (2, 0, {2: 1}))
