"""Task, supervision and label space."""

import dataclasses

import pytest

from mmdataseg.errors import UserError
from mmdataseg.structures import LabelSpace, Task

SPACE = LabelSpace(name="four", classes=("cat", " dog ", "sky", "sea"), is_thing=(1, True, 0, False))


def test_surrounding_blanks_are_removed_and_flags_are_bools():
    assert SPACE.classes == ("cat", "dog", "sky", "sea")
    assert SPACE.is_thing == (True, True, False, False)
    assert len(SPACE) == 4
    assert SPACE.thing_classes == ("cat", "dog")
    assert SPACE.stuff_classes == ("sky", "sea")


def test_lists_give_the_same_label_space_as_tuples():
    same = LabelSpace(name="four", classes=["cat", "dog", "sky", "sea"], is_thing=[True, True, False, False])
    assert same == SPACE
    assert hash(same) == hash(SPACE)
    with pytest.raises(dataclasses.FrozenInstanceError):
        same.name = "other"


@pytest.mark.parametrize("kind", [Task, str])
def test_which_classes_are_mergeable_depends_on_the_task(kind):
    def merged(task):
        return SPACE.mergeable(task if kind is Task else task.value)

    assert merged(Task.SEMANTIC) == (True, True, True, True)
    assert merged(Task.PANOPTIC) == (False, False, True, True)
    assert merged(Task.INSTANCE) == (False, False, False, False)


def test_labels_are_found_by_class_names():
    assert SPACE.index(["sea", " cat"]) == [3, 0]
    assert SPACE.index([]) == []
    with pytest.raises(UserError, match="label space 'four' has no class 'cow'"):
        SPACE.index(["cat", "cow"])


@pytest.mark.parametrize(
    ("classes", "is_thing", "message"),
    [
        ((), (), "at least one class, got none"),
        (("cat", "  "), (True, True), "class 1 has an empty name"),
        (("cat", "dog", "cat "), (True,) * 3, r"these appear twice: \['cat'\]"),
        (("cat", "dog"), (True,), "one is_thing flag for each of its 2 classes, got 1"),
        ("cat", (True,) * 3, "expected a list of class names, got the string 'cat'"),
    ],
)
def test_bad_input_is_refused(classes, is_thing, message):
    with pytest.raises(UserError, match=f"label space 'bad': .*{message}"):
        LabelSpace(name="bad", classes=classes, is_thing=is_thing)


def test_an_unknown_task_is_refused():
    with pytest.raises(ValueError, match="'depth' is not a valid Task"):
        SPACE.mergeable("depth")
