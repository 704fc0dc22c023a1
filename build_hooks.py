"""What the build adds to setuptools: `.mim` in the wheel, and no `build/` in the source tree.

OpenMMLab's tools look for configs and scripts in ``<package>/.mim``. A wheel gets a copy of them there. An editable
install gets links: mim searches the whole repository by file name and refuses a config that it finds twice, but it does
not follow links. For the same reason the build takes place outside the tree.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from setuptools.command.build import build
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM_CONTENT = ("configs", "tools", "model-index.yml")
# onedl-mim takes the first entry of an installed wheel's (sorted) file list for the package's folder, and
# `mmdataseg-<version>.dist-info` sorts before `mmdataseg`. A second copy under a name that sorts first is what it
# finds. Everything else (openmim, mmengine, this package) reads `mmdataseg/.mim`.
MIM_FOLDERS = ("mmdataseg/.mim", "_mmdataseg_mim/.mim")


def link_mim(root: Path) -> None:
    """Make ``mmdataseg/.mim`` in a source tree: links to configs, tools and the model index, relative to it.

    Args:
        root: The source tree.
    """
    folder = root / MIM_FOLDERS[0]
    folder.mkdir(exist_ok=True)
    for name in MIM_CONTENT:
        link = folder / name
        if link.is_symlink() or link.is_file():
            link.unlink()
        elif link.is_dir():  # a copy that some other tool left
            shutil.rmtree(link)
        link.symlink_to(os.path.relpath(root / name, folder), target_is_directory=(root / name).is_dir())


class BuildOutsideTree(build):
    """``build`` in a temporary folder, unless the caller names one."""

    def initialize_options(self) -> None:
        super().initialize_options()
        self.build_base = tempfile.mkdtemp(prefix="mmdataseg-build-")
        atexit.register(shutil.rmtree, self.build_base, ignore_errors=True)


class BuildPyWithMim(build_py):
    """``build_py`` that puts configs, tools and the model index beside the modules: copies, or links if editable."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            link_mim(ROOT)
            return
        for folder in MIM_FOLDERS:
            for name in MIM_CONTENT:
                self._copy(ROOT / name, Path(self.build_lib, folder, name))

    def _copy(self, source: Path, target: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"), dirs_exist_ok=True)
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
        else:
            raise FileNotFoundError(f"cannot build the wheel: {source} is missing from the source tree")
