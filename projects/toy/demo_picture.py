"""Stack pictures that a test of the toy leaf drew into the one that the README shows.

python -m projects.toy.demo_picture work_dirs/dataseg_toy_3ds/pictures docs/images/demo.webp
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

# the first picture of each: nothing is chosen by its looks
NAMES = ("toy_semantic_semantic_1", "toy_panoptic_panoptic_1", "toy_boxes_instance_1", "toy_open_panoptic_1")
WIDTH = 1600  # pixels
QUALITY = 80  # of WebP, 1 to 100


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    args = parse_args(argv)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(args.out), stack(args.pictures), [cv2.IMWRITE_WEBP_QUALITY, QUALITY]):
        raise OSError(f"{args.out} could not be written")
    print(f"{args.out}: {args.out.stat().st_size / 1000:.0f} kB")


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help="folder that the test was given as --show-dir")
    parser.add_argument("out", type=Path, help="image to write, .webp or .png")
    return parser.parse_args(argv)


def stack(folder: Path) -> np.ndarray:
    """Two rows of two pictures, `WIDTH` pixels wide.

    Args:
        folder: Of the pictures.

    Returns:
        (H, W, 3) uint8, BGR.

    Raises:
        FileNotFoundError: A picture is missing.
    """
    pictures = []
    for name in NAMES:
        picture = cv2.imread(str(folder / f"{name}.png"))
        if picture is None:
            raise FileNotFoundError(f"{folder / name}.png is missing; test dataseg_toy_3ds with --show-dir {folder}")
        pictures.append(picture)
    rows = [np.concatenate(pictures[first : first + 2], axis=1) for first in (0, 2)]
    sheet = np.concatenate(rows)
    height = round(sheet.shape[0] * WIDTH / sheet.shape[1])
    return cv2.resize(sheet, (WIDTH, height), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    main()
