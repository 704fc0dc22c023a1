"""PNG files as arrays: label maps and id maps, never converted on the way."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from mmdataseg.errors import UserError
from mmdataseg.formats.paths import require_file
from mmdataseg.formats.whole_files import write_whole


def write_png(path: Path, array: np.ndarray) -> None:
    """Write a PNG, whole or not at all.

    Args:
        path: Where to write.
        array: (H, W) uint8 or uint16, or (H, W, 3) uint8 RGB.
    """
    encoded = BytesIO()
    Image.fromarray(array).save(encoded, format="PNG")
    write_whole(path, encoded.getvalue())


def read_png(path: Path, what: str) -> np.ndarray:
    """Read the values of a PNG as they are stored.

    Args:
        path: The file.
        what: What it is, for messages.

    Returns:
        (H, W), or (H, W, C).

    Raises:
        FileNotFoundError: It is missing.
        UserError: It cannot be decoded.
    """
    require_file(path, what)
    return decode_png(path.read_bytes(), path=path, what=what, remedy="fetch or unpack it again")


def decode_png(content: bytes, *, path: str | Path, what: str, remedy: str) -> np.ndarray:
    """Decode a PNG to the values that are stored.

    PIL keeps palette indices and 16 bits, where OpenCV expands palettes to colours.

    Args:
        content: Of the file.
        path: Of the file, for messages.
        what: What it is, for messages.
        remedy: What to do, for messages.

    Returns:
        (H, W), or (H, W, C).

    Raises:
        UserError: It cannot be decoded.
    """
    try:
        with Image.open(BytesIO(content)) as image:
            return np.asarray(image)
    except (OSError, SyntaxError) as error:  # PIL raises SyntaxError for a broken PNG chunk
        why = "not an image" if isinstance(error, UnidentifiedImageError) else error  # that one names a memory address
        raise UserError(f"cannot decode this {what} ({why})", file=path, remedy=remedy) from None


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image in pixels, from its header.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: It is missing.
        UserError: It is not an image.
    """
    require_file(path, "image")
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except OSError as error:
        raise UserError(f"not an image ({error})", file=path, remedy="fetch or unpack it again") from None


def require_size(path: Path, size: tuple[int, ...], expected: tuple[int, ...], other: Path) -> None:
    """Check that an annotation has the size of its image.

    Args:
        path: The annotation.
        size: Its (H, W).
        expected: (H, W) of the image.
        other: The image.

    Raises:
        UserError: The sizes differ.
    """
    if tuple(size) != tuple(expected):
        raise UserError(
            f"has {size[0]} x {size[1]} pixels (height x width), '{other}' has {expected[0]} x {expected[1]}",
            file=path,
            remedy="take both from the same release",
        )
