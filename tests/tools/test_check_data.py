"""The command that checks a config's data."""

import importlib.util
from pprint import pformat

import numpy as np
import pytest
from mmcv.transforms import BaseTransform
from mmengine.config import Config

from mmdataseg.errors import UserError
from mmdataseg.registry import TRANSFORMS
from mmdataseg.text.embeddings import TextEmbeddings, save_embeddings
from mmdataseg.text.hashing import HashingEncoder
from tests.datasets.writing import (
    CLASSES,
    IS_THING,
    InstanceFiles,
    PanopticFiles,
    id_to_rgb,
    write_image,
    write_json,
    write_png,
)

SPACE = {"name": "four", "classes": CLASSES, "is_thing": IS_THING}


@pytest.fixture(scope="module")
def check_data(repo_root):
    """The tool as a module."""
    spec = importlib.util.spec_from_file_location("check_data", repo_root / "tools/check_data.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def world(tmp_path):
    """Three sources on disk and a config over them: semantic and boxes for training, panoptic for testing."""

    def source(name, task, split, kind, arguments, loader, **kwargs):
        arguments.pop("metainfo", None)
        pipeline = [{"type": "mmdataseg.LoadImage"}, {"type": f"mmdataseg.{loader}"}, {"type": "mmdataseg.PackInputs"}]
        dataset = {"type": f"mmdataseg.{kind}", **arguments, "pipeline": pipeline}
        return {"name": name, "task": task, "label_space": SPACE, split: dataset, **kwargs}

    for name in "ab":
        write_image(tmp_path / f"semantic/img/{name}.jpg", 2, 4)
        write_png(tmp_path / f"semantic/ann/{name}.png", np.array([[0, 1, 1, 1], [3, 3, 3, 3]], np.uint8))
    paths = {"data_root": str(tmp_path / "semantic"), "img_dir": "img", "ann_dir": "ann", "zero_is_void": True}
    boxes = InstanceFiles(tmp_path / "boxes")
    boxes.annotations[2]["bbox"] = [0, 0, 0.5, 5]
    panoptic = PanopticFiles(tmp_path / "panoptic")
    train = [
        source("sem", "semantic", "train", "SemanticSegDataset", paths, "LoadSemanticMap"),
        source("box", "instance", "train", "InstanceSegDataset", boxes.write(), "LoadInstances", supervision="boxes"),
    ]
    test = [source("pan", "panoptic", "test", "PanopticSegDataset", panoptic.write(), "LoadPanopticMap")]
    config = tmp_path / "config.py"
    config.write_text(
        f"train_dataloader = dict(dataset=dict(sources={pformat(train)}))\n"
        f"val_dataloader = dict(dataset=dict(sources={pformat(test)}))\n"
        "test_dataloader = val_dataloader\n"
    )
    return tmp_path, config


@pytest.mark.parametrize("workers", ["0", "2"])
def test_counts_of_clean_data(check_data, world, capsys, workers):
    assert check_data.main([str(world[1]), "--workers", workers]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "sem (train): 2 images, 4 targets, 0 images without target, 0 crowd regions, 0 boxes under a pixel" in out
    assert "void: 12.5 % of the pixels 2 of 4 classes: cat 2, sky 2 never: dog, grass in this split: no problem" in out
    assert "box (train): 2 images, 1 target, 1 image without target, 1 crowd region, 1 box under a pixel" in out
    assert "pan (test): 1 image, 3 targets, 0 images without target, 1 crowd region, 0 boxes" in out
    assert out.count("pan (test)") == 1  # val and test share it
    assert out.endswith("in all: no problem")


def test_all_problems_of_all_sources_are_listed(check_data, world, capsys):
    root, config = world
    (root / "semantic/img/a.jpg").write_bytes(b"broken")
    write_png(root / "semantic/ann/b.png", np.full((2, 4), 9, np.uint8))
    write_png(root / "panoptic/pngs/a.png", id_to_rgb(np.where(PanopticFiles.IDS == 0, 77, PanopticFiles.IDS)))
    (root / "boxes/images/part2/empty.jpg").unlink()
    assert check_data.main([str(config), "--workers", "0"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "! source 'sem': '" in out
    assert "a.jpg': cannot read this image" in out
    assert "b.png': values [9] have no class" in out
    assert "the PNG has segment ids [77] that are not in the JSON" in out
    assert "source 'box'" in out
    assert "['part2/empty.jpg']" in out
    assert out.endswith("in all: 4 problems")


def test_boxes_written_as_corners(check_data, world, capsys):
    """x1, y1, x2, y2 in a COCO file: each can be read as x, y, width, height, clipped to its image."""
    root, config = world
    boxes = InstanceFiles(root / "boxes")
    boxes.annotations[:] = [
        {"id": i, "image_id": 8, "category_id": 1, "bbox": [2 + i, 1 + i, 12 + i, 4 + i]} for i in range(6)
    ]
    boxes.write()
    assert check_data.main([str(config), "--workers", "0"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "2 of 6 boxes extend beyond their image as x, y, width, height" in out
    assert "write x2 - x1 and y2 - y1 instead" in out


@pytest.mark.parametrize(
    "xywh",
    [
        pytest.param([[2 + i, 1 + i, 12 + i, 4 + i] for i in range(4)], id="too few to tell"),
        pytest.param([[2 + i, 1 + i, 12 + i, 4 + i] for i in range(6)] + [[8, 5, 4, 3]], id="one is no box as xyxy"),
        pytest.param([[1, 1, 18.5, 8.5]] * 10, id="large ones, out by rounding"),
        pytest.param([[1, 1, 18, 8]] * 9 + [[3, 1, 19, 8]], id="one of ten sticks out"),
    ],
)
def test_boxes_that_may_well_be_right(check_data, world, xywh):
    root, config = world
    boxes = InstanceFiles(root / "boxes")
    boxes.annotations[:] = [{"id": i, "image_id": 8, "category_id": 1, "bbox": box} for i, box in enumerate(xywh)]
    boxes.write()
    assert check_data.main([str(config), "--workers", "0"]) == 0


def test_one_problem(check_data, world, capsys):
    root, config = world
    (root / "semantic/img/a.jpg").write_bytes(b"broken")
    assert check_data.main([str(config), "--workers", "0"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "sem (train): 2 images, 2 targets" in out
    assert " in this split: 1 problem ! source 'sem'" in out
    assert out.endswith("in all: 1 problem")


def test_help_shows_how_it_is_called(check_data, capsys):
    with pytest.raises(SystemExit):
        check_data.main(["--help"])
    assert "\n    python tools/check_data.py configs/dataseg_r50_3ds.py --workers 16 --limit 10000\n" in (
        capsys.readouterr().out
    )


def test_pictures_show_annotations_with_their_names(check_data, world, capsys):
    root, config = world
    write_png(root / "semantic/ann/b.png", np.full((2, 4), 9, np.uint8))  # cannot be read, so not drawn
    assert check_data.main([str(config), "--workers", "0", "--pictures", str(root / "seen")]) == 1
    out = capsys.readouterr().out
    assert f"1 picture of annotations in {root / 'seen'}: are the names right?" in out
    assert sorted(path.name for path in (root / "seen").iterdir()) == [
        "box_train_0.png",
        "box_train_1.png",
        "pan_test_0.png",
        "sem_train_0.png",
    ]


def test_a_line_to_look_at_does_not_fail_the_check(check_data, world, capsys):
    root, config = world
    (root / "boxes/images/part2/empty.jpg").write_bytes((root / "boxes/images/part1/ü.jpg").read_bytes())
    assert check_data.main([str(config), "--workers", "0"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "? source 'box': 1 image appears under several names, e.g. " in out
    assert out.endswith("to look at in all: no problem")


def test_limit(check_data, world, capsys):
    assert check_data.main([str(world[1]), "--workers", "0", "--limit", "1"]) == 0
    assert "sem (train): 1 image, 2 targets," in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "match"),
    [("\ufeffa = 1", r"config\.py': begins with a byte order mark; save it as"), ("a = (", "cannot read this config")],
)
def test_a_config_that_cannot_be_read(check_data, tmp_path, text, match):
    (tmp_path / "config.py").write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match=match):
        check_data.main([str(tmp_path / "config.py")])


def test_things_that_are_all_flagged_as_stuff(check_data, world):
    _, config = world
    config.write_text(config.read_text().replace("(True, True, False, False)", "(False, False, False, False)"))
    with pytest.raises(SystemExit, match=r"source 'box': the instance task needs things.*; set is_thing to True for"):
        check_data.main([str(config), "--workers", "0"])


def test_config_without_sources(check_data, tmp_path):
    (tmp_path / "empty.py").write_text("a = 1\n")
    with pytest.raises(SystemExit, match=r"empty\.py' has no data loader over sources"):
        check_data.main([str(tmp_path / "empty.py")])


def test_missing_and_wrong_text_embeddings_are_problems(check_data, tmp_path):
    space = {"name": "pair", "classes": ["a", "b"], "is_thing": [True, True]}
    sources = [
        {"name": name, "task": "instance", "label_space": space, "embeddings": str(tmp_path / f"{name}.safetensors")}
        for name in ("there", "gone", "long")
    ]
    for name, dim in (("there", 8), ("long", 16)):
        matrix = HashingEncoder(dim=dim)(space["classes"])
        save_embeddings(
            tmp_path / f"{name}.safetensors",
            TextEmbeddings(
                matrix=matrix, classes=tuple(space["classes"]), encoder=HashingEncoder.info, vocabulary="pair"
            ),
        )
    classifier = {"type": "mmdataseg.TextClassifier", "embed_dim": 8}
    problems = list(check_data.embedding_problems(Config({"model": {"sources": sources, "classifier": classifier}})))
    assert len(problems) == 2
    assert "gone" in problems[0]
    assert "long" in problems[1]


def test_sources_that_do_not_fit_together(check_data, world, capsys):
    _, config = world
    config.write_text(
        config.read_text()
        + "train_dataloader['batch_sampler'] = dict(ratios=[1, 2, 3])\nmodel = dict(sources=[dict(name='sem')])\n"
        + "for source, size in zip(train_dataloader['dataset']['sources'], (64, 128)):\n"
        + "    source['train']['pipeline'].insert(2, dict(type='mmdataseg.RandomCrop', size=(size, size)))\n"
    )
    assert check_data.main([str(config), "--workers", "0"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "! source 'box' (train): not among model.sources ['sem']; name it there, too" in out
    assert "! crops of different scales, {'sem': 64, 'box': 128} pixels" in out
    assert "! train_dataloader.batch_sampler: 3 ratios for 2 sources; give one for each" in out
    assert out.count("in this split: no problem") == 3, "the files are right; only the config is not"
    assert out.endswith("in all: 4 problems")


def test_metrics_that_cannot_be_built(check_data, world, capsys):
    _, config = world
    config.write_text(
        config.read_text()
        + "pan = val_dataloader['dataset']['sources'][0]\n"
        + "quality, masks = dict(type='mmdataseg.PanopticQualityMetric'), dict(type='mmdataseg.InstanceMetric')\n"
        + "val_evaluator = dict(type='mmdataseg.MultiSourceEvaluator', metrics=[dict(pan, metrics=[quality])])\n"
        + "others = [dict(pan, metrics=[quality]), dict(pan, name='more', metrics=[masks])]\n"
        + "test_evaluator = dict(type='mmdataseg.MultiSourceEvaluator', metrics=others)\n"
    )
    assert check_data.main([str(config), "--workers", "0"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert out.count("! source 'pan': the test pipeline loads annotations as for training") == 1
    assert "! source 'more': " in out
    assert "missing 1 required keyword-only argument: 'ann_file'" in out
    assert out.endswith("in all: 2 problems")


def test_metrics_of_both_evaluators_and_of_others(check_data):
    masks = dict(type="mmdataseg.InstanceMetric", ann_file="/nope.json")
    source = {"name": "a", "task": "semantic", "label_space": SPACE}

    def evaluator(**more):
        return dict(type="mmdataseg.MultiSourceEvaluator", metrics=[source | more])

    good = evaluator(metrics=[dict(type="mmdataseg.SemanticMetric")])
    found = check_data.metric_problems(Config(dict(val_evaluator=good, test_evaluator=evaluator(metrics=[masks]))))
    assert len(found) == 1
    assert "source 'a': InstanceMetric: annotation file '/nope.json' does not exist" in found[0]
    (typo,) = check_data.metric_problems(Config(dict(test_evaluator=evaluator(metrcs=[masks]))))
    assert "metrcs" in typo
    assert check_data.metric_problems(Config(dict(val_evaluator=[dict(type="CocoMetric")], test_evaluator=None))) == []


def test_a_metric_file_of_another_split_is_a_problem(check_data, tmp_path):
    files = InstanceFiles(tmp_path)
    files.add_masks()
    arguments = files.write() | {"type": "mmdataseg.InstanceSegDataset"}
    arguments.pop("metainfo")
    for image in files.content["images"]:
        image["id"] += 100
    other = write_json(
        tmp_path / "other.json",
        files.content | {"annotations": [dict(a, image_id=a["image_id"] + 100) for a in files.annotations]},
    )
    metric = dict(type="mmdataseg.InstanceMetric", ann_file=str(other))
    source = {"name": "a", "task": "instance", "label_space": SPACE, "test": arguments, "metrics": [metric]}
    evaluator = dict(type="mmdataseg.MultiSourceEvaluator", metrics=[source])
    (problem,) = check_data.metric_problems(Config(dict(test_evaluator=evaluator)))
    assert "other.json': does not list 2 of the 2 tested images, e.g. image id 9; set ann_file of the metric" in problem


@pytest.mark.parametrize(("size", "problems"), [(128, 1), ((192, 96), 1), (100, 0), ((64, 120), 0)])
def test_crops_of_different_scales(check_data, size, problems):
    def source(name, size):
        crop = {"type": "mmdataseg.RandomCrop", "size": size}
        space = {"name": "one", "classes": ["a"], "is_thing": [True]}
        return {"name": name, "task": "instance", "label_space": space, "train": {"pipeline": [crop]}}

    sources = [source("small", (64, 64)), source("large", size), source("share", (0.5, 0.5))]
    sources[2]["train"]["pipeline"][0] |= {"type": "RandomCrop", "crop_type": "relative_range"}
    found = list(check_data.crop_problems(Config({"train_dataloader": {"dataset": {"sources": sources}}})))
    assert len(found) == problems
    assert all("'small': 64, 'large': " in problem for problem in found)


@pytest.mark.parametrize(("option", "message"), [("--limit=0", "at least 1"), ("--workers=-1", "at least 0")])
def test_options_that_make_no_sense(check_data, world, capsys, option, message):
    with pytest.raises(SystemExit):
        check_data.main([str(world[1]), option])
    assert message in capsys.readouterr().err


class ClicksOfMasks(BaseTransform):
    """Adds a click per row to the packed sample; fails where an image shows a class that it does not know."""

    def transform(self, results):
        labels = results["data_samples"].gt_instances.labels
        if (labels == SPACE["classes"].index("sky")).any():
            raise UserError("no click for 'sky'", file=results["data_samples"].img_path)
        return results


def test_what_follows_pack_inputs_runs_too(check_data, world, capsys, monkeypatch):
    """Its errors are listed with the image, and the counts are those of the annotations."""
    monkeypatch.setitem(TRANSFORMS.module_dict, "ClicksOfMasks", ClicksOfMasks)
    root, config = world
    write_png(root / "semantic/ann/a.png", np.array([[1, 1, 1, 1], [1, 1, 1, 1]], np.uint8))
    pack = "{'type': 'mmdataseg.PackInputs'}"
    text = config.read_text()
    config.write_text(text.replace(pack, f"{pack}, {{'type': 'mmdataseg.ClicksOfMasks'}}", 1))
    assert check_data.main([str(config), "--workers", "0"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "b.jpg': no click for 'sky'" in out
    assert "a.jpg': no click" not in out
    assert "sem (train): 2 images, 1 target" in out
