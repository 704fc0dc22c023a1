"""List the values in a folder of label maps, and write the part of a source that names them.

    python tools/label_values.py data/garden/labels/train
    python tools/label_values.py data/garden/labels/train --names lawn tree "gravel path" shed --things tree shed

The table on stderr has the number of maps with each value, and its share of all pixels. The lines on stdout go into
the source: `label_space`, and, if the values are not 0, 1, 2 ... in this order, `label_map` for its datasets. Without
--names, the classes are called "class 0" and so on, by value. docs/own_data.md: is 0 a class, or unlabelled?
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmdataseg.apis.parsers import Parser
from mmdataseg.apis.user_errors import user_errors
from mmdataseg.errors import MissingFileError, UserError
from mmdataseg.formats.paths import list_files, require_dir
from mmdataseg.formats.png import read_png
from mmdataseg.progress import progress_bar

_WHAT = "label map"
_MOST = 1000  # values; more are segment ids, or a photograph


@dataclass
class Values:
    """The values in label maps.

    Args:
        maps: Value -> number of label maps that have it.
        pixels: Value -> number of its pixels.
    """

    maps: Counter[int] = field(default_factory=Counter)
    pixels: Counter[int] = field(default_factory=Counter)

    def add(self, label_map: np.ndarray) -> None:
        """Count the values of a label map.

        Args:
            label_map: (H, W) unsigned integers.
        """
        values, counts = np.unique(label_map, return_counts=True)
        self.maps.update(values.tolist())
        self.pixels.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))


def read_values(folder: Path, suffix: str = ".png") -> Values:
    """Read all label maps in a folder, at any depth.

    Args:
        folder: The folder.
        suffix: Suffix of the label maps.

    Raises:
        MissingFileError: The folder is missing, or has no such file.
        UserError: A file is not a label map; or there are more values than classes can be.
    """
    require_dir(folder, "folder of label maps")
    names = sorted(list_files(folder, suffix))
    if not names:
        raise MissingFileError(f"no file in '{folder}' ends in {suffix}", remedy="give another folder, or --suffix")
    found = Values()
    for name in progress_bar(names, unit="maps"):
        path = folder / (name + suffix)
        label_map = read_png(path, _WHAT)
        if label_map.ndim != 2:
            raise UserError(
                "has colours; expected one channel of labels", file=path, remedy="give the PNGs with class numbers"
            )
        found.add(label_map)
        if len(found.maps) > _MOST:
            raise UserError(f"the maps up to this one have more than {_MOST} values, too many for classes", file=path)
    return found


def name_values(values: Sequence[int], names: Sequence[str]) -> dict[int, str]:
    """Give the values of classes their names.

    Args:
        values: The values, without that for unlabelled pixels, in increasing order.
        names: As many names, in this order; none: "class <value>".

    Raises:
        UserError: There are more or fewer names, or a name appears twice.
    """
    if not names:
        return {value: f"class {value}" for value in values}
    if len(names) != len(values):
        raise UserError(
            f"--names: expected {len(values)} names for the values {list(values)}, got {len(names)}",
            remedy="name each value once, in this order, or set --ignore",
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"--names: {twice[0]!r} appears twice", remedy="classes of a source need different names")
    return dict(zip(values, names, strict=True))


def table(found: Values, ignored: int) -> str:
    """Return a line for each value, as a Markdown table.

    Args:
        found: The values.
        ignored: The value of unlabelled pixels.
    """
    total = found.pixels.total()
    lines = ["| value | maps | share of the pixels |", "|---|---|---|"]
    for value in sorted(found.maps):
        note = " (unlabelled)" if value == ignored else ""
        lines.append(f"| {value}{note} | {found.maps[value]} | {100 * found.pixels[value] / total:.2f} % |")
    return "\n".join(lines)


def source_lines(names: dict[int, str], things: Sequence[str], *, vocabulary: str, ignored: int) -> str:
    """Return the lines of a source that name its classes.

    Args:
        names: Value -> name of its class.
        things: Names of the classes that can be counted.
        vocabulary: Name of the label space.
        ignored: The value of unlabelled pixels.

    Raises:
        UserError: A thing is not a class.
    """
    unknown = [name for name in things if name not in names.values()]
    if unknown:
        raise UserError(f"--things: {unknown[0]!r} is not among the classes {list(names.values())}")
    quoted = {value: json.dumps(name, ensure_ascii=False) for value, name in names.items()}  # double quotes
    classes = ", ".join(quoted.values())
    flags = ", ".join(str(name in things) for name in names.values())
    space = f"name={json.dumps(vocabulary)}, classes=[{classes}], is_thing=[{flags}]"
    lines = [f"label_space=dict({space}),"]
    options = [f"ignore_index={ignored}"] if ignored != 255 else []
    if list(names) != list(range(len(names))):
        entries = ", ".join(f"{value}: {name}" for value, name in quoted.items())
        options.append(f"label_map={{{entries}}}")
    if options:
        lines += ["# in the datasets of train and test:", f"{', '.join(options)},"]
    return "\n".join(lines)


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of label maps, at any depth")
    parser.add_argument(
        "--names", nargs="+", default=[], metavar="NAME", help="class names, in the order of the values"
    )
    parser.add_argument("--things", nargs="+", default=[], metavar="NAME", help="classes that can be counted")
    parser.add_argument("--vocabulary", default="my_classes", help="name of the label space (default: %(default)s)")
    parser.add_argument("--ignore", type=int, default=255, help="value of unlabelled pixels (default: %(default)s)")
    parser.add_argument("--suffix", default=".png", help="suffix of the label maps (default: %(default)s)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table and the lines.

    Raises:
        SystemExit: The user made a mistake; the message is on stderr.
    """
    options = parse_args(arguments)
    with user_errors():
        found = read_values(options.folder, options.suffix)
        print(table(found, options.ignore), file=sys.stderr)
        names = name_values([value for value in sorted(found.maps) if value != options.ignore], options.names)
        print(source_lines(names, options.things, vocabulary=options.vocabulary, ignored=options.ignore))


if __name__ == "__main__":
    main()
