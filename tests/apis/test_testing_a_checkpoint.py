"""``test`` with what is in the checkpoint: all of it, or the model beside other data."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmdataseg.apis import cli, runs
from mmdataseg.apis.config.plain import PlainConfig
from mmdataseg.apis.config.stored import completed_for_test
from mmdataseg.apis.trained_model import load_trained_model
from mmdataseg.checkpoints.reading import read_checkpoint
from mmdataseg.errors import UserError
from mmdataseg.sources import build_sources
from mmdataseg.text.embeddings import load_embeddings, save_embeddings
from mmdataseg.text.recipe import EncoderInfo

IN_THIS_PROCESS = {"test_dataloader.num_workers": 0, "test_dataloader.persistent_workers": False}


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
    alone = runs.run_testing(None, "trained.pth", work_dir=str(tmp_path / "a"), options=IN_THIS_PROCESS)
    expected = runs.run_testing(toy, "weights.pth", work_dir=str(tmp_path / "b"), options=IN_THIS_PROCESS)
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


@pytest.mark.usefixtures("toy")
def test_the_command_takes_bfloat16(monkeypatch):
    asked = {}
    monkeypatch.setattr(runs, "run_testing", lambda *_, **options: asked.update(options))
    cli.main(["test", "trained.pth", "--bfloat16", "--new-words-weight", "9"])
    assert asked["options"] == {"model.classifier.new_words_weight": 9.0, "model.inference_dtype": "bfloat16"}


def test_the_command_reports_each_class(data, tmp_path):
    data.dump(tmp_path / "data.py")
    cli.main(["test", str(tmp_path / "data.py"), "trained.pth", "--classwise", "--work-dir", str(tmp_path / "work")])
    (log,) = (tmp_path / "work").glob("*/*.json")
    scores = json.loads(log.read_text())
    (known, _) = build_sources(data.test_dataloader.dataset.sources)
    assert {f"toy_panoptic/PQ/{name}" for name in known.label_space.classes} <= set(scores)


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


CUT = r"iter_9\.pth': this checkpoint is empty or was cut short; use the newest complete .* '.*iter_8\.pth'"


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    "run",
    [
        lambda path: runs.run_testing(None, path),
        lambda path: runs.run_testing("dataseg_toy_3ds.py", path),
        lambda path: runs.run_training("dataseg_toy_3ds.py", resume=path),
        lambda path: runs.run_training("dataseg_toy_3ds.py", options={"load_from": path}),
        lambda path: load_trained_model(path),
    ],
    ids=["test alone", "test", "--resume PATH", "load_from", "predict"],
)
def test_a_checkpoint_that_was_cut_short_is_refused_at_the_start(tmp_path, run):
    whole = Path("trained.pth").read_bytes()
    (tmp_path / "iter_8.pth").write_bytes(whole)
    (tmp_path / "iter_9.pth").write_bytes(whole[:3000])
    with pytest.raises(UserError, match=CUT):
        run(str(tmp_path / "iter_9.pth"))


def model_prefix(state):
    return {f"model.{name}": value for name, value in state.items()}


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: {"foo.weight": torch.zeros(1)}, "no weight of this checkpoint fits the model: it has foo.weight"),
        (model_prefix, "its keys begin with 'model.' and would fit without it; use a checkpoint of this model"),
    ],
    ids=["foreign", "behind model."],
)
def test_weights_of_another_model_give_no_table(tmp_path, capsys, change, message):
    state = torch.load("weights.pth", weights_only=True)["state_dict"]
    torch.save({"state_dict": change(state)}, tmp_path / "other.pth")
    options = [*(f"{key}={value}" for key, value in IN_THIS_PROCESS.items()), f"experiment_name={tmp_path.name}"]
    words = [str(tmp_path / "other.pth"), "--work-dir", str(tmp_path / "work"), "--cfg-options", *options]
    with pytest.raises(SystemExit) as end:
        cli.main(["test", "dataseg_toy_3ds.py", *words])
    assert end.value.code == 1
    said = capsys.readouterr()
    assert f"error: '{tmp_path / 'other.pth'}': " in said.err
    assert message in said.err
    assert "scores by source" not in said.out + said.err


@pytest.mark.parametrize(
    "run",
    [
        lambda cfg, folder: runs.run_testing(cfg, "weights.pth", work_dir=folder, options=IN_THIS_PROCESS),
        lambda cfg, _: load_trained_model("weights.pth", config=cfg),
    ],
    ids=["test", "predict"],
)
def test_text_rows_of_another_encoder_than_the_files_are_refused(tmp_path, toy, run):
    """The checkpoint was trained with one encoder, and the config names files of another one."""
    for source in toy.model.sources:
        text = load_embeddings(Path(source.embeddings))
        other = replace(text, encoder=EncoderInfo(library="open_clip", model="ViT-B-32"))
        source.embeddings = str(save_embeddings(tmp_path / f"{source.name}.safetensors", other))
    with pytest.raises(UserError, match=r"different encoder: the config's file has 'open_clip .*, the checkpoint"):
        run(toy, str(tmp_path / "work"))
