"""What a user may give as images, and images of every strange kind."""

import logging
import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmdataseg.apis.images.decoding import UnreadableImageError, decode_image, from_array, from_pillow, from_tensor
from mmdataseg.apis.images.inputs import ImageInputs
from mmdataseg.apis.images.paths import check_paths, common_root, count_images, files_in
from mmdataseg.errors import MissingFileError, UserError

RED, GREEN = (200, 10, 30), (10, 180, 60)


def encoded(image, form="PNG", **options):
    buffer = BytesIO()
    image.save(buffer, format=form, **options)
    return buffer.getvalue()


def decode(content, **options):
    return decode_image(content, name="x", **options)


def two_colors(mode="RGB"):
    """3 x 2 pixels, red above green."""
    image = Image.new("RGB", (3, 2), RED)
    image.paste(GREEN, (0, 1, 3, 2))
    return image.convert(mode)


# ---- decoding


@pytest.mark.parametrize("form", ["PNG", "BMP", "WEBP", "TIFF", "JPEG2000", "PPM"])
def test_every_format_gives_the_same_pixels(form):
    options = {"lossless": True} if form == "WEBP" else {}
    found = decode(encoded(two_colors(), form, **options))
    assert found.tolist() == np.asarray(two_colors())[..., ::-1].tolist()
    assert found.dtype == np.uint8


def test_grey_and_palette_become_colour():
    for mode in ("L", "P", "1"):
        found = decode(encoded(two_colors(mode)))
        assert found[..., ::-1].tolist() == np.asarray(two_colors(mode).convert("RGB")).tolist()


def test_transparency_is_dropped():
    image = two_colors("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    assert (decode(encoded(image)) == decode(encoded(two_colors()))).all()


def test_16_bits_become_the_upper_8():
    deep = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    assert decode(encoded(Image.fromarray(deep)))[0].tolist() == [[v] * 3 for v in (0, 0, 1, 128, 255)]
    assert from_pillow(Image.fromarray(deep))[0].tolist() == [[v] * 3 for v in (0, 0, 1, 128, 255)]
    colour = np.full((2, 2, 3), 0x1234, np.uint16)
    assert (decode(cv2.imencode(".png", colour)[1].tobytes()) == 0x12).all()


def test_cmyk_is_read_as_its_colours():
    image = Image.new("RGB", (32, 32), RED).convert("CMYK")
    found = decode(encoded(image, "JPEG", quality=95))
    expected = np.array(image.convert("RGB").getpixel((0, 0)))[::-1]
    assert np.abs(found.astype(int) - expected).max() <= 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_image(orientation):
    image = Image.fromarray(np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3) * 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for form, tolerance in (("PNG", 0), ("JPEG", 12)):
        found = decode(encoded(image, form, exif=exif, **({"quality": 100, "subsampling": 0} if tolerance else {})))
        with Image.open(BytesIO(encoded(image, "PNG", exif=exif))) as file:
            expected = from_pillow(file)
        assert found.shape == expected.shape == ((6, 4, 3) if orientation > 4 else (4, 6, 3))
        assert np.abs(found.astype(int) - expected).max() <= tolerance


def test_of_an_animation_the_first_frame_is_taken_and_that_is_said(caplog):
    frames = [Image.new("RGB", (8, 8), color) for color in (RED, GREEN, GREEN)]
    for form in ("GIF", "WEBP"):
        caplog.clear()
        content = encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=100)
        with caplog.at_level(logging.WARNING):
            found = decode(content)
        assert np.abs(found.astype(int) - np.array(RED)[::-1]).max() < 12
        assert "'x' has" in caplog.text
        assert "frames; the first one is used" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "'x': the file is empty; replace it"),
        (b"no image", "'x': cannot be read as an image"),
        (encoded(two_colors())[:40], "'x': cannot be read as an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "'x': cannot be read as an image"),
    ],
)
def test_files_that_are_no_image(content, message):
    with pytest.raises(UnreadableImageError, match=message):
        decode(content)


def test_a_jpeg_that_was_cut_short():
    whole = encoded(Image.effect_noise((200, 200), 50), "JPEG")
    decode(whole)
    decode(whole + b"\0" * 100)
    with pytest.raises(UnreadableImageError, match="the file is cut short; copy or download it again"):
        decode(whole[: len(whole) // 2])


def test_too_many_pixels_are_refused_before_decoding(monkeypatch):
    content = encoded(Image.new("L", (300, 20)))
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(
        UnreadableImageError, match=r"20 x 300 pixels \(height x width\), the limit is 5999; make it sm"
    ):
        decode(content, max_pixels=5999)
    bomb = encoded(Image.new("1", (20000, 20000)))
    with pytest.raises(UnreadableImageError, match="100000000"):
        decode(bomb)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((6, 8, 3), np.float32, r"of uint8, got \(6, 8, 3\) of float32"),
        ((6, 8, 5), np.uint8, r"got \(6, 8, 5\) of uint8"),
        ((8,), np.uint8, r"got \(8,\) of uint8"),
        ((0, 8, 3), np.uint8, "0 x 8 pixels .*: there is no pixel"),
    ],
)
def test_an_array_that_is_no_image(shape, dtype, message):
    with pytest.raises(UnreadableImageError, match=message):
        from_array(np.zeros(shape, dtype), channels="rgb", name="x")


def test_the_order_of_colours_has_to_be_said():
    image = np.array([[[1, 2, 3]]], np.uint8)
    assert from_array(image, channels="bgr", name="x").tolist() == [[[1, 2, 3]]]
    assert from_array(image, channels="rgb", name="x").tolist() == [[[3, 2, 1]]]
    assert from_array(np.array([[7]], np.uint8), channels=None, name="x").tolist() == [[[7, 7, 7]]]
    for channels in (None, "RGB"):
        with pytest.raises(UserError, match=r"does not say the order of its colours, .*; give channels='rgb'"):
            from_array(image, channels=channels, name="x")


def test_tensors():
    tensor = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1)
    found = from_tensor(tensor, channels="rgb", name="x", max_pixels=9)
    assert found.tolist() == [[[255, 128, 0]]]
    with pytest.raises(UnreadableImageError, match=r"floats in 0 \.\. 1, got -1 \.\. 2; undo the normalisation"):
        from_tensor(3 * tensor - 1, channels="rgb", name="x", max_pixels=9)
    with pytest.raises(UnreadableImageError, match=r"expected a tensor \(3, H, W\), got \(1, 1, 3\)|\(2, 1, 3\)"):
        from_tensor(torch.zeros(2, 1, 3), channels="rgb", name="x", max_pixels=9)


def test_floats_of_unknown_range():
    with pytest.raises(UnreadableImageError, match="its pixels are floats of an unknown range; save it with 8 bits"):
        from_pillow(Image.new("F", (2, 2)))


# ---- finding


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for name in ("b.png", "a.JPG", "more/c.webp", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".txt"):
            (folder / name).write_text("no image")
        else:
            two_colors().save(folder / name, format="PNG")
    return folder


def names(given, **options):
    return [found.name for found in ImageInputs(**options)(given)]


def test_a_folder_at_all_depths(photos):
    assert names(photos) == names(str(photos)) == ["a.JPG", "b.png", "more/c.webp"]
    assert [file.name for file in files_in(photos)] == ["a.JPG", "b.png", "c.webp"]


def test_links_are_followed_and_loops_end(photos, tmp_path):
    (tmp_path / "else").mkdir()
    two_colors().save(tmp_path / "else/d.png")
    (photos / "more/link").symlink_to(tmp_path / "else")
    (photos / "more/loop").symlink_to(photos)
    (photos / "more/self").symlink_to(photos / "more")
    assert names(photos) == ["a.JPG", "b.png", "more/c.webp", "more/link/d.png"]


def test_patterns_files_and_lists_of_them(photos, monkeypatch):
    assert names(f"{photos}/*.png") == ["b.png"]
    assert names(f"{photos}/**/*.webp") == ["c.webp"]
    assert names([photos / "b.png", (photos / name for name in ("a.JPG", "more"))]) == ["b.png", "a.JPG", "c.webp"]
    monkeypatch.setenv("HOME", str(photos))
    assert names("~/b.png") == ["b.png"]
    (photos / "odd[1].png").write_bytes((photos / "b.png").read_bytes())
    assert names(photos / "odd[1].png") == ["odd[1].png"], "a file of that name comes before a pattern"


@pytest.mark.parametrize("given", ["absent", "absent/*.png", "empty"])
def test_nothing_found_is_an_error(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingFileError, match=r"does not exist|has no image in it"):
        names(given)


@pytest.mark.parametrize("given", [None, {"a": 1}, b"abc", 1.5, True, object()])
def test_what_is_no_image_at_all(given):
    with pytest.raises(UserError, match=f"a {type(given).__name__} is not an image; give a path"):
        names(given)


def test_batches_in_memory_are_numbered(photos):
    given = [np.zeros((2, 4, 4, 3), np.uint8), Image.open(photos / "b.png"), torch.zeros(3, 4, 4, dtype=torch.uint8)]
    found = list(ImageInputs(channels="rgb")(given))
    assert [one.name for one in found] == ["000000", "000001", "000002", "000003"]
    assert [one.load().shape for one in found] == [(4, 4, 3), (4, 4, 3), (2, 3, 3), (4, 4, 3)]
    assert found[2].path == str(photos / "b.png")


def test_a_file_that_may_not_be_read(photos, monkeypatch):
    (found,) = ImageInputs()(photos / "b.png")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(UnreadableImageError, match=r"b\.png': cannot be read \(Permission denied\)"):
        found.load()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def address(photos):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(photos)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_addresses(address, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    one, other, query = ImageInputs()([f"{address}/b.png", f"{address}/more/../more/c.webp", f"{address}/b.png?size=2"])
    assert one.load()[..., ::-1].tolist() == np.asarray(two_colors()).tolist()
    host = address.removeprefix("http://").replace(":", "_")
    assert [one.name, other.name] == [f"{host}/b.png", f"{host}/more/c.webp"]
    assert query.name not in (one.name, other.name)
    assert query.name.endswith(".png")
    (absent,) = ImageInputs()(f"{address}/absent.png")
    with pytest.raises(UnreadableImageError, match=r"absent\.png': cannot be fetched \(HTTP Error 404"):
        absent.load()
    with pytest.raises(UserError, match="expected an http:// or https:// address"):
        names("ftp://host/a.png")


def test_a_video_is_its_frames(tmp_path):
    path = tmp_path / "clips/a.mp4"
    path.parent.mkdir()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 12, (32, 16))
    for shade in (0, 100, 200):
        writer.write(np.full((16, 32, 3), shade, np.uint8))
    writer.release()
    found = list(ImageInputs()(path))
    assert [one.name for one in found] == ["a/000001", "a/000002", "a/000003"]
    assert {one.video.fps for one in found} == {12}
    assert len({one.video for one in found}) == 1
    shades = [one.load().mean() for one in found]
    assert np.abs(np.array(shades) - [0, 100, 200]).max() < 8
    assert names(path, root=tmp_path)[0] == "clips/a/000001"
    path.write_bytes(b"no video")
    (broken, camera) = ImageInputs()([path, 99])
    with pytest.raises(UnreadableImageError, match=r"a\.mp4': cannot be opened as a video; check the file"):
        broken.load()
    with pytest.raises(UnreadableImageError, match="camera 99': cannot be opened as a video"):
        camera.load()


# ---- paths alone


def test_paths_are_checked(photos):
    check_paths([str(photos), "https://host/a.png", f"{photos}/*.png", "0"])
    for absent in ("absent", "absent*.png"):
        with pytest.raises(MissingFileError, match=r"image or folder 'absent.*' does not exist"):
            check_paths([str(photos), absent])
    (photos / "empty").mkdir()
    with pytest.raises(MissingFileError, match=r"empty' has no image in it; expected files that end in \.jpg"):
        check_paths([str(photos / "empty")])


def test_names_are_relative_to_what_all_have_in_common(photos, tmp_path):
    (tmp_path / "other").mkdir()
    two_colors().save(tmp_path / "other/x.png")
    given = [str(photos), str(tmp_path / "other/x.png"), str(tmp_path / "other/../photos/more")]
    root = common_root(given)
    assert root == tmp_path
    photographs = ["photos/a.JPG", "photos/b.png", "photos/more/c.webp"]
    assert names(given, root=root) == [*photographs, "other/x.png", "photos/more/c.webp"]
    assert count_images(given) == 4, "an image that is named twice is one"
    assert common_root([str(photos)]) == photos
    assert common_root(["https://host/a.png"]) is None
    assert count_images([*given, "https://host/a.png"]) is None


def test_names_that_differ_in_the_suffix_alone_are_two_images(photos):
    os.link(photos / "b.png", photos / "b.jpg")
    assert count_images([str(photos)]) == 4
