"""The README's picture: four pictures of a test, stacked."""

import cv2
import numpy as np
import pytest

from projects.toy import demo_picture


@pytest.fixture
def pictures(tmp_path):
    for number, name in enumerate(demo_picture.NAMES):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((40, 100, 3), 60 * number, np.uint8))
    return tmp_path


def test_four_pictures_are_two_rows_of_two(pictures):
    sheet = demo_picture.stack(pictures)
    assert sheet.shape == (640, 1600, 3)
    assert [int(sheet[y, x, 0]) for y in (10, 630) for x in (10, 1590)] == [0, 60, 120, 180]


def test_the_command_writes_the_picture(pictures, capsys):
    demo_picture.main([str(pictures), str(pictures / "images/demo.webp")])
    assert cv2.imread(str(pictures / "images/demo.webp")).shape == (640, 1600, 3)
    assert "demo.webp" in capsys.readouterr().out


def test_a_missing_picture_is_named(pictures):
    (pictures / f"{demo_picture.NAMES[2]}.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"toy_boxes_instance_1\.png is missing; test dataseg_toy_3ds with"):
        demo_picture.stack(pictures)


def test_the_committed_picture_is_small(repo_root):
    assert (repo_root / "docs/images/demo.webp").stat().st_size < 300_000
