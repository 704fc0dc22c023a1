"""The task and the label space of a source."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from mmdataseg.errors import UserError


class Task(str, Enum):
    """The kind of segmentation to compute from the proposals (Gu et al., 2023, tasks)."""

    PANOPTIC = "panoptic"
    SEMANTIC = "semantic"
    INSTANCE = "instance"


@dataclass(frozen=True)
class LabelSpace:
    """The classes of a source, in the order of its labels.

    Args:
        name: Its name in messages and files, e.g. ``ade150``.
        classes: K names as the annotations spell them, without surrounding blanks; `mmdataseg.text.prompts` turns them
            into phrases for a text encoder.
        is_thing: K flags: True for a thing (one segment per object), False for stuff (one segment per class).

    Raises:
        UserError: There is no class; a name is empty or appears twice; there is not one flag per class; or the classes
            or the flags are not a list.
    """

    name: str
    classes: tuple[str, ...]
    is_thing: tuple[bool, ...]

    def __post_init__(self) -> None:
        if isinstance(self.classes, str):
            raise UserError(
                f"label space '{self.name}': expected a list of class names, got the string {self.classes!r}; "
                "put it into a list"
            )
        for key, values in {"classes": self.classes, "is_thing": self.is_thing}.items():
            if isinstance(values, Mapping) or not isinstance(values, Iterable):
                raise UserError(
                    f"label space '{self.name}': expected {key} to be a list with an entry for each class, got "
                    f"{values!r}; correct it"
                )
        classes = tuple(str(c).strip() for c in self.classes)
        is_thing = tuple(bool(t) for t in self.is_thing)
        if not classes:
            raise UserError(f"label space '{self.name}': expected at least one class, got none; name its classes")
        if "" in classes:
            raise UserError(f"label space '{self.name}': class {classes.index('')} has an empty name; name it")
        twice = sorted({c for c in classes if classes.count(c) > 1})
        if twice:
            raise UserError(
                f"label space '{self.name}': expected distinct class names, but these appear twice: {twice}; rename "
                "one of each"
            )
        if len(is_thing) != len(classes):
            raise UserError(
                f"label space '{self.name}': expected one is_thing flag for each of its {len(classes)} classes, "
                f"got {len(is_thing)}; give one for each"
            )
        object.__setattr__(self, "classes", classes)
        object.__setattr__(self, "is_thing", is_thing)

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def thing_classes(self) -> tuple[str, ...]:
        """The classes that are things, in the order of the labels."""
        return tuple(c for c, thing in zip(self.classes, self.is_thing, strict=True) if thing)

    @property
    def stuff_classes(self) -> tuple[str, ...]:
        """The classes that are stuff, in the order of the labels."""
        return tuple(c for c, thing in zip(self.classes, self.is_thing, strict=True) if not thing)

    @property
    def metainfo(self) -> dict[str, tuple[str, ...] | tuple[bool, ...]]:
        """The classes under the keys of mmdet's metainfo: ``classes``, ``thing_classes``, ``stuff_classes``; and
        ``is_thing``."""
        return {
            "classes": self.classes,
            "thing_classes": self.thing_classes,
            "stuff_classes": self.stuff_classes,
            "is_thing": self.is_thing,
        }

    def mergeable(self, task: Task) -> tuple[bool, ...]:
        """Return which classes are one region per image (Gu et al., 2023, MERGE).

        Args:
            task: The kind of segmentation.

        Returns:
            K flags: all classes for semantic, stuff for panoptic, none for instance.

        Raises:
            ValueError: The task is unknown.
        """
        task = Task(task)  # a task from a file is a string
        if task is Task.PANOPTIC:
            return tuple(not thing for thing in self.is_thing)
        return (task is Task.SEMANTIC,) * len(self)

    def index(self, names: Sequence[str]) -> list[int]:
        """Return the labels of the given class names, in their order.

        Args:
            names: Class names; leading and trailing blanks do not matter.

        Raises:
            UserError: A name is not in the label space.
        """
        position = {c: i for i, c in enumerate(self.classes)}
        unknown = [n for n in names if n.strip() not in position]
        if unknown:
            raise UserError(f"label space '{self.name}' has no class {unknown[0]!r}; spell it as the label space does")
        return [position[n.strip()] for n in names]
