"""Label maps of every bit depth are read as they are stored; lossy formats and non-integers are refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mmdataseg.errors import UserError
from mmdataseg.formats import png
from mmdataseg.formats.png import decode_png, image_size, orientation


def chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def grey_png(values, depth, colour=0):
    """A PNG of 1, 2, 4, 8 or 16 bits, which PIL itself cannot write."""
    rows = b""
    for row in values:
        bits = "".join(format(value, f"0{depth}b") for value in row)
        bits += "0" * (-len(bits) % 8)
        rows += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    head = struct.pack(">IIBBBBB", len(values[0]), len(values), depth, colour, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(range(3 * 2**depth))) if colour == 3 else b""
    parts = chunk(b"IHDR", head), palette, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def saved(array, kind, **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, format=kind, **options)
    return file.getvalue()


def damaged(content, kind, rng):
    """The content, cut short, with one other byte, or with more after its end."""
    changed = bytearray(content)
    if kind == "cut":
        return content[: rng.integers(len(content))]
    if kind == "longer":
        return content + bytes(10)
    changed[rng.integers(len(content))] = rng.integers(256)
    return bytes(changed)


@pytest.mark.skipif(png.pyspng is None, reason="pyspng is not installed (pip install 'mmdataseg[fast]')")
@pytest.mark.parametrize("kind", ["whole", "longer", "cut", "other byte"])
def test_pyspng_gives_the_values_of_pil_or_leaves_the_file_to_it(kind, monkeypatch):
    rng = np.random.default_rng(0)
    read = 0
    for _ in range(300):
        values = rng.integers(0, 4, (*rng.integers(1, 30, 2), 3), dtype=np.uint8) * 60
        content = saved(values, "PNG")
        content = content if kind == "whole" else damaged(content, kind, rng)
        with monkeypatch.context() as context:
            fast = png._plain_rgb(content)
            context.setattr(png, "pyspng", None)
            if fast is not None:
                read += 1
                assert fast.tolist() == decode(content).tolist() == values.tolist()
    assert (read > 0) == (kind != "cut")
    assert kind not in ("whole", "longer") or read == 300


@pytest.mark.skipif(png.pyspng is None, reason="pyspng is not installed (pip install 'mmdataseg[fast]')")
def test_pyspng_reads_only_plain_rgb():
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = np.zeros((3, 4, 3), np.uint8)
    assert png._plain_rgb(saved(plain, "PNG")).shape == plain.shape
    others = saved(plain, "PNG", exif=exif), saved(plain[..., 0], "PNG"), saved(plain[..., [0, 1, 2, 2]], "PNG")
    assert [png._plain_rgb(content) for content in (*others, saved(plain, "BMP"), b"")] == [None] * 5


def decode(content):
    return decode_png(content, path="a.png", what="annotation", remedy="replace the file")


@pytest.mark.parametrize(("depth", "colour"), [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (1, 3), (2, 3), (4, 3)])
def test_each_depth_gives_the_values_stored(depth, colour):
    values = [[0, 1, 2**depth - 1], [1, 0, 2 ** (depth - 1)]]
    found = decode(grey_png(values, depth, colour))
    assert found.dtype.kind == "u"
    assert found.tolist() == values


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_lossless_formats_are_read(kind):
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert decode(saved(values, kind)).tolist() == values.tolist()


@pytest.mark.parametrize(
    ("head", "largest", "dtype"),
    [
        (b"P5\n4 3\n20\n", 20, ">u1"),
        (b"P5 # classes\n4\t3\n# the largest one\n1000\n", 1000, ">u2"),
        (b"P5 4 3 255\n", 255, ">u1"),
        (b"P5 4 3 65535\n", 65535, ">u2"),
    ],
)
def test_netpbm_values_are_read_as_stored_whatever_their_largest_value(head, largest, dtype):
    values = np.linspace(0, largest, 12).round().reshape(3, 4).astype(dtype)
    assert decode(head + values.tobytes()).tolist() == values.tolist()


def grey_tiff(values, depth, photometric=1):
    """An uncompressed TIFF with one strip. PIL and tifffile write no such depths."""
    bits = np.unpackbits(np.asarray(values, np.uint8)[..., None], axis=2)[..., 8 - depth :]
    data = np.packbits(bits.reshape(len(values), -1), axis=1).tobytes()
    height, width = np.shape(values)
    tags = {256: width, 257: height, 258: depth, 259: 1, 262: photometric, 277: 1, 278: height, 279: len(data)}
    tags[273] = 8 + 2 + 12 * (len(tags) + 1) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + data


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_each_depth_of_a_tiff_gives_the_values_stored(depth):
    values = [[0, 1, 2**depth - 1], [1, 0, 2 ** (depth - 1)]]
    assert decode(grey_tiff(values, depth)).tolist() == values


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (grey_tiff([[0, 1, 2]], 8, photometric=0), "a TIFF in which 0 is white (.*); some programs invert its values"),
        (grey_tiff([[0, 1, 2]], 4, photometric=0), "a TIFF in which 0 is white"),
        (saved(np.ones((4, 4), np.float32), "TIFF"), "'a.png': this annotation has float32 values; expected integers"),
        (saved(np.full((4, 4), -1, np.int32), "TIFF"), "has a value of -1; expected integers of at least 0"),
        (saved(np.ones((4, 4), np.uint8), "JPEG"), "saved as JPEG, which changes values; expected a PNG; create it"),
        (saved(np.ones((4, 4, 3), np.uint8), "WEBP"), "saved as WEBP"),
        (b"nothing", "cannot decode this annotation .not an image.; replace the file"),
    ],
)
def test_what_holds_no_labels_is_refused(content, match):
    with pytest.raises(UserError, match=match):
        decode(content)


def test_more_pixels_than_pil_opens_are_refused(tmp_path):
    """A file of 100 bytes can ask for gigabytes: PIL stops above 179 million pixels."""
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(bytes(9))), chunk(b"IEND", b"")
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    for what, read in (("annotation", lambda: decode(path.read_bytes())), ("image", lambda: image_size(path))):
        with pytest.raises(
            UserError,
            match=rf"a\.png': this {what} has more than the 178956970 pixels that PIL opens; cut the image and",
        ):
            read()
    assert orientation(path) == 1


def test_an_orientation_turns_a_map_as_it_turns_an_image(tmp_path):
    import cv2

    values = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        content = saved(values, "PNG", exif=exif)
        (tmp_path / "a.png").write_bytes(content)
        assert orientation(tmp_path / "a.png") == turn
        jpeg = saved(np.repeat(np.repeat(values, 8, 0), 8, 1), "JPEG", exif=exif, quality=100)
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[4::8, 4::8, 0]
        assert np.abs(decode(content).astype(int) - image).max() < 8
    (tmp_path / "b.png").write_bytes(b"nothing")
    assert orientation(tmp_path / "b.png") == 1
