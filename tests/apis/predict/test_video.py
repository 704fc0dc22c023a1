"""Videos on a disk that gets full: a sentence, and the frames that were written."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmdataseg.apis.images.inputs import Video
from mmdataseg.apis.predict.video import RESERVE, VideoFile
from mmdataseg.errors import UserError

SIZE = (64, 96)


def frame(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (*SIZE, 3), np.uint8)


def start(folder: Path) -> VideoFile:
    return VideoFile(Video(name="clip", fps=10), folder / "video/clip.mp4", SIZE)


def frames_in(path: Path) -> int:
    capture, number = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        number += 1
    return number


def room(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    """Let the disk be nearly full after some frames, and only for one frame."""
    free = iter([RESERVE] * frames + [RESERVE - 1] + [RESERVE] * 100)
    monkeypatch.setattr("mmdataseg.apis.predict.video.shutil.disk_usage", lambda _: SimpleNamespace(free=next(free)))


def test_a_video_has_all_frames(tmp_path: Path) -> None:
    video = start(tmp_path)
    for number in range(7):
        video.write(frame(number))
    assert not (tmp_path / "video/clip.mp4").exists()
    video.close()
    assert frames_in(tmp_path / "video/clip.mp4") == 7
    assert [path.name for path in (tmp_path / "video").iterdir()] == ["clip.mp4"]


def test_a_nearly_full_disk_ends_the_video_and_keeps_its_frames(tmp_path: Path, monkeypatch) -> None:
    room(monkeypatch, 3)
    video = start(tmp_path)
    for number in range(3):
        video.write(frame(number))
    for number in (3, 4):  # no later frame is written after one that is missing
        with pytest.raises(UserError, match=r"clip\.mp4': the disk has less than 32 MiB left; the video ends after 3 "):
            video.write(frame(number))
    video.close()
    assert frames_in(tmp_path / "video/clip.mp4") == 3


def test_a_video_without_a_frame_leaves_no_file(tmp_path: Path, monkeypatch) -> None:
    room(monkeypatch, 0)
    video = start(tmp_path)
    with pytest.raises(UserError, match="ends after 0 frames"):
        video.write(frame(0))
    video.close()
    assert not list((tmp_path / "video").iterdir())


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let every write beyond a size fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_frames_that_the_disk_did_not_take_are_missed(tmp_path: Path) -> None:
    video = start(tmp_path)
    with files_of_at_most(50_000):
        for number in range(60):
            video.write(frame(number))
        with pytest.raises(UserError, match=r"only \d+ of 60 frames were written; the disk may be full; make room"):
            video.close()


def test_the_command_ends_in_one_sentence(world: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    from mmdataseg.apis import cli

    monkeypatch.chdir(world)
    room(monkeypatch, 2)
    made = cv2.VideoWriter(str(tmp_path / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, SIZE[::-1])
    for number in range(5):
        made.write(frame(number))
    made.release()
    out = tmp_path / "out"
    words = ["predict", "trained.pth", str(tmp_path / "clip.mp4"), "--device", "cpu", "--out", str(out)]
    with pytest.raises(SystemExit) as end:
        cli.main([*words, "--save", "video"])
    assert end.value.code == 1
    said = capsys.readouterr()
    assert said.err.count("error:") == 1
    assert "the video ends after 2 frames; make room, then run the same command again: the video starts" in said.err
    assert frames_in(out / "video/clip.mp4") == 2
