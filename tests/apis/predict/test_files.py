"""Predictions on disk: read again by the datasets whose formats they are in."""

import json

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData
from PIL import Image

from mmdataseg.apis.images.inputs import ImageInputs
from mmdataseg.apis.predict.files import PredictionFiles, open_folder
from mmdataseg.datasets import InstanceSegDataset, PanopticSegDataset, SemanticSegDataset
from mmdataseg.errors import UserError
from mmdataseg.results.result import Result
from mmdataseg.results.segments import Answer
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


def write(tmp_path, photos, task, sample, *, space=SPACE, save=("pictures", "coco")):
    sample.set_metainfo({"ori_shape": (6, 8)})
    answer = Answer(source=Source(name="x", task=task, label_space=space), prediction=sample, min_score=0.5)
    files = PredictionFiles(folder=tmp_path / "out", save=save, space=space)
    done = files.open()
    for found in ImageInputs()(photos):
        if found.name not in done:
            image = found.load()[..., ::-1]
            files.add(found, Result(name=found.name, path=found.path, image=image, answers={(task, "x"): answer}))
    return files.close()[-1]


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
    prediction.set_metainfo({"ignore_index": 0, "scores": [0.9, 0.8, 0.7]})
    json_file = write(tmp_path, photos, Task.PANOPTIC, DetDataSample(pred_panoptic_seg=prediction))
    assert json_file == tmp_path / "out/panoptic.json"
    first = json.loads(json_file.read_text())["annotations"][0]["segments_info"]
    assert [(s["category_id"], s["area"], s["bbox"], s["score"]) for s in first] == [
        (3, 16, [0, 0, 8, 2], 0.9),
        (1, 8, [0, 2, 4, 2], 0.8),
        (1, 8, [4, 2, 4, 2], 0.7),
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
    sample = DetDataSample(pred_sem_seg=PixelData(sem_seg=torch.full((1, 6, 8), 299)))
    write(tmp_path, photos, Task.SEMANTIC, sample, space=many)
    assert np.asarray(Image.open(tmp_path / "out/semantic/a.png")).max() == 299


def test_instances(tmp_path, photos):
    masks = torch.zeros(3, 6, 8, dtype=torch.bool)
    masks[0, 1:4, 2:7] = masks[1, :, 0] = masks[2, 5, 5] = True
    found = InstanceData(
        labels=torch.tensor([1, 0, 0]),
        scores=torch.tensor([0.9, 0.6, 0.4]),
        masks=masks,
        bboxes=torch.tensor([[2.0, 1, 7, 4], [0, 0, 1, 6], [5, 5, 6, 6]]),
    )
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


def semantic():
    return DetDataSample(pred_sem_seg=PixelData(sem_seg=torch.zeros(1, 6, 8).long()))


def test_each_image_has_a_picture(tmp_path, photos):
    write(tmp_path, photos, Task.SEMANTIC, semantic())
    pictures = {p.relative_to(tmp_path / "out/pictures").as_posix() for p in tmp_path.rglob("pictures/**/*.png")}
    assert pictures == {"a.png", "more/b.png"}


def test_a_name_without_suffix(tmp_path, photos):
    (photos / "v1.0").mkdir()
    (photos / "a.png").rename(photos / "v1.0/IMG_1")
    write(tmp_path, [photos / "v1.0/IMG_1"], Task.SEMANTIC, semantic())
    assert (tmp_path / "out/semantic/IMG_1.png").is_file()


def test_what_was_written_is_not_written_again(tmp_path, photos):
    write(tmp_path, photos / "a.png", Task.SEMANTIC, semantic())
    (tmp_path / "out/semantic/a.png").unlink()
    json_file = write(tmp_path, photos, Task.SEMANTIC, semantic())
    assert [image["file_name"] for image in json.loads(json_file.read_text())["images"]] == ["a.png", "more/b.png"]
    assert not (tmp_path / "out/semantic/a.png").exists()


def test_a_folder_takes_answers_to_one_question(tmp_path):
    question = {"tasks": ("panoptic",), "classes": ["car"]}
    for _ in range(2):
        open_folder(tmp_path / "new/folder", question)
    with pytest.raises(UserError, match=r"other settings: classes was \['car'\], now \['bus'\]; give another --out"):
        open_folder(tmp_path / "new/folder", {**question, "classes": ["bus"]})
    (tmp_path / "new/other").mkdir()
    (tmp_path / "new/other/panoptic.json").touch()
    with pytest.raises(UserError, match="exists and is not empty; give another --out"):
        open_folder(tmp_path / "new/other", question)


def test_without_images_there_is_no_file(tmp_path):
    files = PredictionFiles(folder=tmp_path, save=["coco", "json", "csv"], space=SPACE)
    files.open()
    assert files.close() == []
    assert [path.name for path in tmp_path.iterdir()] == ["journal.jsonl"]


def test_images_that_differ_in_the_suffix_alone_have_files_of_their_own(tmp_path, photos):
    """Also if the run was interrupted between the two."""
    Image.fromarray(np.full((6, 8, 3), 30, np.uint8)).save(photos / "a.jpg")
    ids = torch.full((6, 8), 1000, dtype=torch.int64)
    sample = DetDataSample(pred_panoptic_seg=PixelData(sem_seg=ids[None]))
    save = ("pictures", "masks", "coco")
    (photos / "a.png").rename(tmp_path / "later.png")
    write(tmp_path, photos, Task.PANOPTIC, sample, save=save)
    (tmp_path / "later.png").rename(photos / "a.png")
    path = write(tmp_path, photos, Task.PANOPTIC, sample, save=save)
    expected = {"a.jpg": "a", "a.png": "a_png", "more/b.png": "more/b"}
    annotations = {a["image_id"]: a["file_name"] for a in json.loads(path.read_text())["annotations"]}
    images = {i["file_name"]: annotations[i["id"]] for i in json.loads(path.read_text())["images"]}
    assert images == {image: f"{name}.png" for image, name in expected.items()}
    for folder in ("pictures", "panoptic"):
        found = {
            p.relative_to(tmp_path / "out" / folder).as_posix() for p in (tmp_path / "out" / folder).rglob("*.png")
        }
        assert found == {f"{name}.png" for name in expected.values()}
    masks = {p.parent.relative_to(tmp_path / "out/masks").as_posix() for p in (tmp_path / "out/masks").rglob("*.png")}
    assert masks == set(expected.values())


def test_the_summary_names_files_that_keep_the_suffix_of_the_image(tmp_path, photos):
    Image.fromarray(np.full((6, 8, 3), 30, np.uint8)).save(photos / "a.jpg")
    sample = DetDataSample(pred_panoptic_seg=PixelData(sem_seg=torch.full((1, 6, 8), 1000, dtype=torch.int64)))
    write(tmp_path, photos, Task.PANOPTIC, sample)
    files = PredictionFiles(folder=tmp_path / "out", save=("pictures",), space=SPACE)
    assert len(files.open()) == 3
    files.close()
    assert "1 image has the name of another one, with another suffix; its files keep it: a_png.png" in files.summary()
