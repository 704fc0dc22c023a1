"""Reads and writes PNG files of label maps and id maps, without changing their values."""

import re
from io import BytesIO
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

try:
    import pyspng
except ImportError:
    pyspng = None

from mmdataseg.errors import UserError
from mmdataseg.formats.paths import require_file
from mmdataseg.formats.whole_files import write_whole

_LOSSLESS = ("PNG", "TIFF", "BMP", "GIF", "PPM")
_PNG = b"\x89PNG\r\n\x1a\n"
_GREY = 0  # PNG's colour type
_SCALE = {2: 85, 4: 17}  # bits -> PIL's factor, which maps the largest value to 255
_ORIENTATION = 0x0112  # EXIF tag
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # TIFF tags
_WHITE_IS_ZERO = 0  # TIFF's photometric interpretation
# a netpbm header: kind, width, height, largest value, with comments between them
_NETPBM = re.compile(rb"P[2356]" + 3 * rb"(?:\s|#[^\r\n]*[\r\n])+(\d+)")
_RGB_8 = bytes([8, 2])  # bit depth and colour type
_PLAIN = {b"IHDR", b"IDAT", b"IEND"}  # chunks without which there is no image, and nothing that changes it


def write_png(path: Path, array: np.ndarray) -> None:
    """Write (H, W) uint8 or uint16, or (H, W, 3) uint8 RGB, as a PNG, completely or not at all."""
    write_whole(path, encode_image(array))


def encode_image(array: np.ndarray, kind: str = "PNG") -> bytes:
    """Return the content of an image file.

    Args:
        array: (H, W) uint8 or uint16, (H, W, 3) uint8 RGB, or (H, W, 4) uint8 RGBA.
        kind: PIL's name of the format.
    """
    encoded = BytesIO()
    Image.fromarray(array).save(encoded, format=kind)
    return encoded.getvalue()


def read_png(path: Path, what: str, *, colours: bool = False) -> np.ndarray:
    """Read the values of a PNG as they are stored, (H, W) or (H, W, C), as `decode_png` does. Messages call the file
    ``what``.

    Raises:
        MissingFileError: The file is missing.
        UserError: The file cannot be decoded.
    """
    require_file(path, what)
    return decode_png(path.read_bytes(), path=path, what=what, remedy="download or unpack it again", colours=colours)


def decode_png(content: bytes, *, path: str | Path, what: str, remedy: str, colours: bool = False) -> np.ndarray:
    """Decode a PNG, or another lossless image, to the stored values.

    PIL keeps palette indices and 16 bits, while OpenCV expands palettes to colours. PIL scales greys of 1, 2 and 4 bits
    and netpbm's values, whatever their largest value is, to 0 .. 255 or 0 .. 65535. This is undone here. Where a pixel
    has one bit, white is 1. An EXIF orientation is applied, as it is to images (see `LoadImage`).

    If pyspng is installed, it decodes plain RGB files, such as panoptic PNGs, in less time and to the same values.

    Args:
        content: Content of the file.
        path: Path of the file, for messages.
        what: Description of the file, for messages.
        remedy: What to do, for messages.
        colours: The values are colours. Compressors store images of few colours with a palette; it is converted to
            RGB.

    Returns:
        (H, W) unsigned integers, or (H, W, C) uint8.

    Raises:
        UserError: The file cannot be decoded; its format is lossy, like JPEG; it is a TIFF in which the value 0 is
            white, which programs read in two ways; or a value is not an integer of at least 0.
    """
    values = _plain_rgb(content)
    if values is not None:
        return values
    try:
        with Image.open(BytesIO(content)) as image:
            if image.format not in _LOSSLESS:
                raise UserError(
                    f"this {what} is saved as {image.format}, which changes values; expected a PNG",
                    file=path,
                    remedy="create it again as a PNG: a conversion cannot restore the values",
                )
            factor = _factor(image, content, path, what)
            turned = ImageOps.exif_transpose(image) if image.getexif().get(_ORIENTATION, 1) != 1 else image
            values = np.asarray(turned.convert("RGB") if colours and turned.mode == "P" else turned)
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise _too_large(what, path) from None
    except Exception as error:  # a damaged file can raise any error in PIL
        # the message of an UnidentifiedImageError has a memory address
        why = "not an image" if isinstance(error, UnidentifiedImageError) else error
        raise UserError(f"cannot decode this {what} ({why})", file=path, remedy=remedy) from None
    return _stored_values(content, values, factor, path, what)


def _plain_rgb(content: bytes) -> np.ndarray | None:
    """Decode an RGB file of 8 bits by pyspng. Return None for all others, and for damaged files, which PIL explains."""
    if pyspng is None or not content.startswith(_PNG) or content[24:26] != _RGB_8:
        return None
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    if width * height > (Image.MAX_IMAGE_PIXELS or 0) or not _is_plain(content):
        return None
    try:
        return pyspng.load(content)
    except Exception:  # pyspng raises a RuntimeError for whatever is wrong
        return None


def _is_plain(content: bytes) -> bool:
    """Return whether a PNG has only `_PLAIN` chunks, all of them with the right checksum, which pyspng ignores."""
    start, kind = len(_PNG), b""
    while kind != b"IEND":
        end = start + 8 + int.from_bytes(content[start : start + 4], "big")
        kind = content[start + 4 : start + 8]
        if kind not in _PLAIN or content[end : end + 4] != crc32(content[start + 4 : end]).to_bytes(4, "big"):
            return False
        start = end + 4
    return True


def _too_large(what: str, path: str | Path) -> UserError:
    limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)  # PIL warns at this constant, and refuses twice as many
    return UserError(
        f"this {what} has more than the {limit} pixels that PIL opens",
        file=path,
        remedy="cut the image and its annotations into smaller parts",
    )


def _factor(image: Image.Image, content: bytes, path: str | Path, what: str) -> float:
    """Return the factor by which PIL multiplies the stored values of an open image."""
    if image.format == "PNG" and content[25] == _GREY:
        return _SCALE.get(content[24], 1)
    if image.format == "TIFF" and image.mode == "L":
        tags = image.tag_v2  # type: ignore[attr-defined]
        if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            raise UserError(
                f"this {what} is a TIFF in which 0 is white (WhiteIsZero); some programs invert its values",
                file=path,
                remedy="save it as a PNG, and check that its values are those of the classes",
            )
        return _SCALE.get(tags.get(_BITS_PER_SAMPLE, (8,))[0], 1)
    header = _NETPBM.match(content) if image.format == "PPM" else None
    if header is None:
        return 1
    largest = int(header[3])
    return (255 if largest < 256 else 65535) / largest


def _stored_values(content: bytes, values: np.ndarray, factor: float, path: str | Path, what: str) -> np.ndarray:
    """Return the stored values, also where PIL returns others."""
    if values.dtype == bool:
        return values.astype(np.uint8)
    if values.dtype.kind not in "iu" or (values.dtype.kind == "i" and values.size and int(values.min()) < 0):
        found = f"{values.dtype} values" if values.dtype.kind not in "iu" else f"a value of {int(values.min())}"
        raise UserError(f"this {what} has {found}; expected integers of at least 0", file=path, remedy="convert it")
    if content.startswith(_PNG):
        if content[24] == 16 and values.ndim == 3:
            raise UserError(
                f"this {what} has 16-bit colours, but only 8-bit colours are supported",
                file=path,
                remedy="save it with 8 bits",
            )
    return values if factor == 1 else np.rint(values / factor).astype(values.dtype)


def orientation(file: Path | BytesIO) -> int:
    """Return the EXIF orientation of an image, 1 to 8. It is 1 (upright) if the image has none or cannot be read."""
    try:
        with Image.open(file) as image:
            return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # as in `decode_png`; the transform that loads the image reports the error
        return 1


def image_size(path: Path) -> tuple[int, int]:
    """Return height and width of an image in pixels, from its header.

    Raises:
        MissingFileError: The file is missing.
        UserError: The file is not an image.
    """
    require_file(path, "image")
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except Image.DecompressionBombError:
        raise _too_large("image", path) from None
    except Exception as error:  # a damaged file can raise any error in PIL
        raise UserError(f"not an image ({error})", file=path, remedy="download or unpack it again") from None


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
            f"has {size[0]} x {size[1]} pixels (height x width), but '{other}' has {expected[0]} x {expected[1]}",
            file=path,
            remedy="use both from the same release",
        )
