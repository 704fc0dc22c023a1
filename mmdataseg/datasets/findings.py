"""Counts and problems found in the images of a source."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Findings:
    """The findings of one image, or the sum over many images.

    Args:
        images: Number of images read.
        classes: Label -> number of its segments or boxes.
        pixels: Number of pixels of the id maps, void ones included.
        void: Number of void pixels.
        crowd: Number of crowd regions. They are void in training.
        tiny: Number of boxes without masks that are less than a pixel wide or high. Training drops them.
        empty: Number of images without any target.
        vanished: Number of masks without a pixel. Training drops them.
        fractions: Number of these masks that are polygons with coordinates within 0 .. 1.
        turned: Number of images with an EXIF orientation.
        dark: Number of images that are nearly black.
        images_with: Label -> number of images in which it is annotated.
        in_pieces: Label -> number of images in which it has several segments.
        wide: Label -> number of images in which one of its segments covers more than a third.
        paths: Digest of an image's file -> its paths.
        problems: Messages with source and file.
        notes: Messages with the source, about what may be intended.
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
        """Add the findings of other images to these."""
        for name, more in vars(other).items():
            own = getattr(self, name)
            if isinstance(own, int):
                setattr(self, name, own + more)
            elif isinstance(own, Counter):
                own.update(more)
            elif isinstance(own, list):
                own.extend(more)
        for digest, paths in other.paths.items():
            self.paths.setdefault(digest, []).extend(paths)
