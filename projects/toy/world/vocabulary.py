"""What exists in the toy world, and what each of its sources calls it.

A *kind* is a pair of words that decides how something is drawn: (colour, shape) for a thing, (pattern, material) for
stuff. A source's class is a name with the kinds it covers. The sources overlap only in part; a class of one may carry
more words than the same kind in another ('red disc', 'red round disc') or cover several of its classes ('sand':
'striped sand' and 'dotted sand').

Which source annotates which thing (S semantic maps, P panoptic segments, B boxes, O hold-out, . nowhere):

    =========  =====  =====  =====  ======  ======  =====
    shape      red    green  blue   yellow  purple  white
    =========  =====  =====  =====  ======  ======  =====
    disc       SP     PB     SPB    S       B       O
    square     O      SP     P      SPB     S       PB
    triangle   SP     O      S      PB      SPB     .
    cross      PB     S      O      P       P       B
    ring       B      B      P      O       B       PB
    star       B      S      B      B       O       S
    crescent   B      O      .      B       B       B
    =========  =====  =====  =====  ======  ======  =====

So rings and stars have masks in a few colours only, and crescents in none; all sources annotate squares, triangles and
discs. The hold-out has one thing of each shape, and stuff. Each of its words is known from training, but no other
source ever draws the combination.
"""

from dataclasses import dataclass

from mmdataseg.structures import LabelSpace

Kind = tuple[str, str]

COLOURS = ("red", "green", "blue", "yellow", "purple", "white")
SHAPES = ("disc", "square", "triangle", "cross", "ring", "star", "crescent")
PATTERNS = ("striped", "dotted", "checked", "wavy", "brick")
MATERIALS = ("sand", "grass", "water", "floor", "wall")


@dataclass(frozen=True, kw_only=True)
class ToySource:
    """One source of the toy world.

    Args:
        name: The name of the source, its folder, its label space and its file in ``configs/_base_/sources``.
        things: Class name -> the kinds of thing it covers.
        stuff: Class name -> the kinds of stuff it covers; empty if the source annotates things only.
        stuff_first: Whether stuff precedes things in the order of the labels, as in ADE20K, or follows, as in COCO.
        foreign_rate: Probability that a thing is of a kind that only other sources name. Such a thing is unlabelled:
            void in a map. A source of boxes has no void: such a thing would be trained as background, so the source
            draws only its own kinds.
        crowd_rate: Probability that an image has a crowd: a heap of small things of one kind under one annotation.
        void_rate: Probability that a patch of stuff was left unlabelled.
    """

    name: str
    things: dict[str, tuple[Kind, ...]]
    stuff: dict[str, tuple[Kind, ...]]
    stuff_first: bool = False
    foreign_rate: float = 0.0
    crowd_rate: float = 0.0
    void_rate: float = 0.0

    @property
    def classes(self) -> tuple[str, ...]:
        """All class names in the order of their labels."""
        return (*self.stuff, *self.things) if self.stuff_first else (*self.things, *self.stuff)

    @property
    def label_space(self) -> LabelSpace:
        """The classes as the rest of the package sees them."""
        return LabelSpace(name=self.name, classes=self.classes, is_thing=tuple(c in self.things for c in self.classes))

    @property
    def label_of(self) -> dict[Kind, int]:
        """Kind -> label, for the kinds that this source names."""
        kinds = self.things | self.stuff
        return {kind: label for label, name in enumerate(self.classes) for kind in kinds[name]}

    @property
    def thing_kinds(self) -> tuple[Kind, ...]:
        """The kinds of thing that this source names."""
        return tuple(kind for kinds in self.things.values() for kind in kinds)

    @property
    def stuff_kinds(self) -> tuple[Kind, ...]:
        """The kinds of stuff that this source names."""
        return tuple(kind for kinds in self.stuff.values() for kind in kinds)


def _things(kinds: str, **shape_words: str) -> dict[str, tuple[Kind, ...]]:
    """Classes of one kind each from a list such as 'red disc, blue star', with the source's own words for shapes."""
    pairs = [tuple(kind.split()) for kind in kinds.split(", ")]
    return {f"{colour} {shape_words.get(shape, shape)}": ((colour, shape),) for colour, shape in pairs}


def _stuff(*names: str) -> dict[str, tuple[Kind, ...]]:
    """Classes 'pattern material' of one kind each."""
    return {name: (tuple(name.split()),) for name in names}


TOY_SEMANTIC = ToySource(
    name="toy_semantic",
    things=_things(
        "red disc, blue disc, yellow disc, green square, yellow square, purple square, red triangle, blue triangle, "
        "purple triangle, green cross, green star, white star",
        disc="round disc",
        square="square tile",
    ),
    stuff=_stuff("striped sand", "dotted sand")
    | {"grass": (("dotted", "grass"), ("striped", "grass"))}
    | _stuff("wavy water", "checked floor"),
    stuff_first=True,
    foreign_rate=0.08,
    void_rate=0.1,
)

TOY_PANOPTIC = ToySource(
    name="toy_panoptic",
    things=_things(
        "red disc, green disc, blue disc, green square, blue square, yellow square, white square, red triangle, "
        "yellow triangle, purple triangle, red cross, yellow cross, purple cross, blue ring, white ring"
    ),
    stuff={"sand": (("striped", "sand"), ("dotted", "sand"))}
    | _stuff("dotted grass", "striped grass")
    | {"water": (("wavy", "water"),)}
    | _stuff("brick wall"),
    foreign_rate=0.08,
    crowd_rate=0.12,
    void_rate=0.25,
)

TOY_BOXES = ToySource(
    name="toy_boxes",
    things=_things(
        "green disc, blue disc, purple disc, yellow square, white square, yellow triangle, purple triangle, red cross, "
        "white cross, red ring, green ring, purple ring, white ring, red star, blue star, yellow star, red crescent, "
        "yellow crescent, purple crescent, white crescent",
        triangle="pointed triangle",
        cross="plus cross",
        ring="round ring",
        star="pointed star",
        crescent="crescent moon",
    ),
    stuff={},
    crowd_rate=0.08,
)

TOY_OPEN = ToySource(
    name="toy_open",
    things=_things("white disc, red square, green triangle, blue cross, yellow ring, purple star, green crescent"),
    stuff=_stuff("wavy sand", "checked grass", "dotted water", "striped floor"),
)

TRAINING_SOURCES = (TOY_SEMANTIC, TOY_PANOPTIC, TOY_BOXES)
TOY_SOURCES = {source.name: source for source in (*TRAINING_SOURCES, TOY_OPEN)}

TOY_MIXED = LabelSpace(
    name="toy_mixed",
    classes=(*TOY_PANOPTIC.classes, *TOY_OPEN.classes),
    is_thing=(*TOY_PANOPTIC.label_space.is_thing, *TOY_OPEN.label_space.is_thing),
)
"""Words that are trained on and words that are not, in one vocabulary."""

BOX_ONLY_CLASSES = (
    "purple disc",
    "white plus cross",
    "red round ring",
    "green round ring",
    "purple round ring",
    "red pointed star",
    "blue pointed star",
    "yellow pointed star",
    "red crescent moon",
    "yellow crescent moon",
    "purple crescent moon",
    "white crescent moon",
)
"""Classes of `TOY_BOXES` that no source annotates with masks: a model learns their masks from boxes and from other
classes."""


def drawn_stuff(source: ToySource) -> tuple[Kind, ...]:
    """The kinds of stuff in a source's images: its own or, if it annotates none, those of all training sources."""
    return source.stuff_kinds or tuple(dict.fromkeys(k for s in TRAINING_SOURCES for k in s.stuff_kinds))


def foreign_things(source: ToySource) -> tuple[Kind, ...]:
    """The kinds of thing that the training sources name and this one does not."""
    return tuple(dict.fromkeys(k for s in TRAINING_SOURCES for k in s.thing_kinds if k not in source.thing_kinds))
