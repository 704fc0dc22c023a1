"""Files of text embeddings, checkpoints, lists of names, and the configs of sources."""

import io
import string
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmdataseg.checkpoints.reading import read_checkpoint
from mmdataseg.errors import UserError
from mmdataseg.formats.text_files import read_lines
from mmdataseg.sources import Source, build_sources
from mmdataseg.structures import LabelSpace
from mmdataseg.text.embeddings import TextEmbeddings, load_embeddings, save_embeddings
from mmdataseg.text.recipe import EncoderInfo
from tests.fuzzing.strategies import ODD, entries, mostly, spoilt_bytes

CLASSES = ("car", "bike", "sky")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def embeddings(folder: Path) -> bytes:
    written = TextEmbeddings(
        matrix=torch.eye(3, 4), classes=CLASSES, encoder=EncoderInfo(library="test", model="test"), vocabulary="test"
    )
    return save_embeddings(folder / "whole.safetensors", written).read_bytes()


@given(st.data())
def test_embeddings_are_refused_or_as_they_were_written(folder: Path, embeddings: bytes, data: st.DataObject) -> None:
    path = folder / "spoilt.safetensors"
    path.write_bytes(data.draw(spoilt_bytes(embeddings)))
    try:
        found = load_embeddings(path, label_space=LabelSpace("test", CLASSES, (True, True, False)), dim=4)
    except UserError:
        return
    assert (found.matrix == torch.eye(3, 4)).all()
    assert found.classes == CLASSES


@pytest.fixture(scope="module")
def checkpoint() -> bytes:
    content = {"state_dict": {"a": torch.arange(6.0).reshape(2, 3)}, "meta": {"cfg": "x = 1", "classes": ["car"]}}
    written = io.BytesIO()
    torch.save(content, written)
    return written.getvalue()


@given(st.data())
def test_damaged_checkpoints_are_refused_or_read(folder: Path, checkpoint: bytes, data: st.DataObject) -> None:
    path = folder / "spoilt.pth"
    path.write_bytes(data.draw(spoilt_bytes(checkpoint)))
    try:
        found = read_checkpoint(path)
    except UserError:
        return
    assert isinstance(found.content, dict)


@given(st.one_of(st.binary(max_size=30), st.text(string.printable, max_size=30).map(str.encode)))
def test_lists_of_names(folder: Path, content: bytes) -> None:
    path = folder / "names.txt"
    path.write_bytes(content)
    try:
        found = read_lines(path)
    except UserError:
        with pytest.raises(UnicodeDecodeError):
            content.decode("utf-8-sig")
        return
    assert all(name and name == name.strip() for name in found)
    assert "".join("".join(found).split()) == "".join(content.decode("utf-8-sig").split())


SPACE = {"name": st.just("test"), "classes": st.just(list(CLASSES)), "is_thing": st.just([True, True, False])}
SOURCE = {
    "name": st.sampled_from(["one", "two"]),
    "task": st.sampled_from(["panoptic", "semantic", "instance"]),
    "label_space": st.one_of(entries(SPACE, spoilt=False), entries(SPACE, spoilt=True)),
    "supervision": st.sampled_from(["masks", "boxes"]),
    "embeddings": st.sampled_from([None, "a.safetensors"]),
    "train": st.none(),
    "metrics": st.just([]),
    "parameters_of": st.none(),
    "unknown": ODD,
}


@given(st.data())
def test_configs_of_sources_are_refused_or_built(data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.sampled_from(sorted(SOURCE)), unique=True))
    config: dict[str, Any] = {key: data.draw(mostly(SOURCE[key])) for key in {"name", "task", "label_space", *keys}}
    try:
        (source,) = build_sources([config])
    except UserError:
        return
    assert isinstance(source, Source)
    assert source.name == config["name"]
    assert len(source.label_space.classes) == len(source.label_space.is_thing)
