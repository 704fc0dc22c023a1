"""The file that is wrong is named, also where a config is based on it."""

import pytest
from mmengine.logging import MMLogger

from mmdataseg.apis.config_reading import read_config
from mmdataseg.errors import UserError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("\ufeffa = 1\n", "begins with a byte order mark; save it as UTF-8 without this mark"),
        ("a = 1\nb = (\n", r"cannot read this config: line 2: '\(' was never closed"),
    ],
)
def test_the_file_with_the_mistake_is_named(tmp_path, content, message):
    (tmp_path / "parts").mkdir()
    (tmp_path / "good.py").write_text("c = 1\n")
    (tmp_path / "parts/wrong.py").write_text(content, encoding="utf-8")
    (tmp_path / "middle.py").write_text('_base_ = ["good.py", "./parts/wrong.py"]\n')
    (tmp_path / "leaf.py").write_text('_base_ = "middle.py"\nd = "good.py"\n')
    for name in ("parts/wrong.py", "middle.py", "leaf.py"):
        with pytest.raises(UserError, match=rf"parts/wrong\.py': {message}"):
            read_config(tmp_path / name)


def test_a_mistake_that_python_finds_when_it_runs_the_config_is_shown_as_python_gave_it(tmp_path):
    (tmp_path / "leaf.py").write_text("a = 1 / 0\n")
    with pytest.raises(UserError, match=r"leaf\.py': cannot read this config: ZeroDivisionError: division by zero"):
        read_config(tmp_path / "leaf.py")


def test_a_folder_from_an_environment_variable_is_read_without_a_line_of_log(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("SOME_ROOT", "/somewhere")
    (tmp_path / "leaf.py").write_text('root = "{{$SOME_ROOT:data}}/images"\n')
    level = MMLogger.get_current_instance().level
    assert read_config(tmp_path / "leaf.py").root == "/somewhere/images"
    assert "SOME_ROOT" not in "".join(capfd.readouterr())
    assert MMLogger.get_current_instance().level == level
