"""Put pictures of a test or a prediction onto one sheet.

python tools/picture_sheet.py sheet.webp work_dirs/pictures/*.png --columns 2
"""

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from mmdataseg.apis.parsers import Parser

QUALITY = 80  # of WebP, 1 to 100


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    args = parse_args(argv)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    sheet = stack(args.pictures, columns=args.columns, width=args.width)
    if not cv2.imwrite(str(args.out), sheet, [cv2.IMWRITE_WEBP_QUALITY, QUALITY]):
        raise OSError(f"{args.out} could not be written")
    print(f"{args.out}: {args.out.stat().st_size / 1000:.0f} kB")


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="image to write, .webp or .png")
    parser.add_argument("pictures", type=Path, nargs="+", help="pictures, row by row")
    parser.add_argument("--columns", type=int, default=1, help="pictures per row (default: 1)")
    parser.add_argument("--width", type=int, default=1600, help="width of the sheet in pixels (default: 1600)")
    args = parser.parse_args(argv)
    for name in ("columns", "width"):
        if getattr(args, name) < 1:
            parser.error(f"--{name}: expected at least 1, got {getattr(args, name)}")
    return args


def stack(files: Sequence[Path], *, columns: int, width: int) -> np.ndarray:
    """Put pictures side by side in rows.

    All pictures get the same width and keep their proportions. A row is as high as its highest picture; what is left
    of it is white.

    Args:
        files: At least one picture, row by row.
        columns: Pictures per row.
        width: Width of the sheet in pixels.

    Returns:
        (H, width, 3) uint8, BGR.

    Raises:
        FileNotFoundError: A picture is missing, or is not an image.
    """
    edges = np.linspace(0, width, columns + 1).round().astype(int)
    rows = []
    for first in range(0, len(files), columns):
        pictures = [_read(file) for file in files[first : first + columns]]
        places = list(pairwise(edges))[: len(pictures)]
        sizes = [
            (right - left, round(picture.shape[0] * (right - left) / picture.shape[1]))
            for picture, (left, right) in zip(pictures, places, strict=True)
        ]
        row = np.full((max(height for _, height in sizes), width, 3), 255, np.uint8)
        for picture, (left, right), size in zip(pictures, places, sizes, strict=True):
            row[: size[1], left:right] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        rows.append(row)
    return np.concatenate(rows)


def _read(file: Path) -> np.ndarray:
    picture = cv2.imread(str(file))
    if picture is None:
        raise FileNotFoundError(f"{file}: no such picture; a test with --show-dir, or predict, writes pictures")
    return picture


if __name__ == "__main__":
    main()
