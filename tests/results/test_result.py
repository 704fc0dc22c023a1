"""Results: compared with what the post-processors wrote, and read by the programs whose forms they take."""

import json
import sys

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from mmdataseg.errors import UserError
from mmdataseg.models import InstancePostProcessor, PanopticPostProcessor, SemanticPostProcessor
from mmdataseg.ops.postprocess import ImageSizes
from mmdataseg.results.result import Result
from mmdataseg.results.segments import Answer
from mmdataseg.sources import Source
from mmdataseg.structures import LabelSpace, Task

SPACE = LabelSpace("garage", ("car", "bicycle", "road"), (True, True, False))
SIZE = (24, 36)


def result_of(sample, tasks, *, space=SPACE, min_score=0.0, size=SIZE):
    sample.set_metainfo({"ori_shape": size})
    answers = {
        (task, space.name): Answer(
            source=Source(name="x", task=task, label_space=space), prediction=sample, min_score=min_score
        )
        for task in map(Task, tasks)
    }
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    return Result(name="street/a.jpg", path="photos/street/a.jpg", image=image, answers=answers)


@pytest.fixture
def found():
    """What the post-processors make of proposals on a grid of 3 x 4 blocks, with noise: many segments in each task."""
    generator = torch.Generator().manual_seed(3)
    classes = 3 * torch.randn(12, 4, generator=generator)
    masks = torch.randn(12, 24, 36, generator=generator) - 4
    for number in range(12):
        row, column = divmod(number, 4)
        masks[number, 8 * row : 8 * row + 9, 9 * column : 9 * column + 8] += 7
    sizes = ImageSizes(padded=SIZE, image=SIZE, original=SIZE)
    sample = DetDataSample()
    processors = [
        PanopticPostProcessor(score_threshold=0.4, kept_share=0.2),
        SemanticPostProcessor(),
        InstancePostProcessor(max_instances=8),
    ]
    for processor in processors:
        for field, value in processor(classes, masks, SPACE, sizes).items():
            setattr(sample, field, value)
    return result_of(sample, ["panoptic", "semantic", "instance"])


def by_hand():
    """4 x 5 pixels: a road above, two cars below, the last column void."""
    ids = torch.zeros(4, 5, dtype=torch.int64)
    ids[:2, :4], ids[2:, :1], ids[2:, 1:4] = 2 + 1000, 0 + 2000, 0 + 3000
    prediction = PixelData(sem_seg=ids[None])
    prediction.set_metainfo({"ignore_index": 0, "scores": [0.9, 0.6, 0.7]})
    return result_of(DetDataSample(pred_panoptic_seg=prediction), ["panoptic"], size=(4, 5))


def test_panoptic_segments_by_hand():
    segments = by_hand().segments
    assert [(s.id, s.name, s.label, s.is_thing, s.score, s.area, s.box) for s in segments] == [
        (1, "road", 2, False, 0.9, 8, (0, 0, 4, 2)),
        (2, "car", 0, True, 0.7, 6, (1, 2, 4, 4)),
        (3, "car", 0, True, 0.6, 2, (0, 2, 1, 4)),
    ]
    assert by_hand()["panoptic"].id_map.tolist() == [[1, 1, 1, 1, 0]] * 2 + [[3, 2, 2, 2, 0]] * 2
    assert segments[2].mask.tolist() == [[False] * 5] * 2 + [[True] + [False] * 4] * 2
    assert str(segments[1]) == "car 0.70 (6 pixels)"
    assert str(by_hand()) == "street/a.jpg: panoptic in 'garage': 1 road, 2 car"


def test_panoptic_segments_are_those_of_the_post_processor(found):
    ids = found.sample.pred_panoptic_seg.sem_seg[0].numpy()
    scores = found.sample.pred_panoptic_seg.scores
    segments = found["panoptic"].segments
    assert len(segments) == len(scores) == len(np.unique(ids)) - (0 in ids) > 2
    assert sorted((s.score for s in segments), reverse=True) == [s.score for s in segments]
    for number, value in enumerate(sorted(set(np.unique(ids)) - {0})):
        (segment,) = (s for s in segments if (s.mask == (ids == value)).all())
        assert (segment.label, segment.score) == (value % 1000, scores[number])


def test_semantic_segments_are_the_classes_that_are_there(found):
    labels = found.sample.pred_sem_seg.sem_seg[0].numpy()
    segments = found["semantic"].segments
    assert [s.label for s in segments] == np.unique(labels).tolist()
    for segment in segments:
        assert (segment.mask == (labels == segment.label)).all()
        assert segment.score is None


def test_instances_are_those_of_the_post_processor_above_the_score(found):
    sample = found.sample.pred_instances
    segments = found["instance"].segments
    assert [s.score for s in segments] == sample.scores.tolist()
    assert [s.label for s in segments] == sample.labels.tolist()
    assert [list(map(float, s.box)) for s in segments] == sample.bboxes.tolist()
    assert all((s.mask == m).all() for s, m in zip(segments, sample.masks.numpy(), strict=True))
    least = sorted(sample.scores.tolist())[3]
    some = result_of(found.sample, ["instance"], min_score=least).segments
    assert len(some) == len(segments) - 3
    assert len(found.sample.pred_instances) == len(segments), "the sample keeps all"


@pytest.mark.parametrize("task", ["panoptic", "semantic", "instance"])
def test_areas_boxes_and_rle_are_those_of_the_masks(found, task):
    for segment in found[task].segments:
        rows, columns = np.nonzero(segment.mask)
        assert segment.area == len(rows)
        assert segment.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert (coco_mask.decode(segment.rle) == segment.mask).all()


def test_an_image_of_nothing():
    sample = DetDataSample(
        pred_panoptic_seg=PixelData(sem_seg=torch.zeros(1, *SIZE).long()),
        pred_instances=InstanceData(
            labels=torch.zeros(0).long(),
            scores=torch.zeros(0),
            masks=torch.zeros(0, *SIZE).bool(),
            bboxes=torch.zeros(0, 4),
        ),
    )
    sample.pred_panoptic_seg.set_metainfo({"ignore_index": 0, "scores": []})
    empty = result_of(sample, ["panoptic", "instance"])
    assert empty["panoptic"].segments == empty["instance"].segments == ()
    assert not empty["instance"].id_map.any()
    assert (empty.plot("panoptic") != empty.image).any(), "it says that nothing was found"
    assert list(empty.crop("panoptic")) == empty.rows() == []
    assert empty.to_transformers() == {"segmentation": pytest.approx(-np.ones(SIZE)), "segments_info": []}
    assert len(empty.to_df()) == 0
    assert "nothing" in str(empty)


def test_which_answer(found):
    assert found["panoptic"] is found.answer(Task.PANOPTIC) is found["panoptic", "garage"]
    assert found.tasks == ("panoptic", "semantic", "instance")
    with pytest.raises(UserError, match=r"several answers fit task=None, .*; give the task"):
        _ = found.segments
    with pytest.raises(UserError, match="no answer fits task='depth'"):
        found["depth"]
    with pytest.raises(UserError, match="no answer fits task='panoptic', vocabulary='zoo'"):
        found["panoptic", "zoo"]


# ---- pictures


def test_a_plot_changes_the_segments_and_nothing_else():
    sample = DetDataSample(pred_sem_seg=PixelData(sem_seg=torch.zeros(1, 80, 120).long()))
    ids = torch.zeros(1, 80, 120).long()
    ids[:, 20:60, 20:100] = 1000
    sample.pred_panoptic_seg = PixelData(sem_seg=ids)
    sample.pred_panoptic_seg.set_metainfo({"ignore_index": 0, "scores": [0.9]})
    result = result_of(sample, ["panoptic"], size=(80, 120))
    before, picture = result.image.copy(), result.plot()
    changed = (picture != result.image).any(-1)
    assert changed[22:58, 22:98].mean() > 0.95
    assert not changed[:16].any()
    assert not changed[64:].any()
    assert (result.image == before).all()
    assert picture.shape == (80, 120, 3)


def test_a_picture_is_saved_in_the_format_of_its_name(found, tmp_path):
    for name in ("a.png", "new/a.jpg", "a.webp"):
        path = found.save(tmp_path / name, "panoptic")
        with Image.open(path) as image:
            assert image.size == (36, 24)
    assert (np.asarray(Image.open(tmp_path / "a.png")) == found.plot("panoptic")).all()
    with pytest.raises(UserError, match=r"a\.xyz': cannot write a picture as '\.xyz'; give a path that ends in"):
        found.save(tmp_path / "a.xyz", "panoptic")


def test_show_opens_the_plot(found, monkeypatch):
    shown = []
    monkeypatch.setattr(Image.Image, "show", lambda self, title=None: shown.append((np.asarray(self), title)))
    found.show("semantic")
    ((picture, title),) = shown
    assert (picture == found.plot("semantic")).all()
    assert title == "street/a.jpg"


def test_a_sheet_has_the_image_and_an_answer_for_each_task(found):
    sheet = found.sheet()
    height, width = 24 * 11, 36 * 11  # enlarged by a whole factor to at least 384 pixels
    assert sheet.shape == (26 + height + 8, 8 + 4 * (width + 8), 3)


def test_cut_outs_are_transparent_outside_the_mask(found):
    cuts = list(found.crop("instance"))
    assert len(cuts) == len(found["instance"].segments)
    for segment, cut in cuts:
        x1, y1, x2, y2 = segment.box
        assert cut.shape == (y2 - y1, x2 - x1, 4)
        assert (cut[..., :3] == found.image[y1:y2, x1:x2]).all()
        assert ((cut[..., 3] == 255) == segment.mask[y1:y2, x1:x2]).all()
        assert (cut[..., 3] == 255).sum() == segment.area


# ---- other programs


def test_json_holds_everything(found):
    content = json.loads(json.dumps(found.to_json()))
    assert (content["image"], content["height"], content["width"]) == ("street/a.jpg", *SIZE)
    for answer in content["answers"]:
        for entry, segment in zip(answer["segments"], found[answer["task"]].segments, strict=True):
            assert (entry["name"], entry["label"], entry["score"]) == (segment.name, segment.label, segment.score)
            assert tuple(entry["box"]) == segment.box
            assert (coco_mask.decode(entry["segmentation"]) == segment.mask).all()


def test_a_table_has_a_row_for_each_segment(found):
    pytest.importorskip("pandas", reason="pandas is not installed")
    table = found.to_df()
    assert list(table.columns) == [
        *("image", "task", "vocabulary", "id", "name", "label", "is_thing", "score", "area", "x1", "y1", "x2", "y2")
    ]
    assert len(table) == sum(len(found[task].segments) for task in found.tasks)
    instances = table[table.task == "instance"]
    assert instances.score.tolist() == [s.score for s in found["instance"].segments]
    assert instances[["x1", "y1", "x2", "y2"]].to_numpy().tolist() == [list(s.box) for s in found["instance"].segments]


def test_a_table_may_be_of_one_task(found):
    pytest.importorskip("pandas", reason="pandas is not installed")
    assert found.rows("instance") == [row for row in found.rows() if row["task"] == "instance"] != []
    assert found.to_df("instance").id.tolist() == [s.id for s in found["instance"].segments]
    assert found.to_df(task="semantic", vocabulary=found.vocabularies[0]).task.unique().tolist() == ["semantic"]
    with pytest.raises(UserError, match="no answer fits task='panoptic', vocabulary='other'"):
        found.to_df("panoptic", "other")


@pytest.mark.parametrize("task", ["instance", "semantic"])
def test_coco_reads_the_annotations(found, tmp_path, task):
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(found.to_coco(task, image_id=7)))
    coco = COCO(path)
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=[7]))
    for annotation, segment in zip(annotations, found[task].segments, strict=True):
        assert (coco.annToMask(annotation) == segment.mask).all()
        assert coco.loadCats(annotation["category_id"])[0]["name"] == segment.name
        x, y, width, height = annotation["bbox"]
        assert (x, y, x + width, y + height) == segment.box
        assert annotation["area"] == segment.area
        assert annotation.get("score") == segment.score


def test_coco_panoptic(found):
    content = found.to_coco("panoptic")
    (annotation,) = content["annotations"]
    assert annotation["file_name"] == "street/a.png"
    ids = found["panoptic"].id_map
    for info in annotation["segments_info"]:
        assert (ids == info["id"]).sum() == info["area"]
    assert {info["id"] for info in annotation["segments_info"]} == set(np.unique(ids)) - {0}
    assert [c["name"] for c in content["categories"]] == list(SPACE.classes)


@pytest.mark.parametrize("task", ["instance", "panoptic", "semantic"])
def test_detections_of_supervision(found, task):
    supervision = pytest.importorskip("supervision", reason="supervision is not installed")
    detections = found.to_detections(task)
    segments = found[task].segments
    assert isinstance(detections, supervision.Detections)
    assert detections.class_id.tolist() == [s.label for s in segments]
    assert detections["class_name"].tolist() == [s.name for s in segments]
    assert detections.area.tolist() == [s.area for s in segments], "supervision's own count of the masks"
    assert np.array_equal(detections.xyxy, [s.box for s in segments])
    if task == "semantic":
        assert detections.confidence is None
    else:
        np.testing.assert_allclose(detections.confidence, [s.score for s in segments], rtol=1e-6)
    assert len(detections[detections.area > 50]) == sum(s.area > 50 for s in segments)


def test_the_form_of_transformers(found):
    form = found.to_transformers()
    segmentation = form["segmentation"]
    assert segmentation.shape == SIZE
    assert segmentation.dtype == torch.int32
    assert form["segments_info"] == [
        {"id": s.id, "label_id": s.label, "was_fused": s.name == "road", "score": s.score}
        for s in found["panoptic"].segments
    ]
    ids = found.sample.pred_panoptic_seg.sem_seg[0]
    for info in form["segments_info"]:
        assert len(ids[segmentation == info["id"]].unique()) == 1
    assert ((segmentation == 0) == (ids == 0)).all()


def test_what_is_not_installed_is_said(found, monkeypatch):
    for package, method in (("pandas", found.to_df), ("supervision", lambda: found.to_detections("panoptic"))):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(
            UserError, match=rf"this needs {package}, .* not installed; pip install 'mmdataseg\[results\]'"
        ):
            method()
