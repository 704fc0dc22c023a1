"""Mistakes on the command line, in the config that it names, and the help."""

import os
import re
import subprocess
import sys

import pytest

from mmdataseg.apis import cli, parsers
from mmdataseg.apis.config.reading import read_config
from tests.apis.training.tiny_training import TINY_CONFIG


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train", "no_such_config"], "config 'no_such_config' is neither a file nor one of mmdataseg's configs"),
        (["train", "some.py", "--workdir", "x"], "unknown option '--workdir'; did you mean '--work-dir'?"),
        (
            ["train", "dataseg_mini_3ds", "--iterations", "9", "--cfg-options", "train_cfg.max_iters=5"],
            "--iterations and --cfg-options train_cfg.max_iters both set the length of the training",
        ),
        (["train", "dataseg_mini_3ds", "--iterations", "0"], "--iterations must be at least 1"),
        (["train", "some.py", "other.py"], "argument 'other.py' is one too many"),
        (["test", "a.pth", "--showdir", "x"], "unknown option '--showdir'; did you mean '--show-dir'?"),
        (["convert", "a.pth", "--to", "b.pth", "--rigde", "0"], "unknown option '--rigde'; did you mean '--ridge'?"),
        (["train", "some.py", "--seed=3"], "unknown option '--seed'; use --cfg-options randomness.seed=N"),
        (["test", "a.pth", "--eval", "mIoU"], "unknown option '--eval'; each source of the config names its metrics"),
        (["predict", "a.pth", "b.jpg", "--texts", "dog"], "unknown option '--texts'; use --things and --stuff"),
        (["checks", "--jsn"], "unknown option '--jsn'; did you mean '--json'?"),
        (
            ["test"],
            "give a checkpoint, such as work_dirs/NAME/iter_2000.pth, or a config and then a checkpoint, got neith",
        ),
        (["test", "some.py"], "or a config and then a checkpoint, got some.py"),
        (["test", "some.py", "a.pth", "--checkpoint", "b.pth"], "a checkpoint, got some.py a.pth b.pth"),
        (["test", "some.py", "no_such.pth"], "checkpoint 'no_such.pth' is not a file"),
        (["test", "some.py", "a.pth", "--out", "a.json"], "--out must end in .pkl or .pickle"),
        (["train"], "the following arguments are required: CONFIG"),
        ([], "usage: python -m mmdataseg train CONFIG"),
    ],
)
def test_mistakes_end_with_a_message_and_no_traceback(argv, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(argv)
    assert exit_info.value.code == 2
    captured = capsys.readouterr()
    assert message in captured.out + captured.err


@pytest.mark.parametrize(
    ("build", "instead"),
    [
        (parsers.build_train_parser, parsers.INSTEAD_IN_TRAIN),
        (parsers.build_test_parser, parsers.INSTEAD_IN_TEST),
        (parsers.build_predict_parser, parsers.INSTEAD_IN_PREDICT),
    ],
)
def test_what_to_use_instead_exists_and_the_option_of_another_toolbox_does_not(build, instead):
    options = re.findall(r"--[\w-]+", build().format_help())
    for option, hint in instead.items():
        assert option not in options
        assert {word for word in re.findall(r"--[\w-]+", hint) if word != "--nproc_per_node"} <= set(options)
    for setting in re.findall(r"--cfg-options (\w.*)", "\n".join(instead.values())):
        keys = [word.partition("=")[0] for word in setting.split()]
        read_config("dataseg_r50_3ds.py", dict.fromkeys(keys, None))


@pytest.mark.parametrize("command", ["train", "test", "predict", "web", "convert", "checks"])
def test_a_wrong_command_line_prints_one_line_of_usage_and_the_mistake(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, "--no-such-option"])
    usage, mistake = capsys.readouterr().err.splitlines()
    assert usage.startswith(f"usage: python -m mmdataseg {command} ")
    assert mistake.startswith(f"python -m mmdataseg {command}: error: ")


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["train", "no_such_config"], 2, "config 'no_such_config' is neither a file nor"),
        (["train", "dataseg_mini_3ds", "--workdir", "x"], 2, "unknown option '--workdir'"),
        (["train", "dataseg_mini_3ds", "--resume", "no.pth"], 2, "checkpoint 'no.pth' is not a file"),
        (["train", "dataseg_mini_3ds", "--cfg-options", "modelx.x=1"], 1, "has no 'modelx'; did you mean 'model'?"),
        (["train", "dataseg_mini_3ds"], 1, "source 'mini_semantic': folder 'data/mini_world/ade' does not exist"),
        (["train", "_base_/sources/ade_semantic.py"], 1, "this file defines the source ade_semantic, not a model"),
        (["train", "marked.py"], 1, "'marked.py': begins with a byte order mark; save it as UTF-8 without this mark"),
        (["test", "dataseg_mini_3ds", "no.pth"], 2, "checkpoint 'no.pth' is not a file"),
        (["test", "dataseg_mini_3ds", "a.pth"], 1, "source 'mini_semantic': folder 'data/mini_world/ade' does not"),
        (["test", "dataseg_mini_3ds", "a.pth", "--cfg-options", "modelx.x=1"], 1, "has no 'modelx'; did you mean"),
    ],
)
def test_mistakes_are_found_before_torch_is_imported(argv, code, message, tmp_path, repo_root):
    """The import of torch and the mm* packages takes 10 seconds and more."""
    (tmp_path / "a.pth").touch()
    (tmp_path / "marked.py").write_bytes(b"\xef\xbb\xbfmodel = dict()\n")
    program = (
        "import sys; from mmdataseg.apis.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('torch imported' if 'torch' in sys.modules else 'no torch')"
    )
    environment = {k: v for k, v in os.environ.items() if k != "MMDATASEG_MINI_WORLD"} | {"PYTHONPATH": str(repo_root)}
    done = subprocess.run(
        [sys.executable, "-c", program, *argv], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "no torch" in done.stdout


def test_arguments_that_do_not_fit_the_config_end_with_a_message_too(tmp_path, capsys):
    config, checkpoint = tmp_path / "some.py", tmp_path / "some.pth"
    config.write_text("model = dict()\noptim_wrapper = dict()\ntrain_cfg = dict(max_iters=1)\n")
    checkpoint.write_bytes(b"not read")
    for argv, message in (
        (["train", str(config), "--auto-scale-lr"], "--auto-scale-lr needs auto_scale_lr"),
        (["test", str(config), str(checkpoint), "--show-dir", "seen"], "--show-dir needs default_hooks.visualization"),
    ):
        with pytest.raises(SystemExit):
            cli.main(argv)
        assert message in capsys.readouterr().err


def test_an_unknown_command_is_refused(capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["evaluate"])
    assert exit_info.value.code == 2
    assert "unknown command 'evaluate'; expected one of train, test, predict" in capsys.readouterr().err


def test_an_option_without_effect_is_refused(tmp_path, capsys):
    (tmp_path / "c.py").write_text(TINY_CONFIG.partition("\n")[2].partition("\n")[2])
    with pytest.raises(SystemExit):
        cli.main(["train", str(tmp_path / "c.py"), "--cfg-options", "train_confg.max_iters=3"])
    assert (
        "--cfg-options train_confg.max_iters: the config has no 'train_confg'; did you mean" in capsys.readouterr().err
    )
    cfg = read_config(tmp_path / "c.py", {"randomness.seed": 3})
    assert cfg.randomness.seed == 3


@pytest.mark.parametrize("verb", ["train", "test"])
def test_a_source_file_is_not_a_config(verb, tmp_path, capsys):
    (tmp_path / "some.pth").touch()
    checkpoint = [str(tmp_path / "some.pth")] if verb == "test" else []
    with pytest.raises(SystemExit) as exit_info:
        cli.main([verb, "_base_/sources/ade_semantic.py", *checkpoint])
    assert exit_info.value.code == 1
    assert "ade_semantic.py': this file defines the source ade_semantic, not a model" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--iterations", "5"]])
def test_a_config_that_only_tests_is_not_trained(options, capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "dataseg_toy_3ds_probability-merge", *options])
    assert "dataseg_toy_3ds_probability-merge.py only tests, it has no train_cfg; use test" in capsys.readouterr().err


def test_the_help_does_not_mention_gpus():
    """mim adds --gpus to the command of a script whose help has that word."""
    assert "--gpus" not in cli.build_train_parser().format_help()


def test_the_scripts_that_mim_runs_have_the_same_arguments(repo_root):
    for script, parser in (("train.py", cli.build_train_parser), ("test.py", cli.build_test_parser)):
        done = subprocess.run([sys.executable, f"tools/{script}", "-h"], cwd=repo_root, capture_output=True, text=True)
        assert done.stdout.split() == parser(prog=script).format_help().split(), done.stderr
