"""Make Pascal Context's label PNGs with 459 and 59 classes from its ``.mat`` files.

    python tools/dataset_converters/pascal_context.py                           # validation images, both vocabularies
    python tools/dataset_converters/pascal_context.py --split train --classes 59

Reads ``<name>.mat`` (LabelMap, values 1 to 459) under --mats, and the names of the split from VOC 2010's
``ImageSets/Main/<split>.txt`` under --root: 4,998 train and 5,105 val, the split that is commonly reported. Writes
``SegmentationClassContext459/*.png`` (16 bits) and ``SegmentationClassContext/*.png`` (8 bits: 59 classes by name, all
others unlabelled) under --root, 0 = unlabelled and class k as k + 1 in both, and
``ImageSets/SegmentationContext/<split>.txt``, which the source configs read.

mmsegmentation's converter writes the same 59-class PNGs to the same folder; they need no conversion.

An interrupted run continues where it stopped; a second run does nothing.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from mmdataseg.apis.parsers import Parser
from mmdataseg.errors import UserError
from mmdataseg.formats.paths import require_dir, require_file
from mmdataseg.formats.png import image_size, require_size, write_png
from mmdataseg.formats.text_files import read_lines
from mmdataseg.formats.whole_files import write_whole
from mmdataseg.progress import progress_bar
from mmdataseg.text.vocabularies import get_label_space

FOLDERS = {459: "SegmentationClassContext459", 59: "SegmentationClassContext"}


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--root", type=Path, default=Path("data/VOCdevkit/VOC2010"), help="(default: data/VOCdevkit/VOC2010)"
    )
    parser.add_argument(
        "--mats", type=Path, help="folder of the .mat files, 'trainval' of the archive (default: trainval under --root)"
    )
    parser.add_argument("--split", choices=("train", "val"), default="val", help="(default: val)")
    parser.add_argument(
        "--classes", type=int, nargs="+", choices=tuple(FOLDERS), default=tuple(FOLDERS), help="(default: both)"
    )
    return parser.parse_args(arguments)


def read_labels(path: Path) -> np.ndarray:
    """(H, W) uint16 labels of a ``.mat`` file: 0 = unlabelled, 1 to 459.

    Raises:
        MissingFileError: The file is missing.
        UserError: It cannot be read, or is not a label map.
    """
    require_file(path, "annotation of Pascal Context")
    try:
        content = loadmat(path, variable_names=["LabelMap"])
    except Exception as error:  # scipy's error depends on where the file is broken
        raise UserError(
            f"cannot be read ({type(error).__name__}: {error})",
            file=path,
            remedy="unpack trainval.tar.gz again",
        ) from None
    labels = content.get("LabelMap")
    if labels is None or labels.ndim != 2 or labels.dtype.kind not in "uif" or not labels.size:
        raise UserError(
            "has no matrix LabelMap of numbers", file=path, remedy="is it a file of Pascal Context's trainval.tar.gz?"
        )
    largest = len(get_label_space("pascal_context459"))
    if not (labels.min() >= 0 and labels.max() <= largest):  # not a number is neither
        raise UserError(
            f"labels {labels.min()} to {labels.max()}, expected 0 to {largest}",
            file=path,
            remedy="unpack it again",
        )
    return labels.astype(np.uint16)


def table_59() -> np.ndarray:
    """(460,) uint8: label of the 459 -> label of the 59, by name; 0 if it is not among the 59."""
    table = np.zeros(460, np.uint8)
    position = get_label_space("pascal_context459").index(get_label_space("pascal_context59").classes)
    table[np.array(position) + 1] = np.arange(1, len(position) + 1)
    return table


def convert(root: Path, mats: Path, split: str, classes: Sequence[int]) -> int:
    """Write the label PNGs that are missing.

    Returns:
        The number of images that were converted.
    """
    require_dir(mats, "folder of Pascal Context's .mat files")
    names = read_lines(require_file(root / f"ImageSets/Main/{split}.txt", "VOC 2010's list of names"))
    folders = {number: root / FOLDERS[number] for number in classes}
    there = {number: {path.stem for path in folder.glob("*.png")} for number, folder in folders.items()}
    todo = [name for name in names if any(name not in found for found in there.values())]
    table = table_59()
    for name in progress_bar(todo, desc=f"Pascal Context, {split}", unit="images", disable=not todo):
        labels = read_labels(mats / f"{name}.mat")
        picture = root / f"JPEGImages/{name}.jpg"
        require_size(mats / f"{name}.mat", labels.shape, image_size(picture), picture)
        for number, folder in folders.items():
            if name not in there[number]:
                write_png(folder / f"{name}.png", labels if number == 459 else table[labels])
    listing = root / f"ImageSets/SegmentationContext/{split}.txt"
    if not listing.is_file():
        write_whole(listing, "\n".join(names) + "\n")
    return len(todo)


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert, and report what was done."""
    args = parse_args(arguments)
    try:
        done = convert(args.root, args.mats or args.root / "trainval", args.split, args.classes)
    except (UserError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
    print(f"{args.root}: {f'images converted: {done}' if done else 'complete, nothing to do'}")


if __name__ == "__main__":
    main()
