"""UserError: the error that ends a command in one line."""

import pickle

import pytest
from torch._utils import ExceptionWrapper

from mmdataseg.errors import MissingFileError, UserError, named, naming, suggestion


def test_the_message_has_source_file_and_remedy():
    error = UserError("3 classes, expected 4", source="ade", file="a.json", remedy="rebuild it")
    assert str(error) == "source 'ade': 'a.json': 3 classes, expected 4; rebuild it"
    assert (error.source, error.file, error.remedy) == ("ade", "a.json", "rebuild it")


@pytest.mark.parametrize(
    ("name", "near"),
    [("Adamw", "AdamW"), ("adm", "Adam"), ("LAMB", None), ("", None)],
)
def test_the_nearest_name_is_suggested(name, near):
    assert suggestion(name, ["Adam", "AdamW", "SGD"]) == (near and f"did you mean {near!r}?")
    assert suggestion(name, []) is None


def test_it_is_a_value_error_and_can_be_built_from_one_string():
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


def test_naming_keeps_source_and_file_of_the_error():
    with pytest.raises(UserError) as caught, naming(source="outer", file="outer.json"):
        raise UserError("empty", source="inner", file="inner.json")
    assert str(caught.value) == "source 'inner': 'inner.json': empty"


def test_naming_does_not_change_other_errors():
    with pytest.raises(ValueError, match=r"^plain$"), naming(source="ade"):
        raise ValueError("plain")


def test_a_missing_file_is_a_user_error_and_a_file_not_found_error():
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
def test_errors_that_libraries_raise_on_the_users_data_are_converted(error, kind, message):
    found = named(error, source="a", file="x.png")
    assert type(found) is kind
    assert str(found) == message
