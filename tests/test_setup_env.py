"""What ``make setup`` installs, and when it does nothing."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmdataseg.apis.config.files import find_config

STEPS = ["make lint", "make docs", "make test", "make test-extras"]


@pytest.fixture
def setup_env(repo_root):
    """The set-up script as a module."""
    spec = importlib.util.spec_from_file_location("setup_env", repo_root / "requirements" / "setup_env.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pinned(setup_env, monkeypatch, tmp_path):
    """The script with two small files of pins in place of ours."""
    files = {
        "build": "setuptools<81  # for mmcv\nwheel\n",
        "onedl": "# a comment\nonedl-mmcv==2.3.6\n",
        "runtime": 'open_clip_torch==3.3.0\nscipy==2; python_version > "3.10"\nscipy==1; python_version < "3.11"\n',
        "dev": "",
    }
    for name, text in files.items():
        (tmp_path / f"{name}.txt").write_text(text)
    (tmp_path / "setup.cfg").write_text("[metadata]\n")
    monkeypatch.setattr(setup_env, "HERE", tmp_path)
    monkeypatch.setattr(setup_env, "ROOT", tmp_path)
    return setup_env


def test_pins_are_read_by_normalised_name(pinned):
    assert pinned.pins("build") == {"setuptools": ["setuptools<81"], "wheel": ["wheel"]}
    assert list(pinned.pins("runtime")) == ["open-clip-torch", "scipy"]
    assert len(pinned.pins("runtime")["scipy"]) == 2


def test_an_active_environment_gets_only_missing_packages(pinned):
    have = {"setuptools": "90", "wheel": "1", "onedl-mmcv": "2.9", "scipy": "0.1"}
    assert pinned.missing(have, "onedl") == ["open_clip_torch==3.3.0"]
    assert pinned.missing({**have, "open-clip-torch": "1"}, "onedl") == []


def test_a_stamp_holds_until_a_pin_changes(pinned, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    assert not pinned.stamped(home)
    (home / pinned.STAMP).write_text(json.dumps(pinned.stamp_content()))
    assert pinned.stamped(home)
    (tmp_path / "dev.txt").write_text("pytest==9.2.0\n")
    assert not pinned.stamped(home)
    (home / pinned.STAMP).write_text("cut sho")
    assert not pinned.stamped(home)


def test_the_stamp_of_another_tree_does_not_count(pinned, tmp_path):
    (tmp_path / pinned.STAMP).write_text(json.dumps(pinned.stamp_content() | {"root": "/elsewhere"}))
    assert not pinned.stamped(tmp_path)


def test_an_active_environment_counts_only_if_its_torch_and_mmcv_work(pinned, tmp_path, monkeypatch):
    home, works = tmp_path / "active", {pinned.PRESENT: True, pinned.WORKS: True}
    monkeypatch.setattr(pinned.shutil, "which", lambda name: str(home / name))
    monkeypatch.setattr(pinned, "prefix", lambda python: python.parent)
    monkeypatch.setattr(pinned, "succeeds", lambda _, code: works[code])
    assert pinned.active_python() == home / "python"
    works[pinned.WORKS] = False  # they can be imported, but their operators fail
    assert pinned.active_python() is None
    works.update({pinned.WORKS: True, pinned.PRESENT: False})
    assert pinned.active_python() is None
    works[pinned.PRESENT] = True
    monkeypatch.setattr(pinned, "VENV", home)  # our own .venv does not count as an active environment
    assert pinned.active_python() is None
    monkeypatch.setattr(pinned.shutil, "which", lambda _: None)
    assert pinned.active_python() is None


def test_the_error_of_an_active_environment_that_is_not_used_is_shown(pinned, tmp_path, monkeypatch, capfd):
    """Before another environment of several GB is made."""
    home = tmp_path / "active"
    monkeypatch.setattr(pinned.shutil, "which", lambda name: str(home / name))
    monkeypatch.setattr(pinned, "prefix", lambda python: python.parent)
    monkeypatch.setattr(pinned, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(pinned, "WORKS", "raise ImportError('no platformdirs')")
    monkeypatch.setattr(pinned, "base_python", lambda: sys.exit("the end"))
    run = pinned.subprocess.run
    codes = {pinned.PRESENT: "", pinned.WORKS: pinned.WORKS}
    monkeypatch.setattr(
        pinned.subprocess, "run", lambda command, **options: run([sys.executable, "-c", codes[command[2]]], **options)
    )
    monkeypatch.setattr("sys.argv", ["setup_env.py"])
    with pytest.raises(SystemExit, match="the end"):
        pinned.main()
    out, error = capfd.readouterr()
    assert out.startswith(f"setup: not using {home}: its torch, torchvision and mmcv fail\n")
    assert out.endswith(f"setup: making {tmp_path / '.venv'}\n")
    assert error.endswith("ImportError: no platformdirs\n")


@pytest.mark.parametrize("own", [True, False])
def test_set_up_is_done_once(pinned, tmp_path, monkeypatch, own):
    """An active environment gets missing packages, and no installed version changes."""
    called, frozen = [], []

    def pip(_, *args):
        called.append(args)
        if "--constraint" in args and not own:
            frozen.append(Path(args[args.index("--constraint") + 1]).read_text())

    (tmp_path / "torch.txt").write_text("torch===2.13.0\n")
    monkeypatch.setattr(pinned, "prefix", lambda _: tmp_path)
    monkeypatch.setattr(pinned, "installed", lambda _: {"torch": "2.9", "mmcv": "2.1", "wheel": "1"})
    monkeypatch.setattr(pinned, "succeeds", lambda *_, **__: True)
    monkeypatch.setattr(pinned, "pip", pip)
    (tmp_path / "openmmlab.txt").write_text("mmcv==2.1.0\nmmdet==3.3.0\n")
    for _ in range(2):
        pinned.set_up(tmp_path / "python", own=own)
    assert sum("--editable" in args for args in called) == 1
    if own:
        assert any("onedl-mmcv==2.3.6" in args for args in called)
    else:
        assert frozen == ["torch===2.9\nmmcv===2.1\nwheel===1\n"]
        assert {"mmdet==3.3.0", "setuptools<81", "open_clip_torch==3.3.0"} <= set(called[0])
        assert not any(arg.startswith(("torch", "mmcv", "onedl", "wheel")) for arg in called[0])


@pytest.fixture
def building(pinned, tmp_path, monkeypatch):
    """The script with its commands replaced; returns the commands that it ran and their results, which tests may
    change."""
    ran, answers = [], {pinned.FOR_GPU: False, pinned.WORKS: True, "build_mmcv.py": True}

    def run(command, *, check=False):
        name = Path(command[1]).name
        ran.append(name)
        ok = answers[command[2] if name == "-c" else name]
        if check and not ok:
            raise subprocess.CalledProcessError(1, command)
        return subprocess.CompletedProcess(command, 0 if ok else 1)

    (tmp_path / "torch.txt").write_text("torch===2.13.0\n")
    monkeypatch.setattr(pinned, "prefix", lambda _: tmp_path)
    monkeypatch.setattr(pinned, "installed", lambda _: {"torch": "2.13.0"})
    monkeypatch.setattr(pinned, "succeeds", lambda _, code, **__: answers[code])
    monkeypatch.setattr(pinned.subprocess, "run", run)
    monkeypatch.setattr(pinned, "pip", lambda _, *args, **variables: ran.append((args, variables)))
    return ran, answers


PLAIN = ("--no-deps", "--no-build-isolation", "onedl-mmcv==2.3.6")


def test_without_a_gpu_mmcv_is_built_in_groups(pinned, building, tmp_path):
    ran, _ = building
    pinned.set_up(tmp_path / "python", own=True)
    assert ran.count("build_mmcv.py") == 1
    assert not any("onedl-mmcv==2.3.6" in args for args, _ in (call for call in ran if isinstance(call, tuple)))


def test_if_the_fast_build_fails_mmcv_is_built_without_grouping(pinned, building, tmp_path, capsys):
    ran, answers = building
    answers["build_mmcv.py"] = False
    pinned.build_mmcv(tmp_path / "python", "onedl-mmcv==2.3.6")
    assert ran == ["build_mmcv.py", (PLAIN, {"CUDA_VISIBLE_DEVICES": ""})]
    assert "the fast build of mmcv failed" in capsys.readouterr().out


def test_gpu_operators_are_built_without_grouping(pinned, building, tmp_path):
    ran, answers = building
    answers[pinned.FOR_GPU] = True
    pinned.build_mmcv(tmp_path / "python", "onedl-mmcv==2.3.6")
    assert ran == [(PLAIN, {})]


def test_wrong_operators_lead_to_a_build_without_grouping_and_without_pips_cache(pinned, building, tmp_path):
    ran, answers = building
    answers[pinned.WORKS] = False
    with pytest.raises(subprocess.CalledProcessError):  # in this test the operators never work
        pinned.set_up(tmp_path / "python", own=True)
    (args, _), last = ran[-2:]
    assert {"--force-reinstall", "--no-cache-dir", "onedl-mmcv==2.3.6"} <= set(args)
    assert last == "-c"
    assert not pinned.stamped(tmp_path)


@pytest.mark.parametrize(("torch_before", "built"), [("2.13.0", 0), ("2.12.0", 1)])
def test_mmcv_is_built_again_for_another_torch(pinned, building, tmp_path, monkeypatch, torch_before, built):
    ran, _ = building
    found = iter([torch_before, "2.13.0"])
    have = {"onedl-mmcv": "2.3.6", "setuptools": "80"}
    monkeypatch.setattr(pinned, "installed", lambda _: {**have, "torch": next(found)})
    pinned.install_pins(tmp_path / "python")
    assert ran.count("build_mmcv.py") == built


def test_ninja_of_the_environment_is_found(setup_env, tmp_path, capfd):
    """Without it torch compiles one file at a time."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "PATH=$PATH"\necho "Requirement already satisfied: x"\necho "GPU=$GPU"\n')
    python.chmod(0o755)
    setup_env.pip(python, "x", GPU="none")
    assert capfd.readouterr().out.splitlines() == [f"PATH={python.parent}{os.pathsep}{os.environ['PATH']}", "GPU=none"]


def test_torch_is_pinned_to_exactly_one_build(setup_env):
    """With "==" pip would take a "+cpu" build, for which torchvision's operators do not load."""
    assert setup_env.pins("torch") == {"torch": ["torch===2.13.0"], "torchvision": ["torchvision===0.28.0"]}


def test_the_scripts_of_make_demo_exist(repo_root):
    text = (repo_root / "Makefile").read_text()
    (demo,) = re.findall(r"^DEMO := (\S+)$", text, flags=re.MULTILINE)
    assert find_config(demo).stem == demo
    for script in re.findall(r"(?<![\w/])(?:tools|requirements|demo|tests)/[\w/]+\.py\b", text):
        assert (repo_root / script).is_file()


@pytest.mark.parametrize(
    ("fails", "code", "called"),
    [("nothing", 0, 4), ("test-extras", 2, 4), ("test", 2, 3), ("docs", 2, 2), ("lint", 2, 1)],
)
def test_continuous_integration_fails_when_make_does(repo_root, tmp_path, fails, code, called):
    make = tmp_path / "make"
    make.write_text(f'#!/bin/sh\necho "make $1" >> "{tmp_path}/log"\n[ "$1" != {fails} ] || exit 2\n')
    make.chmod(0o755)
    env = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([str(repo_root / ".ci/run")], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert (tmp_path / "log").read_text().splitlines() == STEPS[:called]
