"""What ``import mmdataseg`` gives."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import mmdataseg


def test_the_segmenter_is_imported_when_it_is_asked_for(repo_root):
    program = (
        "import sys, mmdataseg\n"
        "print('torch' in sys.modules)\n"
        "from mmdataseg import Segmenter, Vocabulary\n"
        "print(Segmenter.__module__, Vocabulary.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=repo_root, capture_output=True, text=True)
    expected = ["False", "mmdataseg.apis.segmenter mmdataseg.text.vocabulary"]
    assert done.stdout.splitlines() == expected, "and nothing that mmdet prints"
    if not version("torch").startswith("2.5."):  # which shows a warning of its own, whatever the filters are
        assert done.stderr == ""


@pytest.mark.parametrize("room", ["models", "evaluation", "engine"])
def test_a_room_that_imports_mmdet_prints_nothing(room, repo_root):
    """So that tools and users' scripts, which import rooms directly, print only their own lines."""
    program = [sys.executable, "-c", f"import mmdataseg.{room}"]
    done = subprocess.run(program, cwd=repo_root, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="module 'mmdataseg' has no attribute 'Inferencer'"):
        _ = mmdataseg.Inferencer
