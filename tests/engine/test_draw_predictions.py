import logging
from types import SimpleNamespace

import mmcv
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.registry import HOOKS
from mmengine.structures import InstanceData, PixelData

from mmdataseg.engine.draw_predictions import DrawPredictions
from mmdataseg.sources import Source
from mmdataseg.visualization import segments
from mmdataseg.visualization.drawing import draw_segments
from mmdataseg.visualization.segments import draw_sample, draw_true, predicted_segments, true_segments

SPACE = dict(name="pets", classes=("dog", "cat", "grass"), is_thing=(True, True, False))
IDS = torch.full((8, 8), 2)
IDS[:4, :4], IDS[4:, 4:], IDS[0, 7] = 0, 1, -1  # two dogs on grass, one void pixel


def make(task):
    return Source.from_config(dict(name=f"pets_{task}", task=task, label_space=SPACE))


@pytest.fixture
def sample(tmp_path):
    mmcv.imwrite(np.full((8, 8, 3), 90, np.uint8), str(tmp_path / "a.png"))

    def build(task):
        made = DetDataSample(metainfo=dict(source=f"pets_{task}", img_path=str(tmp_path / "a.png")))
        if task == "instance":
            masks = torch.stack([IDS == 0, IDS == 1])
            made.gt_instances = InstanceData(labels=torch.tensor([0, 0]), bboxes=torch.tensor([[0, 0, 4, 4.0]] * 2))
            made.pred_instances = InstanceData(
                labels=torch.tensor([0, 1]), scores=torch.tensor([0.9, 0.2]), masks=masks, bboxes=torch.zeros(2, 4)
            )
            return made
        made.gt_id_map = PixelData(data=IDS[None].int())
        made.gt_instances = InstanceData(labels=torch.tensor([0, 0, 2]))
        made.pred_panoptic_seg = PixelData(
            sem_seg=torch.tensor([1000, 2001, 3002, 0])[IDS][None], metainfo=dict(ignore_index=0)
        )
        made.pred_sem_seg = PixelData(sem_seg=torch.tensor([0, 0, 2, 2])[IDS][None])
        return made

    return build


def names(found):
    return [segment.name for segment in found]


def test_panoptic_segments_are_drawn_one_by_one(sample):
    true = true_segments(sample("panoptic"), make("panoptic"))
    assert names(true) == ["dog", "dog", "grass"]
    assert [int(np.asarray(segment.mask).sum()) for segment in true] == [16, 16, 31]
    assert true[0].color != true[1].color
    predicted = predicted_segments(sample("panoptic"), make("panoptic"), min_score=0.3)
    assert names(predicted) == ["dog", "cat", "grass"]
    assert [int(np.asarray(segment.mask).sum()) for segment in predicted] == [16, 16, 31]


def test_mmdets_own_panoptic_format_is_drawn(sample):
    """Void is the number of classes, and the map does not say so; stuff has no segment number."""
    made = sample("panoptic")
    made.pred_panoptic_seg = PixelData(sem_seg=torch.tensor([0, 1001, 2, 3])[IDS][None])
    predicted = predicted_segments(made, make("panoptic"), min_score=0.3)
    assert [(s.name, int(np.asarray(s.mask).sum())) for s in predicted] == [("dog", 16), ("grass", 31), ("cat", 16)]


def test_semantic_regions_are_drawn_by_class(sample):
    true = true_segments(sample("semantic"), make("semantic"))
    assert [(s.name, int(np.asarray(s.mask).sum())) for s in true] == [("dog", 32), ("grass", 31)]
    predicted = predicted_segments(sample("semantic"), make("semantic"), min_score=0.3)
    assert [(s.name, int(np.asarray(s.mask).sum())) for s in predicted] == [("dog", 32), ("grass", 32)]


def test_instances_are_drawn_from_a_score_on_the_best_on_top(sample):
    source = make("instance")
    assert names(predicted_segments(sample("instance"), source, min_score=0.3)) == ["dog 0.90"]
    assert names(predicted_segments(sample("instance"), source, min_score=0.0)) == ["cat 0.20", "dog 0.90"]
    true = true_segments(sample("instance"), source)
    assert [(s.name, s.box, s.mask) for s in true] == [("dog", (0, 0, 4, 4), None)] * 2


def test_masks_are_drawn_instead_of_boxes_and_missing_ground_truth_is_allowed(sample):
    made = sample("instance")
    made.gt_instances.masks = torch.stack([IDS == 0, IDS == 1])
    assert [int(np.asarray(s.mask).sum()) for s in true_segments(made, make("instance"))] == [16, 16]
    del made.gt_instances
    assert true_segments(made, make("instance")) == []


def test_the_same_object_has_the_same_color_in_truth_and_prediction(sample):
    """The second dog is found and the first one is not; what was not there gets a color of its own."""
    made, source = sample("instance"), make("instance")
    masks = torch.stack([IDS == 1, IDS == 2])
    made.gt_instances.masks = torch.stack([IDS == 0, IDS == 1])
    made.pred_instances = InstanceData(
        labels=torch.tensor([0, 0]), scores=torch.tensor([0.9, 0.8]), masks=masks, bboxes=torch.zeros(2, 4)
    )
    true = true_segments(made, source)
    new, second = predicted_segments(made, source, min_score=0.3, like=true)
    assert second.color == true[1].color
    assert new.color not in {segment.color for segment in true}
    made.pred_instances = made.pred_instances[:1]
    assert predicted_segments(made, source, min_score=0.3, like=true)[0].color == true[1].color
    assert predicted_segments(made, source, min_score=0.3)[0].color == true[0].color, "without the truth: the first"


def test_a_predicted_mask_has_the_color_of_the_true_box(sample):
    made = sample("instance")  # the truth has boxes: twice the place of the first dog
    true = true_segments(made, make("instance"))
    assert predicted_segments(made, make("instance"), min_score=0.3, like=true)[0].color in [s.color for s in true]


@pytest.fixture
def notes(monkeypatch):
    """What is written into the corners of pictures."""
    seen = []

    def draw(image, found, **options):
        seen.append((len(found), options["note"]))
        return draw_segments(image, found, **options)

    monkeypatch.setattr(segments, "draw_segments", draw)
    return seen


def test_instances_at_one_place_are_drawn_once_and_counted(sample, notes):
    made = sample("instance")
    made.pred_instances = InstanceData(
        labels=torch.tensor([0, 1, 0, 1]),
        scores=torch.tensor([0.9, 0.8, 0.7, 0.1]),
        masks=torch.stack([IDS == 0, IDS == 0, IDS == 1, IDS == 0]),
        bboxes=torch.zeros(4, 4),
    )
    draw_sample(made, make("instance"), min_score=0.3)
    assert notes == [(2, "1 more at the same places, not drawn"), (2, "")], "prediction, truth"


def test_an_empty_answer_says_so(sample, notes):
    made = sample("instance")
    draw_sample(made, make("instance"), min_score=0.95)
    made.gt_instances = made.gt_instances[:0]
    draw_sample(made, make("instance"), min_score=0.3)
    panoptic = sample("panoptic")
    panoptic.pred_panoptic_seg.sem_seg[:] = 0
    draw_sample(panoptic, make("panoptic"), min_score=0.3)
    assert [note for _, note in notes] == [
        *("nothing found with a score of 0.95 or more", ""),
        *("", "nothing is annotated"),
        *("nothing found", "hatched: not annotated"),
    ]


def test_pixels_without_a_label_are_hatched_in_the_truth(sample):
    made, source = sample("semantic"), make("semantic")
    image = np.full((8, 8, 3), 90, np.uint8)
    drawn = draw_true(image, made, source, size=(384, 384))
    made.gt_id_map.data[made.gt_id_map.data < 0] = 2
    whole = draw_true(image, made, source, size=(384, 384))
    changed = (drawn != whole).any(axis=2)
    assert changed[2:44, 340:380].mean() > 0.5, "the void pixel, 48 times as large"
    light = (drawn[2:44, 340:380].min(axis=2) > 180).mean()
    assert 0.1 < light < 0.4, "lines, not an area"


@pytest.fixture
def runner(tmp_path):
    evaluator = SimpleNamespace(sources=[make(task) for task in ("panoptic", "semantic", "instance")])
    return SimpleNamespace(test_evaluator=evaluator, work_dir=str(tmp_path / "work"), logger=logging.getLogger("test"))


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_first_images_of_each_source_are_written(sample, runner, tmp_path, caplog):
    hook = HOOKS.build(dict(type="mmdataseg.DrawPredictions", num_per_source=2))
    hook.before_test_epoch(runner)
    for number in range(3):
        hook.after_test_iter(runner, number, None, [sample("panoptic"), sample("instance")])
    hook.after_test_iter(runner, 3, None, [sample("semantic")])
    with caplog.at_level(logging.INFO):
        hook.after_test_epoch(runner, {})
    written = tmp_path / "work" / "pictures"
    assert files(written) == [
        "pets_instance_instance_1.png",
        "pets_instance_instance_2.png",
        "pets_panoptic_panoptic_1.png",
        "pets_panoptic_panoptic_2.png",
        "pets_semantic_semantic_1.png",
    ]
    assert f"5 pictures of predictions are in {written}" in caplog.text
    picture = mmcv.imread(str(written / "pets_panoptic_panoptic_1.png"))
    assert picture.shape == (26 + 384 + 8, 4 * 8 + 3 * 384, 3)  # three panels of 8 x 8 pixels, enlarged
    assert (picture[26:410, 8:392] == 90).all()


def test_a_second_test_starts_again_in_the_given_folder(sample, runner, tmp_path):
    hook = DrawPredictions(num_per_source=1, out_dir=str(tmp_path / "here"))
    for _ in range(2):
        hook.before_test_epoch(runner)
        hook.after_test_iter(runner, 0, None, [sample("panoptic")])
    assert files(tmp_path / "here") == ["pets_panoptic_panoptic_1.png"]
    assert not (tmp_path / "work").exists()


def test_bad_input(runner):
    with pytest.raises(ValueError, match="expected num_per_source of at least 1, got 0"):
        DrawPredictions(num_per_source=0)
    with pytest.raises(ValueError, match=r"expected min_score in 0 \.\. 1, got 30"):
        DrawPredictions(min_score=30)
    runner.test_evaluator = object()
    with pytest.raises(ValueError, match=r"got object; use mmdataseg\.MultiSourceEvaluator"):
        DrawPredictions().before_test_epoch(runner)
