"""Data that are not there: the message says how to get them, as the file of the source does."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmdataseg.apis import cli
from mmdataseg.apis.config.data_roots import check_data_roots, how_to_get
from mmdataseg.apis.config.files import find_config
from mmdataseg.errors import MissingFileError
from tests.config_world import LEAVES, LOADERS, load

SOURCE = '''"""Roofs from above.

Data: ask the town hall,
on Mondays.
Text embeddings: none
"""

roofs = dict(name="roofs", task="semantic", label_space="ade150", train=dict(data_root="data/roofs"))
'''


def own_config(folder: Path, source: str = SOURCE) -> Config:
    (folder / "_base_").mkdir()
    (folder / "_base_/roofs.py").write_text(source)
    (folder / "town.py").write_text(
        "_base_ = ['./_base_/roofs.py']\ntrain_dataloader = dict(dataset=dict(sources=[_base_.roofs]))\n"
    )
    return Config.fromfile(folder / "town.py")


def test_the_message_has_the_line_of_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cfg = own_config(tmp_path)
    with pytest.raises(
        MissingFileError,
        match=rf"folder 'data/roofs' does not exist in {tmp_path}; get the data: ask the town hall, on Mondays\.$",
    ):
        check_data_roots(cfg, "train_dataloader", "val_dataloader")
    (tmp_path / "data/roofs").mkdir(parents=True)
    check_data_roots(cfg, "train_dataloader")


def test_without_such_a_line_the_remedy_is_general(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cfg = own_config(tmp_path, SOURCE.replace("Data:", "Note:"))
    with pytest.raises(MissingFileError, match=r"; put the data there, or set data_root in the source's config$"):
        check_data_roots(cfg, "train_dataloader")


def test_a_source_that_reads_the_data_of_another_one_has_its_line() -> None:
    assert how_to_get("coco_semantic") == how_to_get("coco_panoptic") == "docs/datasets.md"
    assert how_to_get("no_such_source") is None


def test_every_source_of_a_config_says_where_its_data_come_from() -> None:
    rooted = {
        (source["name"], source[split]["data_root"])
        for leaf in LEAVES
        for key in LOADERS
        for source in ((load(leaf).get(key) or {}).get("dataset") or {}).get("sources", ())
        for split in ("train", "test")
        if "data_root" in (source.get(split) or {})
    }
    assert {"ade_semantic", "objects365_boxes", "garden_small", "my_masks"} <= {name for name, _ in rooted}
    assert [found for found in sorted(rooted) if how_to_get(*found) is None] == []


@pytest.mark.parametrize("verb", ["train", "test"])
def test_the_toy_config_without_the_toy_data_names_the_command_that_draws_them(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not the text embeddings, which the same command writes."""
    pytest.importorskip("projects.toy.make_toy", reason="projects/toy is not there")
    config = str(find_config("dataseg_toy_3ds.py"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some.pth").touch()
    with pytest.raises(SystemExit):
        cli.main([verb, config, *(["some.pth"] if verb == "test" else [])])
    assert "does not exist in " in (told := capsys.readouterr().err)
    assert "; get the data: python -m projects.toy.make_toy data/toy\n" in told


def test_what_is_not_a_source_is_left_to_the_dataset() -> None:
    """A name in place of a source, and a single source in place of a list."""
    for sources in (["ade"], {"name": "ade", "task": "semantic"}):
        check_data_roots(Config({"train_dataloader": {"dataset": {"sources": sources}}}), "train_dataloader")
