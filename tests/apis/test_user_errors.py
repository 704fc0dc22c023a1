"""A user's mistakes end in one line, every other error with its traceback."""

import pytest

from mmdataseg.apis import cli
from mmdataseg.apis.user_errors import user_errors
from mmdataseg.errors import MissingFileError, UserError


@pytest.mark.parametrize(
    "error", [UserError("no such class", source="a"), MissingFileError("gone", file="x.png"), FileNotFoundError("gone")]
)
def test_a_users_mistake_is_one_line_on_stderr_and_exit_code_1(error, capsys):
    with pytest.raises(SystemExit) as exit_info, user_errors():
        raise error
    assert exit_info.value.code == 1
    assert capsys.readouterr().err == f"error: {error}\n"


def test_a_command_with_options_says_how_to_get_the_traceback(capsys):
    with pytest.raises(SystemExit), user_errors(debug=False):
        raise UserError("no such class")
    assert capsys.readouterr().err == "error: no such class\n(with its traceback: --cfg-options log_level=DEBUG)\n"


def test_debug_leaves_the_traceback():
    with pytest.raises(UserError), user_errors(debug=True):
        raise UserError("no such class")


@pytest.mark.parametrize(
    "error", [ValueError("source 'a': worded like ours"), OSError("disk"), RuntimeError("out of memory"), KeyError("x")]
)
def test_errors_of_other_types_keep_their_traceback(error):
    with pytest.raises(type(error)), user_errors():
        raise error


def make_folders(root):
    for name in ("ade", "coco", "objects365"):
        (root / "data/mini_world" / name).mkdir(parents=True)


def run(command, folder, *options):
    """A command line in an empty folder; mmengine keeps loggers and visualizers of a process by their names."""
    checkpoint = ["weights.pth"] if command == "test" else []
    names = [f"experiment_name={folder.name}", f"visualizer.name={folder.name}"]
    cli.main([command, "dataseg_mini_3ds.py", *checkpoint, "--cfg-options", *names, *options])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train",), "error: source 'mini_semantic': "),
        (("test",), "error: source 'mini_semantic': "),
        (("train", "train_cfg.max_iter=3"), "has no setting 'max_iter'; did you mean 'max_iters'?"),
        (("train", "model.type=Foo"), "error: config: model.type: no model is registered as 'Foo'"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, capsys, words, message):
    """Missing data is the first thing that a command looks for; the other mistakes are made with the folders there."""
    monkeypatch.chdir(tmp_path)
    command, *options = words
    if options:
        make_folders(tmp_path)
    (tmp_path / "weights.pth").touch()
    with pytest.raises(SystemExit) as exit_info:
        run(command, tmp_path, *options)
    assert exit_info.value.code == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]


def test_a_wrong_value_in_the_model_is_found_before_the_files_are_read(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_folders(tmp_path)
    with pytest.raises(SystemExit) as exit_info:
        run("train", tmp_path, "model.criterion.merge=before")
    assert exit_info.value.code == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "merge: expected one of" in line


def test_the_traceback_on_demand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UserError, FileNotFoundError), match="source 'mini_semantic'"):
        run("train", tmp_path, "log_level=DEBUG")
