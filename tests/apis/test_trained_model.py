"""A model from its checkpoint alone, or from a config and a checkpoint; what is refused."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmdataseg.apis import cli
from mmdataseg.apis.config.plain import PlainConfig
from mmdataseg.apis.config.stored import parse_literals, stored_config
from mmdataseg.apis.segmenter import Segmenter
from mmdataseg.apis.trained_model import load_trained_model
from mmdataseg.checkpoints.reading import read_checkpoint
from mmdataseg.errors import MissingFileError, UserError
from mmdataseg.registry import MODELS

TOY = Path(__file__).parents[2] / "projects/toy/configs/dataseg_toy_3ds.py"


@pytest.fixture
def here(world, monkeypatch):
    monkeypatch.chdir(world)
    return world


def stored(path, content, **meta):
    """A checkpoint with other meta data."""
    torch.save({**content, "meta": {**content.get("meta", {}), **meta}}, path)
    return path


@pytest.fixture
def content(here):
    return torch.load(here / "trained.pth", weights_only=True)


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_the_checkpoint_is_all_that_is_needed(here, tmp_path, monkeypatch):
    """Neither config, data nor files of text embeddings: it is loaded from an empty folder."""
    expected = load_trained_model(here / "weights.pth", config=TOY, device="cpu")
    (here / "data").rename(here / "away")
    monkeypatch.chdir(tmp_path)
    try:
        found = load_trained_model(here / "trained.pth", device="cpu")
        words = Segmenter(here / "trained.pth", device="cpu").vocabulary(things=["dog"])
    finally:
        (here / "away").rename(here / "data")
    assert found.source.label_space == expected.source.label_space
    ours, theirs = state_of(found.model), state_of(expected.model)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert words.label_space.classes == ("dog",)


def test_options_change_the_stored_config(here):
    options = {"model.postprocessors.panoptic.score_threshold": 0.25}
    found = load_trained_model(here / "trained.pth", options=options, device="cpu")
    assert found.model.postprocessors["panoptic"].score_threshold == 0.25


def test_a_compiled_training_gives_a_checkpoint_that_needs_no_compiler(content, tmp_path):
    """Options compile here, too."""
    cfg = parse_literals(content["meta"]["cfg"])
    cfg["model"]["compile"] = dict(parts=["backbone"])
    text = "\n".join(f"{name} = {value!r}" for name, value in cfg.items())
    file = stored(tmp_path / "x.pth", content, cfg=text)
    assert "compile" not in stored_config(read_checkpoint(file)).model
    options = {"model.compile.parts": ["neck"], "model.compile.backend": "nobody's"}
    with pytest.raises(UserError, match=r"model\.compile: .*nobody's"):
        load_trained_model(file, options=options, device="cpu")
    load_trained_model(file, device="cpu")


def test_weights_alone_need_a_config(here):
    with pytest.raises(UserError, match=r"weights\.pth': holds weights without a config; put its training config"):
        load_trained_model(here / "weights.pth", device="cpu")


@pytest.mark.usefixtures("here")
def test_no_such_checkpoint():
    with pytest.raises(MissingFileError, match="no such file; expected a checkpoint"):
        load_trained_model("absent.pth", device="cpu")


def test_weights_at_an_address(here, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    found = load_trained_model((here / "trained.pth").as_uri(), device="cpu")
    assert found.checkpoint.path.is_relative_to(tmp_path)
    with pytest.raises(UserError, match="cannot be reached"):
        load_trained_model("http://127.0.0.1:9/x.pth", device="cpu")


class Harmful:
    """What an attacker would put into a checkpoint."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.usefixtures("here")
def test_code_in_a_checkpoint_does_not_run(tmp_path, capsys):
    harmful = tmp_path / "harmful.pth"
    harmful.write_bytes(pickle.dumps({"state_dict": {}, "meta": {"cfg": Harmful(tmp_path / "harm")}}))
    torch.save({"state_dict": {}, "x": Harmful(tmp_path / "harm")}, tmp_path / "harmful2.pth")
    for file in (harmful, tmp_path / "harmful2.pth"):
        with pytest.raises(UserError, match=r"calls posix\.mkdir|cannot be read"):
            Segmenter(file, device="cpu")
        with pytest.raises(SystemExit) as exit_info:
            cli.main(["predict", str(file), "data/toy/toy_open/val", "--out", str(tmp_path / "out")])
        assert exit_info.value.code == 1
        assert "error: " in capsys.readouterr().err
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "text",
    [
        "model = __import__('os').mkdir('harm')",
        "import os\nmodel = dict()",
        "model = dict(type='mmdataseg.DaTaSeg', **os.environ)",
        "model = [x for x in (1, 2)]",
        "model = dict",
        "def model(): pass",
        "model: int = 3",
        "model = f'{1}'",
        "a = b = 3",
        "model = {[1]: 2}",
        "filename = 'x'",
        "model = dict(",
        "(" * 100_000,
    ],
)
def test_code_in_the_stored_config_does_not_run(content, tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    file = stored(tmp_path / "x.pth", content, cfg=text)
    with pytest.raises(UserError, match="its config cannot be read: "):
        load_trained_model(file, device="cpu")
    assert not (tmp_path / "harm").exists()


def test_literals_of_mmengines_texts_are_read():
    text = "a = dict(b=[1, -2.5, None], c=('x', True), d={'e': float('inf')})\n_f = 'g'\n"
    assert parse_literals(text) == {"a": dict(b=[1, -2.5, None], c=("x", True), d={"e": float("inf")}), "_f": "g"}


@pytest.mark.usefixtures("here")
def test_both_of_mmengines_forms_are_the_same_config():
    cfg = Config.fromfile(TOY)
    assert parse_literals(cfg.pretty_text) == parse_literals(PlainConfig.of(cfg).pretty_text)
    assert parse_literals(cfg.pretty_text)["model"] == cfg.to_dict()["model"]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("model.backbone.type", "subprocess.Popen"),
        ("model.backbone.type", "mmengine.load"),
        ("model.backbone.type", "mmengine.Config.fromfile"),
        ("model.backbone.type", "os"),
        ("model.backbone.type", "mmdet.MaskRCNN"),
        ("model.type", "mmdet.MaskRCNN"),
        ("model.type", "mmengine.load"),
        ("model.backbone.type", 3),
        ("model.backbone._scope_", "os"),
        ("default_scope", "antigravity"),
    ],
)
def test_a_stored_config_builds_registered_components_only(content, tmp_path, place, value):
    cfg = Config(parse_literals(content["meta"]["cfg"]))
    cfg.merge_from_dict({place: value})
    file = stored(tmp_path / "x.pth", content, cfg=PlainConfig.of(cfg).pretty_text)
    with pytest.raises(UserError, match=r"is not a registered component|default_scope 'antigravity'; expected one of"):
        load_trained_model(file, device="cpu")


def test_the_modules_of_others_are_not_imported(content, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "harmful_module.py").write_text("import os\nos.mkdir('harm')\n")
    monkeypatch.chdir(tmp_path)
    cfg = content["meta"]["cfg"] + "custom_imports = dict(imports=['harmful_module'])\n"
    load_trained_model(stored(tmp_path / "x.pth", content, cfg=cfg), device="cpu")
    assert not (tmp_path / "harm").exists()


@pytest.mark.usefixtures("here")
def test_an_unknown_source():
    with pytest.raises(ValueError, match=r"source 'x': .* sources with a test pipeline, \['toy_semantic'"):
        load_trained_model("trained.pth", source="x", device="cpu")


@pytest.mark.usefixtures("here")
def test_no_source_says_how_images_are_prepared():
    cfg = Config.fromfile(TOY)
    cfg.model.sources = [{k: v for k, v in s.items() if k != "test"} for s in cfg.model.sources if "train" in s]
    torch.save(MODELS.build(cfg.model).state_dict(), "untested.pth")
    with pytest.raises(ValueError, match=r"\['toy_semantic', .*\] has a test pipeline, .*; give one of them test="):
        load_trained_model("untested.pth", config=cfg, device="cpu")


def test_another_models_checkpoint_is_refused(content, tmp_path):
    del content["state_dict"]["panoptic_head.query_feat.weight"]
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth': \d+ of the model's \d+ weights .*panoptic_head\.query_feat"):
        load_trained_model(tmp_path / "other.pth", device="cpu")


def test_a_larger_models_checkpoint_is_refused(content, tmp_path):
    content["state_dict"]["backbone.layer3.7.conv1.weight"] = torch.zeros(1)
    torch.save(content, tmp_path / "larger.pth")
    with pytest.raises(ValueError, match=r"only in the checkpoint: backbone\.layer3"):
        load_trained_model(tmp_path / "larger.pth", device="cpu")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("content", [torch.zeros(2), {"state_dict": [1]}])
def test_a_file_of_something_else(tmp_path, content):
    torch.save(content, tmp_path / "else.pth")
    with pytest.raises(ValueError, match=r"else\.pth': expected a checkpoint with tensors"):
        load_trained_model(tmp_path / "else.pth", config=TOY, device="cpu")


def test_a_checkpoint_of_other_vocabularies_is_taken(content, tmp_path):
    state = {f"module.{k}": v for k, v in content["state_dict"].items() if "toy_open" not in k}
    torch.save({**content, "state_dict": state}, tmp_path / "less.pth")
    load_trained_model(tmp_path / "less.pth", device="cpu")


@pytest.mark.usefixtures("here")
def test_a_model_of_another_kind_is_refused():
    cfg = Config({"model": {"type": "mmdet.ResNet", "depth": 18}})
    with pytest.raises(ValueError, match=r"model is mmdataseg\.DaTaSeg, got ResNet"):
        load_trained_model("weights.pth", config=cfg)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_a_device_that_is_not_there(device):
    with pytest.raises(UserError, match=f"device '{device}': "):
        load_trained_model("trained.pth", device=device)
