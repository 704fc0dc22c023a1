"""Several pictures on one sheet."""

import cv2
import numpy as np
import pytest

from tools import picture_sheet


def write(folder, *sizes):
    """One picture per (height, width), of grey value 60 times its number."""
    files = [folder / f"{number}.png" for number in range(len(sizes))]
    for number, (file, size) in enumerate(zip(files, sizes, strict=True)):
        cv2.imwrite(str(file), np.full((*size, 3), 60 * number, np.uint8))
    return files


def test_four_pictures_are_two_rows_of_two(tmp_path):
    sheet = picture_sheet.stack(write(tmp_path, *[(40, 100)] * 4), columns=2, width=1600)
    assert sheet.shape == (640, 1600, 3)
    assert [int(sheet[y, x, 0]) for y in (10, 630) for x in (10, 1590)] == [0, 60, 120, 180]


def test_pictures_of_several_sizes_keep_their_proportions(tmp_path):
    sheet = picture_sheet.stack(write(tmp_path, (40, 100), (100, 50), (30, 30)), columns=2, width=101)
    # columns of 50 and 51 pixels: rows of 102 (the second picture) and 50
    assert sheet.shape == (152, 101, 3)
    assert (sheet[:20, :50] == 0).all()
    assert (sheet[20:102, :50] == 255).all()
    assert (sheet[:102, 50:] == 60).all()
    assert (sheet[102:, :50] == 120).all()
    assert (sheet[102:, 50:] == 255).all()


def test_the_command_writes_the_sheet(tmp_path, capsys):
    files = write(tmp_path, (40, 100), (40, 100))
    picture_sheet.main([str(tmp_path / "images/sheet.webp"), *map(str, files), "--width", "200"])
    assert cv2.imread(str(tmp_path / "images/sheet.webp")).shape == (160, 200, 3)
    assert "sheet.webp" in capsys.readouterr().out


def test_a_missing_picture_is_named(tmp_path):
    files = write(tmp_path, (40, 100), (40, 100))
    files[1].unlink()
    with pytest.raises(FileNotFoundError, match=r"1\.png: no such picture"):
        picture_sheet.stack(files, columns=1, width=100)


@pytest.mark.parametrize("option", ["--columns", "--width"])
def test_sizes_below_one_are_refused(tmp_path, capsys, option):
    with pytest.raises(SystemExit) as stop:
        picture_sheet.parse_args([str(tmp_path / "out.png"), "a.png", option, "0"])
    assert stop.value.code == 2
    assert f"{option}: expected at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["demo", "photographs"])
def test_the_committed_pictures_are_small(repo_root, name):
    assert (repo_root / f"docs/images/{name}.webp").stat().st_size < 300_000
