"""Predictions on disk: read again by the datasets whose formats they are in."""

import json

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData
from PIL import Image

from mmdataseg.apis.prediction_files import PredictionFiles, find_images, make_empty
from mmdataseg.datasets import InstanceSegDataset, PanopticSegDataset, SemanticSegDataset
from mmdataseg.errors import UserError
from mmdataseg.sources import Source
from mmdataseg.structures import LabelSpace, Task

SPACE = LabelSpace("garage", ("car", "bicycle", "road"), (True, True, False))
CLASSES = {"metainfo": {"classes": SPACE.classes}}


@pytest.fixture
def photos(tmp_path):
    """Two images of 6 x 8 pixels, one in a folder of its own."""
    for name in ("a.png", "more/b.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 8, 3), 90, np.uint8)).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


def write(tmp_path, photos, task, sample):
    source = Source(name="garage", task=task, label_space=SPACE)
    files = PredictionFiles(folder=tmp_path / "out", source=source, min_score=0.5)
    for name, path in find_images([str(photos)]).items():
        files.add(name, path, sample)
    return files.close()


def load(dataset):
    return [dict(dataset[i]) for i in range(len(dataset))]


def pipeline(kind, **options):
    return [
        {"type": "mmdataseg.LoadImage"},
        {"type": f"mmdataseg.{kind}", **options},
        {"type": "mmdataseg.PackInputs"},
    ]


def test_panoptic_segments(tmp_path, photos):
    ids = torch.zeros(6, 8, dtype=torch.int64)  # 0: void
    ids[:2], ids[2:4, :4], ids[2:4, 4:] = 2 + 1000, 0 + 2000, 0 + 3000
    prediction = PixelData(sem_seg=ids[None])
    prediction.set_metainfo({"ignore_index": 0})
    json_file = write(tmp_path, photos, Task.PANOPTIC, DetDataSample(pred_panoptic_seg=prediction))
    assert json_file == tmp_path / "out/panoptic.json"
    first = json.loads(json_file.read_text())["annotations"][0]["segments_info"]
    assert [(s["category_id"], s["area"], s["bbox"]) for s in first] == [
        (3, 16, [0, 0, 8, 2]),
        (1, 8, [0, 2, 4, 2]),
        (1, 8, [4, 2, 4, 2]),
    ]
    dataset = PanopticSegDataset(
        img_dir=str(photos), ann_file=str(json_file), ann_dir=str(tmp_path / "out/panoptic"),
        pipeline=pipeline("LoadPanopticMap"), **CLASSES,
    )  # fmt: skip
    samples = [sample["data_samples"] for sample in load(dataset)]
    assert len(samples) == 2
    for sample in samples:
        labels = np.append(sample.gt_instances.labels, -1)[sample.gt_id_map.data[0]]
        expected = np.full((6, 8), -1)
        expected[:2], expected[2:4] = 2, 0
        np.testing.assert_array_equal(labels, expected)
        assert len(sample.gt_instances) == 3


def test_semantic_maps(tmp_path, photos):
    labels = torch.arange(48).reshape(6, 8) % 3
    sample = DetDataSample(pred_sem_seg=PixelData(sem_seg=labels[None]))
    json_file = write(tmp_path, photos, Task.SEMANTIC, sample)
    assert json.loads(json_file.read_text())["categories"][2] == {"id": 2, "name": "road", "isthing": 0}
    dataset = SemanticSegDataset(
        img_dir=str(photos), ann_dir=str(tmp_path / "out/semantic"), suffixes=(".png", ".png"), **CLASSES
    )
    assert len(dataset) == 2
    for i in range(2):
        stored = np.asarray(Image.open(dataset.get_data_info(i)["seg_map_path"]))
        assert stored.dtype == np.uint8
        np.testing.assert_array_equal(stored, labels)


def test_many_classes_need_two_bytes(tmp_path, photos):
    many = LabelSpace("many", [f"c{i}" for i in range(300)], [False] * 300)
    files = PredictionFiles(
        folder=tmp_path / "out", source=Source(name="m", task=Task.SEMANTIC, label_space=many), min_score=0
    )
    sample = DetDataSample(pred_sem_seg=PixelData(sem_seg=torch.full((1, 6, 8), 299)))
    files.add("a.png", photos / "a.png", sample)
    assert np.asarray(Image.open(tmp_path / "out/semantic/a.png")).max() == 299


def test_instances(tmp_path, photos):
    masks = torch.zeros(3, 6, 8, dtype=torch.bool)
    masks[0, 1:4, 2:7] = masks[1, :, 0] = masks[2, 5, 5] = True
    found = InstanceData(labels=torch.tensor([1, 0, 0]), scores=torch.tensor([0.9, 0.6, 0.4]), masks=masks)
    json_file = write(tmp_path, photos, Task.INSTANCE, DetDataSample(pred_instances=found))
    annotations = json.loads(json_file.read_text())["annotations"]
    assert [a["id"] for a in annotations] == [1, 2, 3, 4], "those below the score are left out"
    assert [a["score"] for a in annotations[:2]] == pytest.approx([0.9, 0.6])
    assert annotations[0]["bbox"] == [2, 1, 5, 3]
    assert annotations[0]["area"] == 15
    dataset = InstanceSegDataset(
        img_dir=str(photos),
        ann_file=str(json_file),
        with_masks=True,
        pipeline=pipeline("LoadInstances", with_masks=True),
        **CLASSES,
    )
    for sample in load(dataset):
        truth = sample["data_samples"].gt_instances
        assert truth.labels.tolist() == [1, 0]
        np.testing.assert_array_equal(truth.masks, masks[:2])


def test_each_image_has_a_picture(tmp_path, photos):
    write(tmp_path, photos, Task.SEMANTIC, DetDataSample(pred_sem_seg=PixelData(sem_seg=torch.zeros(1, 6, 8).long())))
    pictures = {p.relative_to(tmp_path / "out/pictures").as_posix() for p in tmp_path.rglob("pictures/**/*.png")}
    assert pictures == {"a.png", "more/b.png"}


def test_a_name_without_suffix(tmp_path, photos):
    source = Source(name="garage", task=Task.SEMANTIC, label_space=SPACE)
    files = PredictionFiles(folder=tmp_path / "out", source=source, min_score=0)
    sample = DetDataSample(pred_sem_seg=PixelData(sem_seg=torch.zeros(1, 6, 8).long()))
    files.add("v1.0/IMG_1", photos / "a.png", sample)
    assert (tmp_path / "out/semantic/v1.0/IMG_1.png").is_file()


def test_nothing_is_overwritten(tmp_path):
    make_empty(tmp_path / "new/folder")
    make_empty(tmp_path / "new/folder")
    (tmp_path / "new/folder/panoptic.json").touch()
    with pytest.raises(UserError, match="is there already and not empty; give another --out"):
        make_empty(tmp_path / "new/folder")
    with pytest.raises(NotADirectoryError):
        make_empty(tmp_path / "new/folder/panoptic.json/below")


def test_without_images_there_is_no_file(tmp_path):
    source = Source(name="garage", task=Task.PANOPTIC, label_space=SPACE)
    assert PredictionFiles(folder=tmp_path, source=source, min_score=0).close() is None
    assert not list(tmp_path.iterdir())


def test_images_are_named_relative_to_what_they_have_in_common(photos, tmp_path, monkeypatch):
    (photos / "notes.txt").write_text("no image")
    assert list(find_images([str(photos)])) == ["a.png", "more/b.png"]
    assert list(find_images([str(photos / "more/b.png")])) == ["b.png"]
    (photos / "v1.0").mkdir()
    (photos / "v1.0/IMG_1").write_bytes((photos / "a.png").read_bytes())
    assert list(find_images([str(photos / "v1.0/IMG_1"), str(photos / "a.png")])) == ["a.png", "v1.0/IMG_1"]
    assert find_images([str(photos / "more/b.png"), str(photos)]).keys() == {"a.png", "more/b.png"}
    other = tmp_path / "other/images"
    other.mkdir(parents=True)
    Image.new("RGB", (8, 6)).save(other / "c.png")
    monkeypatch.chdir(photos)
    found = find_images(["more", "../other/images", "more/../more/b.png", str(photos / "../photos/more")])
    assert list(found) == ["other/images/c.png", "photos/more/b.png"], "no name leads out of its folder"


def test_bad_paths(photos, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'no' does not exist"):
        find_images(["no"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no image in"):
        find_images([str(tmp_path / "empty")])
    Image.new("RGB", (2, 2)).save(photos / "a.jpg")
    with pytest.raises(ValueError, match=r"'a\.jpg' and 'a\.png' would be written to the same file"):
        find_images([str(photos)])
