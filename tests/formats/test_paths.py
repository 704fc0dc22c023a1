"""Lists of files."""

import pytest

from mmdataseg.formats.paths import list_files


@pytest.fixture
def folder(tmp_path):
    for name in ("a.jpg", "b.png", "deep/er/ü c.jpg", "no.jpg.txt"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "images"


def test_files_of_a_suffix_at_any_depth(folder):
    assert list_files(folder, ".jpg") == {"a", "deep/er/ü c"}


def test_hidden_files_of_macos_and_jupyter_are_no_data(folder):
    for name in ("._a.jpg", ".ipynb_checkpoints/a-checkpoint.jpg", "deep/._b.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert list_files(folder, ".jpg") == {"a", "deep/er/ü c"}


def test_links_to_files_and_to_folders_elsewhere_are_followed(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/d.jpg").touch()
    (folder / "first").symlink_to(tmp_path / "elsewhere")
    (folder / "second").symlink_to(tmp_path / "elsewhere")
    (folder / "e.jpg").symlink_to(tmp_path / "elsewhere/d.jpg")
    assert list_files(folder, ".jpg") == {"a", "deep/er/ü c", "first/d", "second/d", "e"}


def test_links_back_into_the_folder_are_not_followed_without_end(folder):
    """Each of three links would be followed to a depth of 40: 3^40 folders."""
    for name in ("one", "two", "deep/three"):
        (folder / name).symlink_to(folder)
    assert list_files(folder, ".jpg") == {"a", "deep/er/ü c"}
