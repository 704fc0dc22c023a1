"""What the build adds to setuptools: `.mim` in the wheel, and no `build/` in the source tree.

OpenMMLab's tools look for configs and scripts in ``<package>/.mim``. A wheel gets a copy of them there. An editable
install gets links to the base configs alone, for mmengine's ``mmdataseg::_base_/...``: mim searches the whole
repository by file name, follows links, and refuses a leaf that it finds twice. For the same reason the build takes
place outside the tree.
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
# mmengine reads the index and the file that it names before it looks for a base config
MIM_LINKS = ("configs/_base_", "configs/metafile.yml", "model-index.yml")
# onedl-mim takes the first entry of an installed wheel's (sorted) file list for the package's folder, and
# `mmdataseg-<version>.dist-info` sorts before `mmdataseg`. A second copy under a name that sorts first is what it
# finds. Everything else (openmim, mmengine, this package) reads `mmdataseg/.mim`.
MIM_FOLDERS = ("mmdataseg/.mim", "_mmdataseg_mim/.mim")


def link_mim(root: Path) -> None:
    """Make ``mmdataseg/.mim`` anew in a source tree, of relative links.

    Args:
        root: The source tree.
    """
    folder = root / MIM_FOLDERS[0]
    shutil.rmtree(folder, ignore_errors=True)
    for name in MIM_LINKS:
        target, link = root / name, folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(target, link.parent), target_is_directory=target.is_dir())


class BuildOutsideTree(build):
    """``build`` in a temporary folder, unless the caller names one."""

    def initialize_options(self) -> None:
        super().initialize_options()
        self.build_base = tempfile.mkdtemp(prefix="mmdataseg-build-")
        atexit.register(shutil.rmtree, self.build_base, ignore_errors=True)


class BuildPyWithMim(build_py):
    """``build_py`` that puts configs, tools and model index beside the modules; links to base configs if editable."""

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
