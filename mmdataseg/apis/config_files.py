"""Find a config by path or by file name, in a source tree and in an installed wheel alike."""

from difflib import get_close_matches
from pathlib import Path

from mmdataseg.errors import UserError

PACKAGE = Path(__file__).resolve().parents[1]


def config_root() -> Path:
    """Return the folder of this package's own configs.

    In a wheel this is ``mmdataseg/.mim/configs``, in a source tree ``configs`` beside the package.

    Raises:
        FileNotFoundError: Neither folder exists.
    """
    candidates = ((PACKAGE / ".mim" / "configs").resolve(), PACKAGE.parent / "configs")
    for folder in candidates:
        # in an editable install the first has links to the base configs, which only mmengine needs
        if (folder / "_base_").is_dir() and not (folder / "_base_").is_symlink():
            return folder
    raise FileNotFoundError(
        f"mmdataseg's configs are neither in {candidates[0]} nor in {candidates[1]}; reinstall the package "
        "(pip install . or pip install -e . in its source tree) or give the path of a config"
    )


def config_roots() -> list[Path]:
    """Return `config_root()`, and in a source tree also the ``configs`` of every project in ``projects``."""
    root = config_root()
    return [root, *sorted(root.parent.glob("projects/*/configs"))]


def leaf_configs(*roots: Path) -> list[Path]:
    """Return every config that can be run: all files below the roots except those in ``_base_``, sorted per root.

    Args:
        roots: Folders to search; without any, those of `config_roots()`.
    """
    return [
        path
        for root in roots or config_roots()
        for path in sorted(root.rglob("*.py"))
        if "_base_" not in path.relative_to(root).parts
    ]


def find_config(name: str) -> Path:
    """Find the config that a user named.

    Args:
        name: A path; a path relative to this package's ``configs`` or its parent folder; or only a file name, with or
            without ``.py``, which is searched among the configs of the package and its projects.

    Returns:
        Path of the config.

    Raises:
        FileNotFoundError: The config does not exist; the message suggests the nearest ones.
        UserError: Several configs have this file name.
    """
    if Path(name).is_file():
        return Path(name)
    roots = config_roots()
    home = roots[0].parent
    for path in (roots[0] / name, home / name):
        if path.is_file():
            return path
    leaves = leaf_configs()
    wanted = Path(name).name.removesuffix(".py")
    found = [path for path in leaves if path.stem == wanted and Path(name).name == name]
    if len(found) > 1:
        listed = ", ".join(path.relative_to(home).as_posix() for path in found)
        raise UserError(f"config {name!r}: the file name fits {len(found)} configs ({listed})", remedy="add the folder")
    if not found:
        known = [path.relative_to(home).as_posix() for path in leaves]
        raise FileNotFoundError(_not_found(name, wanted, known, roots[0]))
    return found[0]


def _not_found(name: str, wanted: str, leaves: list[str], root: Path) -> str:
    stems = {Path(leaf).stem: leaf for leaf in leaves}
    near = [stems[stem] for stem in get_close_matches(wanted, stems, n=5, cutoff=0.5)]
    few = [leaf for leaf in leaves if leaf.count("/") == 1][:5]  # the whole method, not its ablations
    hint = f"did you mean: {', '.join(near)}" if near else f"there are {len(leaves)}, such as {', '.join(few)}"
    return f"config {name!r} is neither a file nor one of mmdataseg's configs in {root}; {hint}"
