import cv2
import numpy as np
import pytest

from mmdataseg.visualization.drawing import (
    Segment,
    class_color,
    draw_segments,
    palette,
    panel_size,
    resize,
    side_by_side,
)

GREY = np.full((32, 48, 3), 100, np.uint8)


def blob(top, left, bottom, right, shape=(32, 48)):
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize(
    ("size", "shown"),
    [((128, 128), (384, 384)), ((100, 50), (400, 200)), ((480, 640), (480, 640)), ((1536, 1024), (768, 512))],
)
def test_small_images_are_enlarged_by_a_whole_factor_and_large_ones_shrunk(size, shown):
    assert panel_size(*size) == shown


def test_a_segment_is_tinted_and_the_rest_is_left_alone():
    red = Segment(name="", color=(255, 0, 0), mask=blob(8, 8, 24, 24))
    picture = draw_segments(GREY, [red], size=(64, 96))
    assert picture.shape == (64, 96, 3)
    assert picture[22, 22].tolist() == [185, 45, 45]  # 0.45 * 100 + 0.55 * 255, 0.45 * 100
    assert (picture[:12] == 100).all()
    assert (picture[:, 60:] == 100).all()


def test_the_name_is_on_the_segment_even_on_a_ring():
    y, x = np.mgrid[:100, :100]
    radius = np.hypot(y - 50, x - 50)
    ring = (radius < 45) & (radius > 20)
    image = np.full((100, 100, 3), 100, np.uint8)
    named, bare = (
        draw_segments(image, [Segment(name=name, color=(255, 0, 0), mask=ring)], size=(400, 400))
        for name in ("ring", "")
    )
    changed = (named != bare).any(axis=2)
    assert changed.any()
    assert not changed[160:240, 160:240].any()  # not in the hole


def test_names_do_not_cover_each_other():
    """Two names for one place: the second moves, so that more dark ground of labels is seen than of one."""
    mask = blob(4, 4, 28, 44)
    size = (320, 480)

    def dark(*names):
        picture = draw_segments(GREY, [Segment(name=n, color=(255, 255, 255), mask=mask) for n in names], size=size)
        return int((picture.max(axis=2) < 90).sum())

    assert dark("", "") < 0.5 * dark("name", "")
    assert dark("name", "name") > 1.6 * dark("name", "")


def test_a_box_is_an_outline():
    picture = draw_segments(GREY, [Segment(name="", color=(0, 0, 255), box=(8.0, 10.0, 40.0, 30.0))], size=(64, 96))
    assert (picture[30:50, 25:70] == 100).all()
    assert (picture[20:22, 30:70] != 100).any(axis=2).all()


def test_a_mask_that_would_vanish_stays_and_an_empty_one_does_not_appear():
    lonely = draw_segments(GREY, [Segment(name="", color=(255, 0, 0), mask=blob(0, 0, 1, 1))], size=(32, 48))
    assert (lonely != GREY).any()
    assert (
        draw_segments(GREY, [Segment(name="x", color=(9, 9, 9), mask=blob(0, 0, 0, 0))], size=(32, 48)) == GREY
    ).all()
    assert (draw_segments(GREY, [], size=(32, 48)) == GREY).all()


def test_panels_are_side_by_side():
    sheet = side_by_side([("left", GREY), ("right " * 50, GREY + 50)])
    assert sheet.shape == (26 + 32 + 8, 3 * 8 + 2 * 48, 3)
    assert (sheet[26:58, 8:56] == 100).all()
    assert (sheet[26:58, 64:112] == 150).all()
    assert (sheet[:, :8] == 255).all()
    assert (sheet[:, 113:] == 255).all()  # a long title is cut


def test_colors_differ_by_class_and_by_instance():
    colors = {class_color(label, number) for label in range(20) for number in range(4)}
    assert len(colors) == 80


def test_colors_repeat_after_256_classes_and_four_instances():
    assert class_color(256 + 3) == class_color(3) != class_color(2)
    assert class_color(3, 4 + 1) == class_color(3, 1)


def test_the_palette_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        palette()[0] = 0


def test_the_colors_of_many_classes_are_far_from_each_other():
    colors = np.array([class_color(label) for label in range(150)], dtype=np.float32)[:, None] / 255
    lab = cv2.cvtColor(colors, cv2.COLOR_RGB2LAB)[:, 0]
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + 1000 * np.eye(len(lab))
    assert distances[:21, :21].min() > 30  # a difference of 2.3 is just visible
    assert distances.min() > 10


def test_resize_to_the_same_size_is_a_copy():
    same = resize(GREY, (32, 48))
    same[:] = 0
    assert (GREY == 100).all()
