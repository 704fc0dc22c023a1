"""Names of output files: short where they can be, never the same for two images."""

import pytest

from mmdataseg.results.file_names import FileNames, without_suffix


@pytest.mark.parametrize(
    ("name", "short"),
    [("a.jpg", "a"), ("x/b.tar.gz", "x/b.tar"), ("x.y/c", "x.y/c"), (".hidden", ".hidden"), ("000001", "000001")],
)
def test_the_last_suffix_is_left_out(name: str, short: str) -> None:
    assert without_suffix(name) == short


def test_a_later_image_of_the_same_name_keeps_its_suffix() -> None:
    names = FileNames()
    assert [names(image) for image in ("a.jpg", "a.png", "b/a.png", "a.jpg", "a.png")] == [
        *("a", "a_png", "b/a", "a", "a_png")
    ]
    assert names.lengthened == {"a.png": "a_png"}


def test_no_two_images_share_a_name() -> None:
    images = ["a_png.jpg", "a.jpg", "a.png", "b/a.png", "a_png.png", "a", "a_"]
    names = FileNames()
    given = [names(image) for image in images]
    assert len(set(given)) == len(images)
    assert given[:4] == ["a_png", "a", "a_png_", "b/a"]
    assert [names(image) for image in images] == given
