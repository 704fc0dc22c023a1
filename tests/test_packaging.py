"""The wheel, the pins, the names of the configs, and how mim finds them."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from configparser import ConfigParser
from pathlib import Path

import pytest

import build_hooks
import mmdataseg
from mmdataseg.apis.config.files import config_root, find_config, leaf_configs
from mmdataseg.dependencies import FAMILIES
from tests.mim import skip_unless_it_finds_editable_packages

# print the package's folder as mim sees it, and the commands that mim would run for a config
MIM_COMMANDS = """
import json, sys
import mim.commands.test, mim.commands.train
from mim.utils import get_installed_path
commands = []
def record(cmd, env=None):
    commands.append(cmd[1:])
    return 0
mim.utils.utils.subprocess.check_call = record
sys.modules["mim.commands.train"].train("mmdataseg", sys.argv[1], gpus=0)
sys.modules["mim.commands.test"].test("mmdataseg", sys.argv[1], checkpoint="weights.pth")
print(json.dumps([get_installed_path("mmdataseg"), *commands]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, repo_root) -> Path:
    """The wheel of this source tree, built from a copy of it."""
    pytest.importorskip("setuptools", reason="builds a wheel with the environment's setuptools")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("mmdataseg", "configs", "tools", "requirements"):
        if (repo_root / name).is_dir():
            shutil.copytree(repo_root / name, source / name, ignore=shutil.ignore_patterns("__pycache__", ".mim"))
    build_hooks.link_mim(source)  # as after an editable install
    for path in repo_root.iterdir():
        if path.is_file():
            shutil.copy2(path, source)
    pip("wheel", str(source), "--no-deps", "--no-build-isolation", "--wheel-dir", str(out))
    assert not (source / "build").exists(), "with build/ left over, mim would find every config twice"
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory, wheel) -> Path:
    """A folder of installed packages that holds only the wheel."""
    folder = tmp_path_factory.mktemp("site")
    pip("install", "--no-deps", "--target", str(folder), str(wheel))
    return folder


def pip(*args: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *args]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def run_python(*args: str, cwd: Path, site: Path | None = None) -> subprocess.CompletedProcess:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if site is not None:
        env["PYTHONPATH"] = str(site)
    return subprocess.run([sys.executable, *args], cwd=cwd, env=env, capture_output=True, text=True)


def mim_commands(config: str, *, cwd: Path, site: Path | None = None) -> tuple[Path, list[str], list[str]]:
    """The package's folder, and the arguments (script, config, options) with which mim would start Python to train and
    to test."""
    done = run_python("-c", MIM_COMMANDS, config, cwd=cwd, site=site)
    assert done.returncode == 0, done.stderr
    folder, train, test = json.loads(done.stdout.splitlines()[-1])
    return Path(folder), train, test


def test_the_wheel_holds_what_openmmlab_looks_for_in_mim(wheel, repo_root):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("mmdataseg/.mim/", "_mmdataseg_mim/.mim/"):
        assert {folder + "model-index.yml", folder + "tools/train.py", folder + "tools/test.py"} <= names
        configs = {n.removeprefix(folder) for n in names if n.startswith(folder + "configs/")}
        in_tree = {p.relative_to(repo_root).as_posix() for p in (repo_root / "configs").rglob("*.py")}
        assert in_tree
        assert in_tree <= configs


def test_the_wheel_holds_every_module_and_no_tests(wheel, repo_root):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {p.relative_to(repo_root).as_posix() for p in (repo_root / "mmdataseg").rglob("*.py")}
    assert modules <= names
    assert not [n for n in names if n.startswith(("tests/", "configs/", "tools/", "build_hooks"))]
    assert not [n for n in names if n.endswith(".pyc")]


def test_the_source_tree_holds_no_leaf_twice(repo_root):
    """mim follows links and refuses a leaf that it finds twice; of the base configs there may be links."""
    kept = repo_root / "mmdataseg" / ".mim"
    files = {path.name for path in kept.rglob("*") if path.suffix == ".py"}
    assert files.isdisjoint(leaf.name for leaf in leaf_configs())
    assert not (repo_root / "build").exists()
    ignored = subprocess.run(["git", "check-ignore", "mmdataseg/.mim/configs"], cwd=repo_root, capture_output=True)
    assert ignored.returncode in (0, 128), "not ignored by git (128: not a git repository)"


def test_links_for_mim_replace_existing_files(tmp_path):
    for name in ("mmdataseg", "configs", "tools"):
        (tmp_path / name).mkdir()
    (tmp_path / "configs/_base_").mkdir()
    for name in ("configs/metafile.yml", "configs/leaf.py", "model-index.yml"):
        (tmp_path / name).touch()
    (tmp_path / "mmdataseg/.mim/tools").mkdir(parents=True)  # left by another tool
    for _ in range(2):
        build_hooks.link_mim(tmp_path)
        mim = tmp_path / "mmdataseg/.mim"
        assert sorted(path.name for path in mim.iterdir()) == ["configs", "model-index.yml"]
        assert sorted(path.name for path in (mim / "configs").iterdir()) == ["_base_", "metafile.yml"]
        for name in build_hooks.MIM_LINKS:
            assert (mim / name).is_symlink()
            assert (mim / name).samefile(tmp_path / name)


def test_an_installed_wheel_finds_its_configs_without_mim(site, tmp_path):
    leaf = leaf_configs()[0]
    code = f"from mmdataseg.apis.config.files import find_config; print(find_config({leaf.name!r}))"
    done = run_python("-c", code, cwd=tmp_path, site=site)
    found = Path(done.stdout.strip())
    assert found == site / "mmdataseg" / ".mim" / "configs" / leaf.relative_to(config_root()), done.stderr
    assert found.read_bytes() == leaf.read_bytes()


def test_python_m_runs_from_an_installed_wheel(site, tmp_path):
    leaf = leaf_configs()[0]
    done = run_python("-m", "mmdataseg", "train", leaf.stem + "x", cwd=tmp_path, site=site)
    assert done.returncode == 2
    assert f"did you mean: {leaf.relative_to(config_root().parent).as_posix()}" in done.stderr
    assert str(site) in done.stderr


def test_a_config_elsewhere_inherits_from_an_installed_wheel(site, tmp_path):
    (tmp_path / "mine.py").write_text('_base_ = ["mmdataseg::_base_/models/dataseg_r50.py"]\n')
    code = "import mmdataseg; from mmengine.config import Config; print(Config.fromfile('mine.py').model.type)"
    done = run_python("-c", code, cwd=tmp_path, site=site)
    assert done.stdout.splitlines()[-1:] == ["mmdataseg.DaTaSeg"], done.stderr


def test_mim_finds_scripts_and_config_of_an_installed_wheel(site, tmp_path):
    pytest.importorskip("mim", reason="mim is not installed")
    leaf = leaf_configs()[0]
    folder, train, test = mim_commands(leaf.name, cwd=tmp_path, site=site)
    mim = folder / ".mim"
    config = mim / "configs" / leaf.relative_to(config_root())
    assert mim.is_relative_to(site)
    assert config.is_file()
    assert train == [str(mim / "tools" / "train.py"), str(config), "--launcher", "none"]
    assert test == [str(mim / "tools" / "test.py"), str(config), "weights.pth", "--launcher", "none"]


@pytest.mark.parametrize("form", ["name from any folder", "path from the root"])
def test_mim_finds_scripts_and_config_of_an_editable_install(repo_root, tmp_path, form):
    skip_unless_it_finds_editable_packages()
    leaf = find_config("dataseg_mini_3ds.py")
    path = leaf.relative_to(repo_root).as_posix()
    by_name = form == "name from any folder"
    folder, train, test = mim_commands(leaf.name if by_name else path, cwd=tmp_path if by_name else repo_root)
    if folder != repo_root:
        pytest.skip("mmdataseg is not installed editable from this tree (pip install -e .)")
    config = str(leaf) if by_name else path
    assert train == [str(repo_root / "tools" / "train.py"), config, "--launcher", "none"]
    assert test == [str(repo_root / "tools" / "test.py"), config, "weights.pth", "--launcher", "none"]


def test_leaf_names_differ_from_config_names_of_installed_packages():
    """mim searches the whole tree, with a .venv in it, by file name, and refuses a name that it finds twice."""
    leaves = leaf_configs()
    assert leaves
    assert [n for n, count in Counter(p.name for p in leaves).items() if count > 1] == []
    for package in ("mmdet", "mmseg"):
        folder = Path(importlib.util.find_spec(package).submodule_search_locations[0])
        theirs = {p.name for p in folder.rglob("*.py")}
        assert theirs.isdisjoint(p.name for p in leaves)


@pytest.mark.parametrize("form", ["name", "stem", "from configs", "from the root"])
def test_a_config_is_found_by_name_from_any_folder(form, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    leaf = leaf_configs()[0]
    typed = {
        "name": leaf.name,
        "stem": leaf.stem,
        "from configs": str(leaf.relative_to(config_root())),
        "from the root": str(leaf.relative_to(config_root().parent)),
    }
    assert find_config(typed[form]) == leaf


def test_an_existing_file_takes_precedence_over_the_packages_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    leaf = leaf_configs()[0]
    (tmp_path / leaf.name).write_text("a = 1\n")
    assert find_config(leaf.name) == Path(leaf.name)


def test_base_configs_cannot_be_run():
    (base, *_) = (config_root() / "_base_").rglob("*.py")
    assert base not in leaf_configs()
    with pytest.raises(FileNotFoundError, match="is neither a file nor one of mmdataseg's configs"):
        find_config(base.name)


def test_the_extras_and_the_import_check_name_the_same_versions(repo_root):
    setup = ConfigParser()
    setup.read(repo_root / "setup.cfg")
    for family, modules in FAMILIES.items():
        assert setup["options.extras_require"][family] == f"file: requirements/{family}.txt"
        text = (repo_root / "requirements" / f"{family}.txt").read_text()
        pins = dict(re.findall(r"^([\w-]+)==([\d.]+)$", text, flags=re.MULTILINE))
        for distribution, lowest, _ in modules.values():
            assert pins[distribution] == lowest


def test_make_clean_works_if_there_is_little_to_clean(repo_root, tmp_path):
    """As in a fresh clone, or in a source distribution, which has no tests."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    shutil.copy2(repo_root / "Makefile", tmp_path)
    (tmp_path / "tools/__pycache__").mkdir(parents=True)
    for _ in range(2):
        done = subprocess.run(["make", "clean"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["Makefile", "tools"]


def test_the_version_is_in_the_changelog_or_unreleased(repo_root):
    text = (repo_root / "CHANGELOG.md").read_text()
    assert f"[{mmdataseg.__version__}]" in text or "[Unreleased]" in text


def test_every_entry_of_the_model_index_is_a_config(repo_root):
    from mmengine.fileio import load

    (imported,) = load(repo_root / "model-index.yml")["Import"]
    models = load(repo_root / imported)["Models"]
    assert models
    for model in models:
        assert (repo_root / model["Config"]).is_file(), f"{imported} names {model['Config']}, which is not there"
        assert Path(model["Config"]).stem == model["Name"]
