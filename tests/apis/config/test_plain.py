"""The text of a config: the same content, without the formatter, and mmengine's own where literals do not do."""

import copy

import pytest
from mmengine.config import Config
from yapf.yapflib import yapf_api

from mmdataseg.apis.config.plain import PlainConfig
from mmdataseg.apis.training.runner import build_runner


@pytest.fixture
def no_yapf(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("yapf was asked")

    monkeypatch.setattr(yapf_api, "FormatCode", refuse)  # onedl-mmengine imports it when it is asked for a text
    monkeypatch.setattr("mmengine.config.config.FormatCode", refuse, raising=False)  # mmengine 0.10.7 has imported it


@pytest.mark.usefixtures("no_yapf")
def test_the_text_reads_back_as_the_config(repo_root, tmp_path):
    cfg = Config.fromfile(repo_root / "projects/toy/configs/dataseg_toy_3ds.py")
    plain = copy.deepcopy(PlainConfig.of(cfg))  # as the Runner does
    plain.dump(tmp_path / "resolved.py")
    assert Config.fromfile(tmp_path / "resolved.py").to_dict() == cfg.to_dict()
    assert plain.filename == cfg.filename


@pytest.mark.usefixtures("no_yapf")
def test_mmengine_would_have_asked():
    with pytest.raises(SyntaxError, match="format"):
        Config({"a": 1}).pretty_text  # noqa: B018


def test_what_is_no_literal_is_left_to_mmengine():
    cfg = Config({"a": float("inf"), "b": 1})
    assert PlainConfig.of(cfg).pretty_text == cfg.pretty_text


@pytest.mark.usefixtures("no_yapf")
def test_a_runner_starts_without_the_formatter(tmp_path):
    cfg = Config(dict(model=dict(type="BaseDataPreprocessor"), work_dir=str(tmp_path), experiment_name="plain"))
    runner = build_runner(cfg)
    runner.dump_config()
    assert runner.cfg.model.type == "BaseDataPreprocessor"
