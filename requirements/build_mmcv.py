"""Compile mmcv without GPU operators for the torch of this Python, and install it; ``setup_env.py`` calls this.

mmcv's own build reads torch's headers again for each of its 78 files, which takes most of the time. Here a few new
files include all the others, so that the headers are read once per group.
"""

import argparse
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# the folders whose *.cpp mmcv's setup.py compiles
FOLDERS = ("mmcv/ops/csrc/pytorch", "mmcv/ops/csrc/pytorch/cpu")
FILES_PER_GROUP = 15
# names of functions, classes and constants outside of any block: the same name twice in one group is an error
NAMES = re.compile(r"^(?:struct|class) (\w+)|^\w[\w:<>&*, ]* [&*]*(\w+)(?:\(| =)", re.MULTILINE)
# lines that change the meaning of all files included after this one
LEAKS = re.compile(r"^[ \t]*#[ \t]*define\b|^using namespace\b", re.MULTILINE)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("requirement", help="requirement to build, for example onedl-mmcv==2.3.6")
    requirement = parser.parse_args().requirement
    with tempfile.TemporaryDirectory() as folder:
        with step("download"):
            source = download(requirement, Path(folder))
        with step("compile"):
            num_files = sum(group_sources(source / name) for name in FOLDERS)
            print(f"mmcv: compiling {num_files} files, {build_environment()['MAX_JOBS']} at a time", flush=True)
            # not cached: pip would not know for which torch it was built
            pip("wheel", "--no-cache-dir", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, str(source))
        with step("install"):
            (wheel,) = Path(folder).glob("*.whl")
            pip("install", "--no-deps", "--force-reinstall", str(wheel))


def download(requirement: str, folder: Path) -> Path:
    """Fetch the source distribution and return the folder that it unpacks to."""
    name = requirement.partition("==")[0]
    pip("download", "--no-deps", "--no-build-isolation", "--no-binary", name, "--dest", str(folder), requirement)
    (archive,) = folder.iterdir()
    shutil.unpack_archive(archive, folder)
    (setup,) = folder.glob("*/setup.py")
    return setup.parent


def group_sources(folder: Path) -> int:
    """Replace the C++ files of a folder by a few that include them; return their number.

    The files stay where they are, so that what they include is still found. Their new suffix hides them from setup.py.
    """
    texts = {path: path.read_text() for path in sorted(folder.glob("*.cpp"))}
    if not texts:
        raise FileNotFoundError(f"no C++ files in {folder}: mmcv's source has another layout than expected")
    groups = grouped(texts)
    for path in texts:
        path.rename(hidden(path))
    for number, paths in enumerate(groups):
        # the underscore sorts these before the files of subfolders: the slowest to compile, pybind's, starts early
        group = folder / f"_group_{number}.cpp"
        group.write_text("".join(f'#include "{hidden(path).name}"\n' for path in paths))
    return len(groups)


def grouped(texts: dict[Path, str]) -> list[list[Path]]:
    """Divide files into groups that compile as one file each, of about equal size.

    No two files of a group share a name, and a file that affects what follows it is the last of its group.
    """
    groups: list[list[Path]] = [[] for _ in range(math.ceil(len(texts) / FILES_PER_GROUP))]
    taken: list[set[str]] = [set() for _ in groups]
    leaks = {path: LEAKS.search(text) is not None for path, text in texts.items()}
    for path in sorted(texts, key=leaks.__getitem__):
        names = {name for pair in NAMES.findall(texts[path]) for name in pair if name}
        fitting = [i for i, members in enumerate(groups) if not (taken[i] & names or any(leaks[m] for m in members))]
        if not fitting:
            fitting = [len(groups)]
            groups.append([])
            taken.append(set())
        smallest = min(fitting, key=lambda i: len(groups[i]))
        groups[smallest].append(path)
        taken[smallest] |= names
    return [members for members in groups if members]


def hidden(path: Path) -> Path:
    """Name of a source that setup.py does not find."""
    return path.with_name(f"{path.name}.inc")


def build_environment() -> dict[str, str]:
    """Variables for pip and the compiler."""
    return {
        **os.environ,
        # where torch looks for ninja; without it, it compiles one file at a time
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        # torch's headers have so many templates that -O3 -g takes several times as long
        "CFLAGS": f"{os.environ.get('CFLAGS', '')} -g0 -O1 -DNDEBUG".strip(),
        "MAX_JOBS": os.environ.get("MAX_JOBS", str(os.cpu_count())),
        # if mmcv's setup.py sees a GPU, it builds for it, and fails without nvcc
        "CUDA_VISIBLE_DEVICES": "",
    }


def pip(command: str, *args: str) -> None:
    """Run a command of this Python's pip; exit if it fails (pip prints the reason)."""
    line = [sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check", *args]
    if subprocess.run(line, env=build_environment()).returncode:
        sys.exit(f"mmcv: pip {command} failed")


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print how long a step took."""
    start = time.monotonic()
    yield
    print(f"mmcv: {name} took {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
