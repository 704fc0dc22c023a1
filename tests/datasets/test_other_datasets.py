"""mmdet's and mmseg's own datasets under our loading transforms: same ground truth as with ours."""

import numpy as np
import pytest
from mmdet.datasets import CocoDataset, CocoPanopticDataset
from mmseg.datasets import ADE20KDataset

from mmdataseg.datasets import (
    InstanceSegDataset,
    LoadImage,
    LoadInstances,
    LoadPanopticMap,
    LoadSemanticMap,
    PanopticSegDataset,
    SemanticSegDataset,
)
from mmdataseg.structures import LabelSpace, Task
from tests.datasets.writing import CATEGORIES, METAINFO, InstanceFiles, PanopticFiles, write_image, write_png

# mmdet numbers classes in the order of the file: give the label space that order.
IN_FILE_ORDER = [c["name"] for c in CATEGORIES[:4]]
THINGS = [bool(c["isthing"]) for c in CATEGORIES[:4]]
SPACE = LabelSpace("file order", tuple(IN_FILE_ORDER), tuple(THINGS))
INFO = {
    "classes": IN_FILE_ORDER,
    "is_thing": THINGS,
    "thing_classes": ["dog ", "cat"],
    "stuff_classes": ["sky", "grass"],
}


@pytest.fixture
def stamped():
    return {"label_space": SPACE, "source": "theirs"}


@pytest.mark.parametrize("task", [Task.PANOPTIC, Task.SEMANTIC])
@pytest.mark.parametrize("scoring", [False, True])
def test_coco_panoptic_of_mmdet(tmp_path, stamped, task, scoring):
    files = PanopticFiles(tmp_path)
    for segment in files.segments:  # mmdet wants these
        rows, columns = np.nonzero(files.IDS == segment["id"])
        size = (np.ptp(columns) + 1, np.ptp(rows) + 1)
        segment |= {"bbox": [int(columns.min()), int(rows.min()), *map(int, size)], "area": len(rows)}
    ours = PanopticSegDataset(**files.write() | {"metainfo": INFO})
    theirs = CocoPanopticDataset(
        ann_file=str(tmp_path / "panoptic.json"),
        data_prefix={"img": str(tmp_path / "images"), "seg": str(tmp_path / "pngs")},
        metainfo=INFO,
    )
    results = [
        LoadPanopticMap(scoring=scoring)(LoadImage()(dataset.get_data_info(0) | stamped | {"task": task}))
        for dataset in (ours, theirs)
    ]
    assert (results[0]["gt_seg_map"] == results[1]["gt_seg_map"]).all()
    assert len(results[0]["gt_segment_labels"]) == (4 if scoring else 3)
    for key in ("gt_segment_labels", *(["gt_segment_is_crowd"] if scoring else [])):
        assert results[0][key].tolist() == results[1][key].tolist()


@pytest.mark.parametrize("with_masks", [False, True])
def test_coco_of_mmdet(tmp_path, stamped, with_masks):
    files = InstanceFiles(tmp_path)
    files.add_masks()
    for annotation in files.annotations:
        annotation["area"] = annotation["bbox"][2] * annotation["bbox"][3]
    files.annotations[2]["iscrowd"] = 0
    ours = InstanceSegDataset(**files.write() | {"metainfo": INFO}, with_masks=with_masks)
    theirs = CocoDataset(
        ann_file=str(tmp_path / "instances.json"), data_prefix={"img": str(tmp_path / "images")}, metainfo=INFO
    )
    assert len(ours) == len(theirs)
    for index in range(2):
        loaded = [
            LoadInstances(with_masks=with_masks)(LoadImage()(dataset.get_data_info(index) | stamped))
            for dataset in (ours, theirs)
        ]
        assert loaded[0]["gt_bboxes_labels"].tolist() == loaded[1]["gt_bboxes_labels"].tolist()
        assert loaded[0]["gt_bboxes"].tensor.tolist() == loaded[1]["gt_bboxes"].tensor.tolist()
        if with_masks:
            assert (loaded[0]["gt_masks"].masks == loaded[1]["gt_masks"].masks).all()
            assert (loaded[0]["gt_seg_map"] == loaded[1]["gt_seg_map"]).all()


LABELS = np.array([[0, 1, 150], [7, 255, 7]], np.uint8)


@pytest.mark.parametrize("chosen", [None, ("road", "flag", "wall")])
def test_ade_of_mmseg(tmp_path, chosen):
    """All classes, or three of them: mmseg's label_map then voids the rest."""
    write_image(tmp_path / "images/a.jpg", 2, 3)
    write_png(tmp_path / "annotations/a.png", LABELS)
    theirs = ADE20KDataset.METAINFO["classes"]  # "bed " ends in a blank there
    everything = tuple(c.strip() for c in theirs)
    classes = chosen or everything
    paths = {"img_path": "images", "seg_map_path": "annotations"}
    dataset = ADE20KDataset(data_root=str(tmp_path), data_prefix=paths, metainfo={"classes": chosen or theirs})
    label_map = (
        None
        if chosen is None
        else {0: None} | {value: name if name in chosen else None for value, name in enumerate(everything, 1)}
    )
    ours = SemanticSegDataset(
        data_root=str(tmp_path),
        img_dir="images",
        ann_dir="annotations",
        metainfo={"classes": classes},
        zero_is_void=chosen is None,
        label_map=label_map,
    )
    space = LabelSpace("ade", classes, (False,) * len(classes))
    stamp = {"label_space": space, "task": Task.SEMANTIC}
    loaded = [LoadSemanticMap()(LoadImage()(d.get_data_info(0) | stamp)) for d in (ours, dataset)]
    expected = [0, 7 - 1, 150 - 1] if chosen is None else [0, 1, 2]
    for results in loaded:
        assert results["gt_segment_labels"].tolist() == expected
        if chosen is None:
            assert results["gt_seg_map"].tolist() == [[-1, 0, 2], [1, -1, 1]]
        else:
            assert results["gt_seg_map"].tolist() == [[-1, 2, 1], [0, -1, 0]]


def test_mmseg_value_over_the_classes(tmp_path):
    write_image(tmp_path / "images/a.jpg", 2, 3)
    write_png(tmp_path / "annotations/a.png", np.where(LABELS == 7, 151, LABELS).astype(np.uint8))
    paths = {"img_path": "images", "seg_map_path": "annotations"}
    dataset = ADE20KDataset(data_root=str(tmp_path), data_prefix=paths)
    space = LabelSpace("ade", dataset.metainfo["classes"], (False,) * 150)
    with pytest.raises(ValueError, match=r"annotations/a\.png': values \[151\] have no class"):
        LoadSemanticMap()(LoadImage()(dataset.get_data_info(0) | {"label_space": space}))


def test_label_space_in_another_order_gives_the_same_segments_with_other_labels(tmp_path):
    """What mmdet's dataset cannot: names are matched, whatever the order."""
    files = PanopticFiles(tmp_path)
    named = []
    for info in (INFO, METAINFO):
        results = LoadPanopticMap()(
            LoadImage()(PanopticSegDataset(**files.write() | {"metainfo": info}).get_data_info(0))
        )
        named.append([info["classes"][label].strip() for label in results["gt_segment_labels"]])
    assert named[0] == named[1] == ["dog", "sky", "cat"]
