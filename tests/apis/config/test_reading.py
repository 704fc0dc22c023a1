"""Reading configs: the file that is wrong is named, and options that nothing would read are refused."""

import inspect
import os
import re
import subprocess
import sys

import mmengine
import pytest
from mmengine.logging import MMLogger

from mmdataseg.apis.config.reading import MORE_SETTINGS, RUNNER_SETTINGS, read_config
from mmdataseg.apis.training import runner
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


def test_the_log_is_silenced_only_while_a_config_is_read(tmp_path):
    before = mmengine.config.config.print_log
    (tmp_path / "leaf.py").write_text("a = 1 / 0\n")
    with pytest.raises(UserError):
        read_config(tmp_path / "leaf.py")
    assert mmengine.config.config.print_log is before


def test_the_log_is_silenced_without_an_import_of_torch(tmp_path, repo_root):
    """mmengine imports torch when it makes a logger, which takes seconds."""
    (tmp_path / "leaf.py").write_text('root = "{{$SOME_ROOT:data}}/images"\n')
    program = (
        "import sys; from mmdataseg.apis.config.reading import read_config\n"
        "print(read_config('leaf.py').root, 'torch' in sys.modules)"
    )
    environment = {**os.environ, "SOME_ROOT": "/somewhere", "PYTHONPATH": str(repo_root)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.stdout == "/somewhere/images False\n", done.stderr


def test_private_names_of_base_configs_are_not_suggested(tmp_path):
    (tmp_path / "c.py").write_text("_secret = 1\nmodel = dict()\n")
    with pytest.raises(ValueError, match=r"has no 'zzz'; it has \['model'\]"):
        read_config(tmp_path / "c.py", {"zzz": 3})


def test_the_settings_of_mmengines_runner_are_known():
    assert set(RUNNER_SETTINGS) == set(inspect.signature(mmengine.runner.Runner).parameters)


@pytest.mark.parametrize("name", MORE_SETTINGS)
def test_keys_that_mmengine_reads_outside_its_parameters_may_be_set(tmp_path, name):
    (tmp_path / "c.py").write_text("model = dict()\n")
    assert read_config(tmp_path / "c.py", {name: "x"}).get(name) == "x"
    read = inspect.getsource(mmengine.runner.runner) + inspect.getsource(runner)
    assert re.search(rf"cfg\.get\(\s*[\"']{name}[\"']|[\"']{name}[\"'] (not )?in (self\.)?cfg", read), name
