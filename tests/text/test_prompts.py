import json
from collections import Counter

import pytest

from mmdataseg.errors import UserError
from mmdataseg.text.prompts import (
    ClassPrompt,
    add_synonyms,
    default_prompts,
    prompt_phrases,
    read_class_file,
    read_synonyms,
)
from mmdataseg.text.vocabularies import get_label_space, known_label_spaces


@pytest.mark.parametrize(
    ("name", "phrases"),
    [
        ("Person", ("person",)),
        ("Pickup Truck", ("pickup truck",)),
        ("door-stuff", ("door",)),
        ("floor-other-merged", ("floor",)),
        ("water-other", ("water",)),
        ("tree-merged", ("tree",)),
        ("wall-brick", ("brick wall",)),
        ("floor-wood", ("wood floor",)),
        ("window-blind", ("window blind",)),
        ("hot-air_balloon", ("hot-air balloon",)),
        ("horse-drawn carriage", ("horse-drawn carriage",)),
        ("crab_(animal)", ("crab (animal)",)),
        ("Cabinet/shelf", ("cabinet", "shelf")),
        ("Moniter/TV", ("monitor", "tv")),
        ("Tape Measur/ Ruler", ("tape measure", "ruler")),
        ("Cutting/chopping Board", ("cutting board", "chopping board")),
        ("column, pillar", ("column", "pillar")),
        ("Formula 1 ", ("formula 1",)),
        ("cup/ Cup", ("cup",)),
    ],
)
def test_names_on_disk_become_phrases(name, phrases):
    assert prompt_phrases(name) == phrases


@pytest.mark.parametrize("name", known_label_spaces())
def test_no_two_classes_of_a_label_space_share_a_phrase(name):
    counts = Counter(p for c in get_label_space(name).classes for p in prompt_phrases(c))
    assert [p for p, n in counts.items() if n > 1] == []
    assert all(p == p.strip().lower() and "_" not in p and "/" not in p for p in counts)


@pytest.mark.parametrize("name", ["", " / ", "-merged"])
def test_a_name_without_a_word_is_refused(name):
    with pytest.raises(UserError, match="expected a class name with at least one word"):
        prompt_phrases(name)


@pytest.mark.parametrize(("phrases", "match"), [((), "at least one phrase"), (("dog", " "), "not empty")])
def test_an_empty_prompt_is_refused(phrases, match):
    with pytest.raises(UserError, match=match):
        ClassPrompt(phrases)


def test_a_text_file_has_one_class_per_line(tmp_path):
    path = tmp_path / "garage.txt"
    path.write_text("# classes of a garage\nred car\n\n Tool_box \n")
    classes, prompts = read_class_file(path)
    assert classes == ("red car", "Tool_box")
    assert prompts == (ClassPrompt(("red car",)), ClassPrompt(("tool box",)))


def test_a_json_file_may_be_a_list(tmp_path):
    path = tmp_path / "garage.json"
    path.write_text('["red car", "Bike/Bicycle"]')
    assert read_class_file(path)[1] == (ClassPrompt(("red car",)), ClassPrompt(("bike", "bicycle")))


def test_a_json_file_may_give_the_texts_to_embed(tmp_path):
    path = tmp_path / "rooms.json"
    entries = {
        "sofa": ["couch", "sofa"],
        "Wild Bird": {"phrases": ["bird"], "descriptions": ["An animal with feathers."]},
        "dog": [],
    }
    path.write_text(json.dumps(entries))
    classes, prompts = read_class_file(path)
    assert classes == ("sofa", "Wild Bird", "dog")
    assert prompts == (
        ClassPrompt(("sofa", "couch")),
        ClassPrompt(("bird",), ("An animal with feathers.",)),
        ClassPrompt(("dog",)),
    )


def test_a_text_file_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "notepad.txt"
    path.write_bytes("dog\r\ncat\r\n".encode("utf-8-sig"))
    assert read_class_file(path)[0] == ("dog", "cat")


def test_a_json_file_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "notepad.json"
    path.write_bytes('["dog", "cat"]'.encode("utf-8-sig"))
    assert read_class_file(path)[0] == ("dog", "cat")


def test_a_json_file_that_is_not_utf_8_is_named(tmp_path):
    path = tmp_path / "latin.json"
    path.write_bytes('["Möwe"]'.encode("latin-1"))
    with pytest.raises(UserError, match=r"latin\.json': not valid JSON .*utf-8"):
        read_class_file(path)


def test_a_text_file_that_is_not_utf_8_is_named(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("Möwe\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"latin\.txt': not valid UTF-8 .*; save it as UTF-8"):
        read_class_file(path)


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.txt", "dog\ncat\ndog\n", "class 'dog' appears twice"),
        ("a.txt", "# nothing\n", "at least one class"),
        ("a.json", "{", "not valid JSON"),
        ("a.json", "3", "expected a JSON list or object"),
        ("a.json", '["dog", 3]', "expected class names, got 3"),
        ("a.json", '{"dog": "hound"}', "class 'dog': expected 'synonyms' to be a list of texts"),
        ("a.json", '{"dog": {"synonym": ["hound"]}}', "class 'dog': unknown key 'synonym'"),
    ],
)
def test_a_bad_class_file_is_named(tmp_path, name, text, match):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError, match=match) as error:
        read_class_file(path)
    assert str(path) in str(error.value)


def test_a_missing_class_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.txt': no such file"):
        read_class_file(tmp_path / "no.txt")


def test_synonyms_are_added_to_their_classes(tmp_path):
    path = tmp_path / "more.json"
    path.write_text('{"tv": ["television"], "cat": {"descriptions": ["A small feline."]}}')
    classes = ("cat", "tv", "dog")
    assert add_synonyms(classes, default_prompts(classes), read_synonyms(path)) == (
        ClassPrompt(("cat",), ("A small feline.",)),
        ClassPrompt(("tv", "television")),
        ClassPrompt(("dog",)),
    )


def test_synonyms_of_an_unknown_class_are_refused():
    with pytest.raises(UserError, match=r"synonyms are given for 'dgo', which is not among the 1 classes"):
        add_synonyms(("dog",), default_prompts(("dog",)), {"dgo": {"synonyms": ("hound",)}})


def test_a_list_of_synonyms_is_refused(tmp_path):
    path = tmp_path / "more.json"
    path.write_text('["television"]')
    with pytest.raises(UserError, match=r"expected an object \{class name"):
        read_synonyms(path)
