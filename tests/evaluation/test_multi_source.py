import json
import logging
import math
from pathlib import Path

import pytest
import torch
from mmengine.registry import EVALUATOR, METRICS
from mmengine.structures import BaseDataElement
from torch import distributed

from mmdataseg.errors import UserError
from mmdataseg.evaluation.multi_source import MultiSourceEvaluator, Score, format_table

from .samples import CLASSES, LABEL_SPACE, OrderMetric, panoptic, pets, semantic, source

OTHER_SPACE = dict(name="two", classes=("road", "car"), is_thing=(False, True))


def sources():
    return [
        source("pets", [dict(type="mmdataseg.PanopticQualityMetric", chance=2), dict(type="OrderMetric")]),
        source("roads", [dict(type="mmdataseg.SemanticMetric")], task="semantic", label_space=OTHER_SPACE),
    ]


def roads(index, right):
    return semantic([[0, 1]], [0, 1], [[0, 1] if right else [1, 0]], source="roads", sample_idx=index)


SAMPLES = [pets(0), pets(1), roads(2, True), pets(3), roads(4, False)]
# pets: ious 1, 0.75, and one IoU of 0.25: missed and a false alarm; roads: half of the pixels right
EXPECTED = {
    "pets/PQ": 100 * 1.75 / 3,
    "pets/SQ": 100 * 1.75 / 2,
    "pets/RQ": 100 * 2 / 3,
    "pets/order": 13.0,
    "pets/classes": 4.0,
    "pets/results": 6.0,
    "roads/mIoU": 100 / 3,
    "roads/mAcc": 50.0,
    "roads/aAcc": 50.0,
}


def check(values):
    assert {key: values[key] for key in EXPECTED} == pytest.approx(EXPECTED)
    assert {key.split("/")[0] for key in values} == {"pets", "roads"}


def test_samples_of_mixed_batches_reach_the_metrics_of_their_source_only():
    evaluator = MultiSourceEvaluator(metrics=sources())
    evaluator.process(data_samples=SAMPLES[3:], data_batch=dict(inputs=[]))
    evaluator.process(data_samples=[SAMPLES[2].to_dict(), *SAMPLES[:2]])
    check(evaluator.evaluate(5))


class Elsewhere(BaseDataElement):
    """A data element that says where it was sent."""

    def to(self, device):
        return f"sent to {device}"


def test_results_are_kept_on_the_cpu_in_the_structure_that_the_metric_gave_them():
    seen = []

    @METRICS.register_module(force=True)
    class NestedMetric(OrderMetric):
        def process(self, data_batch, data_samples):  # noqa: ARG002
            self.results.append([{"a": (Elsewhere(), torch.ones(1), "name", 7, None)}])

        def compute_metrics(self, results):
            seen.extend(results)
            return {}

    evaluator = MultiSourceEvaluator(metrics=[source("pets", [dict(type="NestedMetric")])])
    evaluator.process([pets(0)])
    evaluator.evaluate(1)
    assert seen == [[{"a": ("sent to cpu", torch.ones(1), "name", 7, None)}]]


def test_a_result_that_cannot_be_copied_to_the_cpu_is_an_error():
    @METRICS.register_module(force=True)
    class EmptyTensorMetric(OrderMetric):
        def process(self, data_batch, data_samples):  # noqa: ARG002
            self.results.append(torch.zeros(1, device="meta"))

    evaluator = MultiSourceEvaluator(metrics=[source("pets", [dict(type="EmptyTensorMetric")])])
    with pytest.raises(NotImplementedError, match="meta"):  # what torch says to a copy of a tensor without content
        evaluator.process([pets(0)])


def test_an_evaluation_starts_without_earlier_results():
    evaluator = MultiSourceEvaluator(metrics=sources())
    evaluator.process([pets(3), roads(4, True)])
    assert evaluator.evaluate(2)["pets/PQ"] == 0
    evaluator.process(SAMPLES)
    check(evaluator.evaluate(5))


def test_a_repeated_sample_counts_once():
    evaluator = MultiSourceEvaluator(metrics=sources())
    evaluator.process([*SAMPLES, SAMPLES[0], SAMPLES[4]])
    check(evaluator.evaluate(5))


def test_mmengines_offline_evaluation():
    check(MultiSourceEvaluator(metrics=sources()).offline_evaluate([s.to_dict() for s in SAMPLES], chunk_size=2))


def test_the_runner_builds_it_from_a_config_with_the_key_metrics():
    config = dict(type="mmdataseg.MultiSourceEvaluator", metrics=sources())
    evaluator = EVALUATOR.build(config)
    assert [s.name for s in evaluator.sources] == ["pets", "roads"]
    assert config["metrics"] == sources()


def test_each_metric_knows_its_source_and_the_loop_cannot_change_that():
    evaluator = MultiSourceEvaluator(metrics=sources())
    evaluator.dataset_meta = dict(classes=("from", "the", "loop"))
    assert evaluator.dataset_meta == dict(classes=("from", "the", "loop"))
    assert evaluator.metrics[0].dataset_meta == dict(
        source="pets",
        classes=CLASSES,
        is_thing=(True, True, False, False),
        thing_classes=("dog", "cat"),
        stuff_classes=("grass", "sky"),
    )
    assert evaluator.metrics[-1].dataset_meta["classes"] == ("road", "car")


SHARES = [
    [[0, 2, 4], [1, 3, 0]],  # as DefaultSampler deals 5 samples to 2 ranks: the sixth repeats the first
    [[2, 4, 2], [3, 1, 0]],  # a rank with no sample of one source
]


def run_rank(rank, folder):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    evaluator = MultiSourceEvaluator(metrics=sources())
    values = []
    for share in SHARES:
        evaluator.process([SAMPLES[index] for index in share[rank]])
        values.append(evaluator.evaluate(5))
    torch.save(values, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


def test_two_ranks_with_padding_score_as_one(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))  # the new processes import this file by its name
    torch.multiprocessing.spawn(run_rank, args=(str(tmp_path),), nprocs=2)
    alone = MultiSourceEvaluator(metrics=sources())
    alone.process(SAMPLES)
    expected = alone.evaluate(5)
    check(expected)
    for rank in range(2):
        for values in torch.load(tmp_path / f"{rank}.pt"):
            assert values == pytest.approx(expected, rel=0, abs=0, nan_ok=True)


def test_the_table_comes_once_and_is_aligned(log):
    evaluator = MultiSourceEvaluator(metrics=sources())
    evaluator.process(SAMPLES)
    values = evaluator.evaluate(5)
    assert [level for level, _ in log] == [logging.INFO]
    head, rule, *rows = log[0][1].splitlines()[1:]
    assert [cell.strip() for cell in head.split("|")] == ["source", "task", "images", "metric", "value", "baseline"]
    assert set(rule) == {"-", "+"}
    assert {len(line) for line in (rule, *rows)} == {len(head)}
    cells = [[cell.strip() for cell in row.split("|")] for row in rows]
    assert cells[0] == ["pets", "panoptic", "3", "PQ", "58.33", f"{values['pets/PQ_chance']:.2f} (chance)"]
    assert cells[1][:5] == ["", "", "", "SQ", "87.50"]
    assert "PQ_chance" not in log[0][1]
    assert ["roads", "semantic", "2", "mIoU", "33.33", ""] in cells


def test_a_table_without_baselines_has_no_column_for_them():
    table = format_table([Score("a", "panoptic", 3, "PQ", 5.126), Score("b", "semantic", 12, "mIoU", math.nan)])
    assert table.splitlines() == [
        "source | task     | images | metric | value",
        "-------+----------+--------+--------+------",
        "a      | panoptic |      3 | PQ     |  5.13",
        "b      | semantic |     12 | mIoU   |     -",
    ]


def test_a_source_without_a_tested_image_is_named(log):
    evaluator = MultiSourceEvaluator(metrics=sources())
    evaluator.process([pets(0)])
    values = evaluator.evaluate(5)
    assert not any(key.startswith("roads/") for key in values)
    warnings = [message for level, message in log if level == logging.WARNING]
    assert warnings == [
        "source 'roads': no image was tested, so it has no scores",
        "tested 1 different samples, but the test set has 5",
    ]
    assert "not tested" in log[-1][1]


def test_bad_samples():
    evaluator = MultiSourceEvaluator(metrics=sources())
    stranger = panoptic([[0]], [0], [[1000]], source="cars", sample_idx=0, img_path="x.jpg")
    with pytest.raises(
        ValueError, match=r"sample x\.jpg is from source 'cars', but the evaluator has \['pets', 'roads'\]"
    ):
        evaluator.process([stranger])
    with pytest.raises(ValueError, match=r"source 'pets', y\.jpg: no 'sample_idx'"):
        evaluator.process([panoptic([[0]], [0], [[1000]], source="pets", img_path="y.jpg")])


def test_bad_sources():
    quality = dict(type="mmdataseg.PanopticQualityMetric")
    with pytest.raises(ValueError, match="'pets' appears 2 times"):
        MultiSourceEvaluator(metrics=[source("pets", [quality]), source("pets", [quality])])
    with pytest.raises(ValueError, match="source 'pets' is tested but has no metric"):
        MultiSourceEvaluator(metrics=[source("pets", [])])
    with pytest.raises(ValueError, match="source 'pets': two PanopticQualityMetric would report under the same names"):
        MultiSourceEvaluator(metrics=[source("pets", [quality, quality])])
    with pytest.raises(UserError, match=r"source 'pets': .*unexpected keyword argument 'chanse'"):
        MultiSourceEvaluator(metrics=[source("pets", [quality | dict(chanse=1)])])


@pytest.mark.parametrize(
    ("metric", "task"),
    [
        ("SemanticMetric", "panoptic"),
        ("SemanticMetric", "instance"),
        ("PanopticQualityMetric", "semantic"),
        ("PanopticQualityMetric", "instance"),
        ("InstanceMetric", "semantic"),
    ],
)
def test_a_metric_of_another_task_is_refused_before_a_training(tmp_path, metric, task):
    config = dict(type=f"mmdataseg.{metric}")
    if metric == "InstanceMetric":
        (tmp_path / "a.json").write_text('{"images": [], "annotations": [], "categories": []}')
        config["ann_file"] = str(tmp_path / "a.json")
    source = dict(name="pets", task=task, label_space=LABEL_SPACE, test={}, metrics=[config])
    with pytest.raises(UserError, match=rf"source 'pets': {metric} scores the task '.*, but .* is '{task}'; use a"):
        MultiSourceEvaluator(metrics=[source])


@pytest.mark.parametrize("task", ["semantic", "panoptic"])
def test_a_pipeline_that_loads_no_annotations_is_refused_before_a_training(task):
    metric, loader = {
        "semantic": ("SemanticMetric", "LoadSemanticMap"),
        "panoptic": ("PanopticQualityMetric", "LoadPanopticMap"),
    }[task]
    steps = [
        dict(type="mmdataseg.LoadImage"),
        dict(type="mmdet.Resize", scale=(8, 8)),
        dict(type="mmdataseg.PackInputs"),
    ]
    source = dict(name="pets", task=task, label_space=LABEL_SPACE, test=dict(pipeline=steps))
    source["metrics"] = [dict(type=f"mmdataseg.{metric}")]
    with pytest.raises(
        UserError, match=rf"source 'pets': the test pipeline loads no annotations, .*{loader}', scoring"
    ):
        MultiSourceEvaluator(metrics=[source])
    steps.insert(2, dict(type="mine.LoadMyAnnotations"))
    assert MultiSourceEvaluator(metrics=[source]).metrics


def test_a_pipeline_that_loads_panoptic_maps_as_for_training():
    pets = source("pets", [dict(type="mmdataseg.PanopticQualityMetric")])
    pets["test"]["pipeline"] = [dict(type="mmdataseg.LoadImage"), dict(type="mmdataseg.LoadPanopticMap", scoring=True)]
    MultiSourceEvaluator(metrics=[pets])
    del pets["test"]["pipeline"][1]["scoring"]
    with pytest.raises(ValueError, match=r"source 'pets': the test pipeline .* as for training.*; set scoring=True in"):
        MultiSourceEvaluator(metrics=[pets])


EMPTY = {"images": [{"id": 1, "height": 9, "width": 9}], "annotations": [], "categories": []}


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, FileNotFoundError, "truth.json' does not exist; put .*, or set ann_file"),
        ("{", ValueError, "truth.json': not valid JSON .*; check that it was copied or downloaded completely"),
        (
            {"images": [], "annotations": []},
            ValueError,
            "truth.json': key 'categories' is missing; .*; use the file",
        ),
        (
            {**EMPTY, "annotations": [{"id": 7, "category_id": 1, "image_id": 1}]},
            ValueError,
            "truth.json': 1 annotation has no mask, e.g. annotation 7; use",
        ),
        (
            {**EMPTY, "annotations": [{"id": 7, "category_id": 1, "image_id": 1, "segmentation": []}]},
            ValueError,
            "truth.json': 1 annotation has no mask, e.g. annotation 7; use",
        ),
        (
            {**EMPTY, "annotations": [{"id": 7, "category_id": 1}]},
            ValueError,
            "truth.json': an entry of 'annotations' has no 'image_id': .*'id': 7.*; repair the file",
        ),
        (
            {
                "images": [{"id": 1}],
                "categories": [],
                "annotations": [{"id": 7, "category_id": 1, "image_id": 1, "segmentation": [[0, 0, 9, 0, 9, 9]]}],
            },
            ValueError,
            "truth.json': annotation 7 has no 'area', so its image needs 'height' and 'width'",
        ),
        (
            {**EMPTY, "categories": [{"id": 1, "name": "cow"}]},
            ValueError,
            r"truth.json': has none of the 4 classes.*; use the",
        ),
        (
            {
                "images": [{"id": 1, "height": 9, "width": 9}],
                "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cow"}],
                "annotations": [{"id": 7, "category_id": 2, "image_id": 1, "segmentation": [[0, 0, 9, 0, 9, 9]]}],
            },
            ValueError,
            "truth.json': has annotations of class 'cow', which is not in the label space .*; use the label space of",
        ),
    ],
    ids=[
        "missing",
        "no JSON",
        "no COCO",
        "no masks",
        "empty masks",
        "no image id",
        "no area",
        "other classes",
        "a class too many",
    ],
)
def test_files_of_a_metric_are_checked_before_anything_is_tested(tmp_path, content, error, message):
    path = tmp_path / "truth.json"
    if content is not None:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    metric = dict(type="mmdataseg.InstanceMetric", ann_file=str(path))
    with pytest.raises(error, match=f"source 'finds'.*{message}"):
        MultiSourceEvaluator(metrics=[source("finds", [metric], task="instance")])
