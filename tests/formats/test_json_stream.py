"""Reading a JSON object element by element."""

import json

import pytest

from mmdataseg.errors import UserError
from mmdataseg.formats import json_stream
from mmdataseg.formats.json_stream import stream_json
from tests.datasets.writing import write_json

CONTENT = {
    "info": {"year": 2023, "note": 'a ] } , " \\ in a string'},
    "images": [{"id": 1, "name": "é"}, {"id": 2}],
    "empty": [],
    "numbers": [12, 345, -6.5e3],
    "last": 789,
}


def collect(path, chunk):
    found = {}
    for key, value in stream_json(path, chunk=chunk):
        if value is None:
            found[key] = []
        elif isinstance(CONTENT[key], list):
            found[key].append(value)
        else:
            found[key] = value
    return found


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2])
def test_any_window_gives_the_content(tmp_path, chunk, indent):
    path = write_json(tmp_path / "a.json", json.dumps(CONTENT, indent=indent, ensure_ascii=False) + "\n ")
    assert collect(path, chunk) == CONTENT


def test_empty_object(tmp_path):
    assert list(stream_json(write_json(tmp_path / "a.json", " {} "))) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected '{', found the end"),
        ("5", "expected '{', found '5'"),
        ('{"a": [1, 2', "expected ',' or ']', found the end at character 11"),
        ('{"a": [{"b": 1}, {"b"', "Expecting ':' delimiter at character 21"),
        ('{"a": [1 2]}', "expected ',' or ']', found '2' at character 9"),
        ('{"a": 1} x', "expected the end of the file, found 'x'|expected the end of the file"),
        ("{1: 2}", "expected a key in quotes"),
        ('{"a": tru}', "Expecting value at character 6"),
    ],
)
@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_broken_text_names_file_and_place(tmp_path, text, why, chunk):
    path = write_json(tmp_path / "broken.json", text)
    with pytest.raises(ValueError, match=rf"broken\.json': not valid JSON \({why}.*copied or downloaded completely"):
        list(stream_json(path, chunk=chunk))


def test_a_list_is_not_called_broken(tmp_path):
    with pytest.raises(UserError, match=r"expected a JSON object with the keys .*, got a list"):
        list(stream_json(write_json(tmp_path / "a.json", " [1]")))


def test_other_encoding_is_named(tmp_path):
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe9"}')
    with pytest.raises(ValueError, match=r"latin\.json': not valid JSON \('utf-8' codec"):
        list(stream_json(tmp_path / "latin.json"))


def test_memory_stays_bounded_on_a_value_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "LARGEST_VALUE", 1000)
    path = write_json(tmp_path / "a.json", '{"a": ["' + "x" * 100_000 + '"]}')
    read = []
    original = json_stream._Window.read_on
    monkeypatch.setattr(json_stream._Window, "read_on", lambda self: (read.append(len(self.text)), original(self))[1])
    with pytest.raises(ValueError, match="not valid JSON"):
        list(stream_json(path, chunk=100))
    assert max(read) < 5000
