"""UserError: the error that ends a command in one line."""

import pickle

import pytest
from torch._utils import ExceptionWrapper

from mmdataseg.errors import MissingFileError, UserError, named, naming


def test_message_with_everything_it_is_about():
    error = UserError("3 classes, expected 4", source="ade", file="a.json", remedy="rebuild it")
    assert str(error) == "source 'ade': 'a.json': 3 classes, expected 4; rebuild it"
    assert (error.source, error.file, error.remedy) == ("ade", "a.json", "rebuild it")


def test_is_a_value_error_that_one_string_makes():
    assert isinstance(UserError("text"), ValueError)
    assert str(UserError("text")) == "text"
    assert str(pickle.loads(pickle.dumps(UserError("text", source="a")))) == "source 'a': text"


def test_a_data_loader_worker_keeps_type_and_message():
    try:
        raise UserError("no such class: 7", source="ade")
    except UserError:
        wrapped = ExceptionWrapper(where="in DataLoader worker process 0")
    with pytest.raises(UserError) as caught:
        wrapped.reraise()
    assert str(caught.value) == "source 'ade': no such class: 7"


@pytest.mark.parametrize("parts", [{}, {"source": "ade"}, {"file": "a.json"}])
def test_naming_adds_what_is_missing(parts):
    with pytest.raises(UserError) as caught, naming(source="ade", file="a.json"):
        raise UserError("empty", remedy="fill it", **parts)
    assert str(caught.value) == "source 'ade': 'a.json': empty; fill it"
    assert (caught.value.source, caught.value.file) == ("ade", "a.json")


def test_naming_leaves_what_is_named():
    with pytest.raises(UserError) as caught, naming(source="outer", file="outer.json"):
        raise UserError("empty", source="inner", file="inner.json")
    assert str(caught.value) == "source 'inner': 'inner.json': empty"


def test_naming_leaves_other_errors_alone():
    with pytest.raises(ValueError, match=r"^plain$"), naming(source="ade"):
        raise ValueError("plain")


def test_a_missing_file_is_both_kinds():
    error = MissingFileError("not there", file="a.json")
    assert isinstance(error, FileNotFoundError)
    assert str(error) == "'a.json': not there"
    assert type(MissingFileError("one string")) is MissingFileError


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("bad"), UserError, "source 'a': 'x.png': bad"),
        (KeyError("id"), UserError, "source 'a': 'x.png': KeyError: 'id'"),
        (PermissionError("no"), UserError, "source 'a': 'x.png': PermissionError: no"),
        (FileNotFoundError("gone"), MissingFileError, "source 'a': 'x.png': gone"),
        (MissingFileError("gone", file="y.png"), MissingFileError, "source 'a': 'y.png': gone"),
        (MemoryError("full"), RuntimeError, "source 'a': 'x.png': MemoryError: full"),
    ],
)
def test_what_libraries_raise_on_the_users_data(error, kind, message):
    found = named(error, source="a", file="x.png")
    assert type(found) is kind
    assert str(found) == message
