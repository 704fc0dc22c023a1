"""Mistakes of the set-up end in a line, errors of a run with their traceback."""

import pytest
from torch._utils import ExceptionWrapper

from mmdataseg.apis import cli
from mmdataseg.apis.mistakes import message_of, told_in_a_line
from mmdataseg.datasets.transforms.loading import ImageReadError


def from_a_worker(error):
    """As a data loader hands it on."""
    try:
        try:
            raise KeyError("first")
        except KeyError as first:
            raise error from first
    except type(error):
        wrapped = ExceptionWrapper(where="in DataLoader worker process 0")
    try:
        wrapped.reraise()
    except type(error) as raised:
        return raised


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ValueError("class `DaTaSeg` in mmdataseg/models/dataseg.py: class `X` in a-b/c.py: source 'x': no"),
            "source 'x': no",
        ),
        (
            KeyError("Foo is not in the mmdet::model registry. Please"),
            "Foo is not in the mmdet::model registry. Please",
        ),
        (
            KeyError('`cfg` or `default_args` must contain the key "type", but got {}'),
            '`cfg` or `default_args` must contain the key "type", but got {}',
        ),
        (from_a_worker(ValueError("source 'a': is\nbroken")), "source 'a': is\nbroken"),
        (from_a_worker(ImageReadError("source 'a': 'x.jpg': no image")), "source 'a': 'x.jpg': no image"),
    ],
)
def test_the_message_is_what_the_user_can_act_on(error, message):
    assert message_of(error) == message
    with pytest.raises(SystemExit) as raised, told_in_a_line():
        raise error
    assert str(raised.value) == f"error: {message}\n(with its traceback: --cfg-options log_level=DEBUG)"
    with pytest.raises(type(error)), told_in_a_line(debug=True):
        raise error


@pytest.mark.parametrize("hook", ["after_train_iter", "after_val_iter", "after_test_iter"])
def test_what_fails_later_is_no_mistake_of_the_set_up(hook):
    def run():
        with told_in_a_line() as begun:
            getattr(begun, hook)(None, batch_idx=0)
            raise ValueError("later")

    with pytest.raises(ValueError, match="later"):
        run()


def test_but_a_source_may_be_drawn_late():
    def run():
        with told_in_a_line() as begun:
            begun.after_train_iter(None, batch_idx=0)
            raise ValueError("source 'rare': 'x.png': values [9] stand for no class")

    with pytest.raises(SystemExit, match="error: source 'rare'"):
        run()


def test_other_kinds_on_demand():
    with pytest.raises(SystemExit, match="error: no open_clip"), told_in_a_line(more=(ImportError,)):
        raise ImportError("no open_clip")


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), KeyError("x"), AssertionError()])
def test_errors_of_other_kinds_keep_their_traceback(error):
    with pytest.raises(type(error)), told_in_a_line():
        raise error


def run(command, folder, *options):
    """A command line in an empty folder; mmengine keeps loggers and visualizers of a process by their names."""
    checkpoint = ["weights.pth"] if command == "test" else []
    names = [f"experiment_name={folder.name}", f"visualizer.name={folder.name}"]
    cli.main([command, "dataseg_toy_3ds.py", *checkpoint, "--cfg-options", *names, *options])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("train",),
            r"^error: source 'toy_semantic': image folder 'data/toy/.*' does not exist; put the data there, which is /",
        ),
        (("train", "train_cfg.max_iter=3"), r"^error: .*unexpected keyword argument 'max_iter'"),
        (("train", "model.type=Foo"), "^error: Foo is not in the .* registry"),
        (("test",), "^error: source 'toy_"),
    ],
)
def test_a_command_line_without_data(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    command, *options = words
    (tmp_path / "weights.pth").touch()
    with pytest.raises(SystemExit, match=message):
        run(command, tmp_path, *options)


def test_and_with_the_traceback(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="source 'toy_semantic': image folder"):
        run("train", tmp_path, "log_level=DEBUG")
