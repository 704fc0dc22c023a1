"""``test`` with what is in the checkpoint: all of it, or the model beside other data."""

import pytest
import torch
from mmengine.config import Config

from mmdataseg.apis import cli, runs
from mmdataseg.apis.plain_config import PlainConfig
from mmdataseg.apis.stored_config import completed_for_test
from mmdataseg.checkpoints.reading import read_checkpoint
from mmdataseg.errors import UserError
from mmdataseg.sources import build_sources


@pytest.fixture
def toy(world, monkeypatch, repo_root):
    monkeypatch.chdir(world)
    return Config.fromfile(repo_root / "projects/toy/configs/dataseg_toy_3ds.py")


@pytest.fixture
def data(toy):
    """A config with data alone: a source that the model was trained with, and one of another name."""
    (known,) = (source for source in toy.test_sources if source["name"] == "toy_panoptic")
    tested = [known, {**known, "name": "elsewhere", "parameters_of": None}]
    loader = {**toy.test_dataloader, "num_workers": 0, "persistent_workers": False}
    loader["dataset"] = {**toy.test_dataloader["dataset"], "sources": tested}
    return Config(
        dict(test_dataloader=loader, test_evaluator={**toy.test_evaluator, "metrics": tested}, test_cfg=dict())
    )


def test_the_scores_are_those_of_the_config(toy, tmp_path):
    """From the checkpoint alone and from config and weights."""
    options = {"test_dataloader.num_workers": 0, "test_dataloader.persistent_workers": False}
    alone = runs.run_testing(None, "trained.pth", work_dir=str(tmp_path / "a"), options=options)
    expected = runs.run_testing(toy, "weights.pth", work_dir=str(tmp_path / "b"), options=options)
    assert alone == pytest.approx(expected, rel=0, abs=0, nan_ok=True)
    assert len(alone) > 10


def test_other_data_with_the_model_of_the_checkpoint(data, tmp_path):
    scores = runs.run_testing(data, "trained.pth", work_dir=str(tmp_path))
    assert scores["elsewhere/PQ"] == scores["toy_panoptic/PQ"]


@pytest.mark.usefixtures("toy")
def test_the_command_takes_a_weight_of_new_words(monkeypatch):
    asked = {}
    monkeypatch.setattr(runs, "run_testing", lambda *_, **options: asked.update(options))
    cli.main(["test", "trained.pth", "--new-words-weight", "9", "--cfg-options", "log_level=INFO"])
    assert asked["options"] == {"log_level": "INFO", "model.classifier.new_words_weight": 9.0}


def test_a_weight_of_new_words_changes_no_score_of_words_trained_on(data, tmp_path):
    weighted, plain = (
        runs.run_testing(data, "trained.pth", work_dir=str(tmp_path / name), options=options)
        for name, options in (("weighted", {"model.classifier.new_words_weight": 9.0}), ("plain", None))
    )
    assert weighted == pytest.approx(plain, rel=0, abs=0, nan_ok=True)


def test_the_model_gets_the_sources_of_the_data(data):
    cfg = completed_for_test(data, read_checkpoint("trained.pth"))
    names = [source.name for source in build_sources(cfg.model.sources)]
    assert sorted(names) == sorted({*names}), "each once"
    assert {"toy_semantic", "toy_panoptic", "elsewhere"} <= set(names)
    assert cfg.test_dataloader == data.test_dataloader


@pytest.mark.parametrize(
    ("place", "value"),
    [("model.backbone.type", "subprocess.Popen"), ("test_dataloader.dataset.type", "os.system")],
)
def test_a_stored_config_of_code_is_refused(toy, tmp_path, place, value):
    content = torch.load("trained.pth", weights_only=True)
    toy.merge_from_dict({place: value})
    torch.save({**content, "meta": {"cfg": PlainConfig.of(toy).pretty_text}}, tmp_path / "x.pth")
    with pytest.raises(UserError, match="is not a registered component"):
        completed_for_test(None, read_checkpoint(tmp_path / "x.pth"))


@pytest.mark.usefixtures("toy")
def test_weights_alone_cannot_be_tested_alone():
    with pytest.raises(UserError, match=r"weights\.pth': holds weights without a config"):
        runs.run_testing(None, "weights.pth")


@pytest.mark.parametrize(
    ("words", "config", "checkpoint"),
    [
        (["x.py", "x.pth"], "x.py", "x.pth"),
        (["x.pth", "x.py"], "x.py", "x.pth"),
        (["x.pth"], None, "x.pth"),
        (["dataseg_toy_3ds", "--checkpoint", "x.pth"], "dataseg_toy_3ds", "x.pth"),
    ],
)
def test_config_and_checkpoint_are_told_apart(tmp_path, monkeypatch, words, config, checkpoint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.pth").touch()
    parser = cli.build_test_parser()
    args = parser.parse_args(words)
    cli._check_test_args(parser, args)
    assert (args.config, args.checkpoint) == (config, checkpoint)
