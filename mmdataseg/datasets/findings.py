"""What was found in the images of a source, summed up."""

from collections import Counter
from dataclasses import dataclass, field

_SUMS = ("images", "pixels", "void", "crowd", "tiny", "empty", "vanished", "fractions", "turned", "dark")
_COUNTS = ("classes", "images_with", "in_pieces", "wide")


@dataclass
class Findings:
    """What one image has, or the sum over many.

    Args:
        images: How many were read.
        classes: Segments or boxes of each label.
        pixels: Annotated and void pixels of id maps.
        void: Those that are void.
        crowd: Crowd regions: void for training.
        tiny: Boxes that no training sees, less than a pixel wide or high.
        empty: Images without any target.
        vanished: Masks without a pixel, which no training sees.
        fractions: Those of them that are polygons within 0 .. 1.
        turned: Images with an EXIF orientation.
        dark: Images that are nearly black.
        images_with: Images in which each label is annotated.
        in_pieces: Those in which it has several segments.
        wide: Those in which one of its segments covers more than a third.
        paths: Digest of an image's file -> its paths.
        problems: Messages, with source and file.
        notes: What may be meant as it is, with the source.
    """

    images: int = 0
    classes: Counter[int] = field(default_factory=Counter)
    pixels: int = 0
    void: int = 0
    crowd: int = 0
    tiny: int = 0
    empty: int = 0
    vanished: int = 0
    fractions: int = 0
    turned: int = 0
    dark: int = 0
    images_with: Counter[int] = field(default_factory=Counter)
    in_pieces: Counter[int] = field(default_factory=Counter)
    wide: Counter[int] = field(default_factory=Counter)
    paths: dict[bytes, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        """Add another one's figures to these."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _COUNTS:
            getattr(self, name).update(getattr(other, name))
        for digest, paths in other.paths.items():
            self.paths.setdefault(digest, []).extend(paths)
        self.problems += other.problems
        self.notes += other.notes
