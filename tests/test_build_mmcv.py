"""How mmcv's source is prepared for a fast build; nothing is compiled here."""

import importlib.util
import re
import tarfile
from pathlib import Path

import pytest

FOLDERS = ("mmcv/ops/csrc/pytorch", "mmcv/ops/csrc/pytorch/cpu")


@pytest.fixture
def build(repo_root):
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("build_mmcv", repo_root / "requirements" / "build_mmcv.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def included(folder: Path) -> list[list[str]]:
    """The files that are included by each file that setup.py finds."""
    return [re.findall('#include "(.+)"', path.read_text()) for path in sorted(folder.glob("*.cpp"))]


@pytest.mark.parametrize(("num_files", "num_groups"), [(1, 1), (15, 1), (16, 2), (58, 4)])
def test_every_file_is_included_once_in_few_groups(build, tmp_path, num_files, num_groups):
    names = [f"op{i}" for i in range(num_files)]
    for name in names:
        (tmp_path / f"{name}.cpp").write_text(f'#include "helper.h"\nvoid {name}() {{}}\n')
    assert build.group_sources(tmp_path) == num_groups
    groups = included(tmp_path)
    assert sorted(name for group in groups for name in group) == sorted(f"{name}.cpp.inc" for name in names)
    sizes = [len(group) for group in groups]
    assert len(sizes) == num_groups
    assert max(sizes) - min(sizes) <= 1


def test_includes_of_the_sources_are_still_found_and_their_text_is_unchanged(build, tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("beside.h", "sub/below.h", "../above.h"):
        (tmp_path / name).write_text("")
    text = '#include "beside.h"\n#include "sub/below.h"\n#include "../above.h"\nint f() { return 1; }\n'
    (tmp_path / "op.cpp").write_text(text)
    build.group_sources(tmp_path)
    (group,) = tmp_path.glob("*.cpp")
    ((source,),) = included(tmp_path)
    assert (group.parent / source).read_text() == text
    assert all(((group.parent / source).parent / name).is_file() for name in re.findall('"(.+)"', text))
    assert (tmp_path / "beside.h").is_file()


@pytest.mark.parametrize(
    "text",
    [
        "template <typename T>\nvoid helper(T x) {}",
        "static inline float* helper(int a,\n    int b) {",
        "template <typename T, int N> T helper(T x) {}",
        "struct helper {\n  int x;\n};",
        "const int helper = 8;",
    ],
)
def test_files_that_share_a_name_are_in_different_groups(build, text):
    texts = {Path(f"{i}.cpp"): f"{text}\n" for i in range(3)}
    assert build.grouped(texts) == [[path] for path in texts]


def test_names_within_blocks_and_in_macro_calls_may_be_shared(build):
    text = "REGISTER_DEVICE_IMPL(nms_impl, CPU, nms_cpu);\nint f{}() {{\n  helper();\n  auto x = other(1);\n}}\n"
    texts = {Path(f"{i}.cpp"): text.replace("{}", str(i)) for i in range(3)}
    assert build.grouped(texts) == [list(texts)]


@pytest.mark.parametrize("leak", ["#ifndef min\n#define min(a, b) a\n#endif", "using namespace std;", "  # define X"])
def test_a_file_that_affects_later_files_is_the_last_of_its_group(build, leak):
    texts = {Path(f"{i}.cpp"): leak if i < 2 else f"int f{i}();" for i in range(5)}
    groups = build.grouped(texts)
    assert [[path.stem for path in group] for group in groups] == [["2", "3", "4", "0"], ["1"]]


def test_another_layout_is_an_error(build, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no C\+\+ files in .*another layout than expected"):
        build.group_sources(tmp_path)


def test_a_wheel_of_the_grouped_source_is_installed_and_each_step_timed(build, tmp_path, monkeypatch, capsys):
    calls = []

    def pip(command, *args):
        calls.append(command)
        if command == "download":
            assert args[-3:] == ("--dest", args[-2], "onedl-mmcv==2.3.6")
            pack(tmp_path, Path(args[-2]) / "onedl_mmcv-2.3.6.tar.gz")
        elif command == "wheel":
            source = Path(args[-1])
            assert [len(included(source / name)) for name in FOLDERS] == [1, 1]
            (source.parent / "onedl_mmcv-2.3.6-cp311.whl").touch()
        else:
            assert Path(args[-1]).is_file()

    monkeypatch.setattr(build, "pip", pip)
    monkeypatch.setattr("sys.argv", ["build_mmcv.py", "onedl-mmcv==2.3.6"])
    build.main()
    assert calls == ["download", "wheel", "install"]
    assert re.findall(r"mmcv: (\w+) took \d+ s", capsys.readouterr().out) == ["download", "compile", "install"]


def pack(folder: Path, archive: Path) -> None:
    """A source distribution with two C++ files in each folder."""
    tree = folder / "tree"
    for name in FOLDERS:
        (tree / name).mkdir(parents=True)
        for op in ("nms", "knn"):
            (tree / name / f"{op}.cpp").write_text(f"void {op}();\n")
    (tree / "setup.py").touch()
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tree, arcname="onedl_mmcv-2.3.6")


def test_a_failing_pip_ends_the_build(build, monkeypatch):
    monkeypatch.setattr(build.sys, "executable", "false")
    with pytest.raises(SystemExit, match="mmcv: pip download failed"):
        build.download("onedl-mmcv==2.3.6", Path("anywhere"))


def test_the_compiler_finds_ninja_and_no_gpu(build, monkeypatch):
    monkeypatch.setattr(build.sys, "executable", "/env/bin/python")
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("CFLAGS", "-march=native")
    monkeypatch.setenv("MAX_JOBS", "3")
    variables = build.build_environment()
    assert variables["PATH"].split(":") == ["/env/bin", "/usr/bin"]
    assert variables["CFLAGS"].split()[0] == "-march=native"
    assert (variables["MAX_JOBS"], variables["CUDA_VISIBLE_DEVICES"]) == ("3", "")
