"""``predict`` with strange images, words, checkpoints, addresses and output folders: a sentence and an exit code, or an
answer."""

import io
import json
import os
import pickle
import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmdataseg.apis import cli
from mmdataseg.apis.images import decoding, inputs
from mmdataseg.checkpoints import addresses

GOOD = "data/toy/toy_open/val"


@pytest.fixture
def here(world: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(world)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def predict(out: Path, images: str | Path, *words: str, checkpoint: str | Path = "trained.pth") -> int:
    """Run the command and return its exit code."""
    try:
        cli.main(["predict", str(checkpoint), str(images), "--device", "cpu", "--out", str(out), *words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def photo(height: int = 40, width: int = 64, *, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))


def save(path: Path, image: Image.Image, **options: object) -> None:
    image.save(path, **options)


def header_only(path: Path, height: int, width: int) -> None:
    """Write a PNG that says how large it is, with one row of pixels."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(3 * width + 1))),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


# ---- images that are left out

UNREADABLE = {
    "empty.jpg": (lambda path: path.write_bytes(b""), "the file is empty; replace it"),
    "text.png": (lambda path: path.write_text("<html>not found</html>"), "cannot be read as an image: no known format"),
    "cut.jpg": (lambda path: path.write_bytes(jpeg()[:-200]), "the file is cut short; copy or download it again"),
    "huge.png": (lambda path: header_only(path, 20_000, 20_000), "more than 100000000 pixels"),
    "large.png": (lambda path: header_only(path, 11_000, 11_000), "11000 x 11000 pixels .*, the limit is 100000000"),
    "line.png": (lambda path: save(path, photo(1, 300)), "1 x 300 pixels .* is too thin to be resized for this model"),
    "floats.tif": (lambda path: save(path, photo().convert("F")), "floats of an unknown range; save it with 8 bits"),
}


def jpeg() -> bytes:
    content = io.BytesIO()
    photo().save(content, format="JPEG")
    return content.getvalue()


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_image_that_cannot_be_used_is_left_out_with_the_reason(here, capsys, name) -> None:
    write, reason = UNREADABLE[name]
    (here / "in").mkdir()
    write(here / "in" / name)
    save(here / "in/good.png", photo())
    assert predict(here / "out", here / "in") == 1
    said = capsys.readouterr().err
    assert "error: 1 image was left out:" in said
    assert re.search(f"{name}': .*{reason}", said)
    images = json.loads((here / "out/semantic.json").read_text())["images"]
    assert [image["file_name"] for image in images] == ["good.png"]


def test_if_no_image_can_be_used_nothing_is_said_about_the_model(here, capsys) -> None:
    """Not that nothing was found, which would ask for a lower threshold or a longer training."""
    (here / "in").mkdir()
    for name in ("empty.jpg", "text.png"):
        UNREADABLE[name][0](here / "in" / name)
    save(here / "in/line.png", photo(3000, 2))
    assert predict(here / "out", here / "in") == 1
    said = capsys.readouterr()
    assert "0 images in " in said.out
    assert "found" not in said.out
    assert "error: 3 images were left out:" in said.err
    assert "line.png': 3000 x 2 pixels (height x width) is too thin to be resized for this model; crop it" in said.err
    assert "written" not in said.out


# ---- images that are read

READABLE = {
    "one.png": (lambda path: save(path, photo(1, 1)), (1, 1)),
    "turned.jpg": (lambda path: save(path, photo(), exif=turned()), (64, 40)),
    "cmyk.jpg": (lambda path: save(path, photo().convert("CMYK")), (40, 64)),
    "deep.png": (lambda path: save(path, Image.fromarray(np.full((40, 64), 40_000, np.uint16))), (40, 64)),
    "moving.gif": (
        lambda path: save(path, photo(), save_all=True, append_images=[photo(seed=1), photo(seed=2)]),
        (40, 64),
    ),
    "moved.webp": (
        lambda path: save(path, photo(), save_all=True, append_images=[photo(seed=1), photo(seed=2)]),
        (40, 64),
    ),
    "палитра 😀.png": (lambda path: save(path, photo().convert("P")), (40, 64)),
}


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def test_strange_images_are_read_in_the_size_in_which_they_are_shown(here, monkeypatch) -> None:
    said: list[str] = []
    # mmengine silences the handlers of pytest
    monkeypatch.setattr(decoding.logger, "warning", lambda message, *values: said.append(message % values))
    (here / "in").mkdir()
    for name, (write, _) in READABLE.items():
        write(here / "in" / name)
    assert predict(here / "out", here / "in", "--tasks", "semantic", "panoptic", "instance") == 0
    for file in ("semantic.json", "panoptic.json", "instances.json"):
        images = json.loads((here / "out" / file).read_text())["images"]
        sizes = {image["file_name"]: (image["height"], image["width"]) for image in images}
        assert sizes == {name: size for name, (_, size) in READABLE.items()}
    assert sorted(said) == [
        f"'{here / 'in' / name}' has 3 frames; the first one is used" for name in ("moved.webp", "moving.gif")
    ]


def test_a_raised_limit_lets_a_large_image_in(here, monkeypatch) -> None:
    """Pillow has a limit of its own, about 179 million pixels; here, 800 for reading."""
    save(here / "large.png", photo())

    def limited(*_: object) -> Image.Image:
        raise Image.DecompressionBombError

    monkeypatch.setattr(decoding.Image, "open", limited)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    words = ["--save", "json", "--max-pixels"]
    assert predict(here / "out", here / "large.png", *words, "800") == 1
    assert predict(here / "out", here / "large.png", *words, "2559") == 1
    assert predict(here / "out", here / "large.png", *words, "2560") == 0


# ---- words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--things", ""], "error: a word of --things or --stuff is empty; leave it out"),
        (["--things", "car", "--stuff", " car"], "error: word 'car' appears twice in --things and --stuff; give it"),
        (["--things", *(f"w{i}" for i in range(5000)), "--tasks", "panoptic"], "panoptic ids tell 1000 classes apart"),
    ],
    ids=["empty", "twice", "5000 words as panoptic"],
)
def test_words_that_cannot_be_used(here, capsys, words, message) -> None:
    assert predict(here / "out", GOOD, *words) == 1
    assert message in capsys.readouterr().err
    assert not (here / "out").exists()


def test_words_without_a_word_are_a_wrong_command_line(here, capsys) -> None:
    assert predict(here / "out", GOOD, "--things") == 2
    assert "--things: expected at least one argument" in capsys.readouterr().err


def test_5000_words(here) -> None:
    words = [f"w{i}" for i in range(5000)]
    assert predict(here / "out", next(Path(GOOD).glob("*.*")), "--things", *words, "--tasks", "semantic") == 0
    assert len(json.loads((here / "out/semantic.json").read_text())["categories"]) == 5000


def test_emoji_and_words_from_right_to_left(here) -> None:
    words = ["car 🚗", "سيارة حمراء", "כלב", "a\u0301rbol"]
    image = next(Path(GOOD).glob("*.*"))
    saves = ["--save", "pictures", "coco", "masks", "json", "csv"]
    assert predict(here / "out", image, "--things", *words, "--tasks", "panoptic", "instance", "semantic", *saves) == 0
    for file in ("panoptic.json", "instances.json", "semantic.json"):
        names = [category["name"] for category in json.loads((here / "out" / file).read_text())["categories"]]
        assert names == words


# ---- checkpoints


class Program:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


CHECKPOINTS = {
    "empty": (
        lambda path: path.write_bytes(b""),
        "is empty or was cut short; copy or download it",
    ),
    "page": (lambda path: path.write_text("<html>sign in</html>"), "is not a checkpoint, or was cut short"),
    "photo": (lambda path: save(path, photo(), format="PNG"), "is not a checkpoint, or was cut short"),
    "tensor": (lambda path: torch.save(torch.ones(3), path), "expected a checkpoint with tensors"),
    "program": (
        lambda path: torch.save({"state_dict": {"a": torch.ones(1)}, "meta": Program(path.parent / "ran")}, path),
        "its pickle calls .*system.*, which is code; nothing of it was run",
    ),
    "bare program": (
        lambda path: path.write_bytes(pickle.dumps(Program(path.parent / "ran"))),
        "its pickle calls .*system.*, which is code; nothing of it was run",
    ),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_that_cannot_be_used(here, capsys, name) -> None:
    write, message = CHECKPOINTS[name]
    write(here / "model.pth")
    assert predict(here / "out", GOOD, checkpoint=here / "model.pth") == 1
    said = capsys.readouterr().err
    assert re.search(f"error: .*{message}", said)
    assert not (here / "ran").exists()


# ---- addresses


@pytest.fixture
def silent(request) -> Iterator[str]:
    """The address of a server that accepts connections and says nothing, or one byte at a time for ever."""
    server = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        connections = []
        while not ended.is_set():
            try:
                connections.append(server.accept()[0])
            except OSError:
                return
            if request.param == "drips":
                threading.Thread(target=drip, args=(connections[-1],), daemon=True).start()

    def drip(connection: socket.socket) -> None:
        try:
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not ended.wait(0.1):
                connection.sendall(b"x")
        except OSError:
            pass

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}"
    ended.set()
    server.close()


@pytest.mark.parametrize("silent", ["hangs", "drips"], indirect=True)
def test_an_image_at_an_address_that_hangs_is_left_out(here, capsys, monkeypatch, silent) -> None:
    monkeypatch.setattr(inputs, "_SECONDS", 1)
    monkeypatch.setattr(inputs, "_SECONDS_IN_ALL", 2)
    start = time.monotonic()
    assert predict(here / "out", f"{silent}/a.jpg") == 1
    assert "a.jpg': cannot be fetched" in capsys.readouterr().err
    assert time.monotonic() - start < 60


@pytest.mark.parametrize("silent", ["hangs"], indirect=True)
def test_a_checkpoint_at_an_address_that_hangs_is_refused(here, capsys, monkeypatch, silent) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(here / "cache"))
    monkeypatch.setattr(addresses, "_SECONDS", 1)
    before = socket.getdefaulttimeout()
    assert predict(here / "out", GOOD, checkpoint=f"{silent}/model.pth") == 1
    assert "model.pth: cannot be reached" in capsys.readouterr().err
    assert socket.getdefaulttimeout() == before


# ---- output folders


def test_an_output_folder_below_a_file(here, capsys) -> None:
    (here / "file").write_text("")
    assert predict(here / "file/out", GOOD) == 1
    assert "error: '" in (said := capsys.readouterr().err)
    assert "cannot be written (Not a directory); give another --out" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("file", ["journal.jsonl", "pictures"])
def test_a_disk_that_is_full(here, capsys, monkeypatch, file) -> None:
    out = here / "out"
    out.mkdir()
    assert predict(out, GOOD) == 0
    (out / "journal.jsonl").unlink()
    if file == "journal.jsonl":
        (out / file).symlink_to("/dev/full")
    else:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("mmdataseg.apis.predict.files.write_png", full)
    capsys.readouterr()
    assert predict(out, GOOD) == 1
    said = capsys.readouterr().err
    assert "cannot be written (No space left on device); make room, then run the same command again" in said
