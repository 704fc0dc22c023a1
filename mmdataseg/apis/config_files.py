"""Find a config by path or by file name, in a source tree and in an installed wheel alike."""

from difflib import get_close_matches
from pathlib import Path

from mmdataseg.errors import UserError

PACKAGE = Path(__file__).resolve().parents[1]


def config_root() -> Path:
    """Folder of this package's own configs.

    In a wheel it is ``mmdataseg/.mim/configs``, in a source tree ``configs`` beside the package.

    Raises:
        FileNotFoundError: Neither is there.
    """
    candidates = ((PACKAGE / ".mim" / "configs").resolve(), PACKAGE.parent / "configs")
    for folder in candidates:
        # an editable install has links to the base configs in the first, for mmengine alone
        if (folder / "_base_").is_dir() and not (folder / "_base_").is_symlink():
            return folder
    raise FileNotFoundError(
        f"mmdataseg's configs are neither in {candidates[0]} nor in {candidates[1]}; reinstall the package "
        "(pip install . or pip install -e . in its source tree) or give the path of a config"
    )


def config_roots() -> list[Path]:
    """`config_root()`, and the ``configs`` of every project in a source tree's ``projects``."""
    root = config_root()
    return [root, *sorted(root.parent.glob("projects/*/configs"))]


def leaf_configs(*roots: Path) -> list[Path]:
    """Every config that can be run, sorted by folder: all below the roots except those in ``_base_``.

    Args:
        roots: Folders; none: `config_roots()`.
    """
    return [
        path
        for root in roots or config_roots()
        for path in sorted(root.rglob("*.py"))
        if "_base_" not in path.relative_to(root).parts
    ]


def find_config(name: str) -> Path:
    """Turn what a user typed into the path of a config.

    Args:
        name: A path; or a path relative to this package's ``configs``, or to the folder above it; or a file name
            alone, with or without ``.py``. It is looked for among the configs of the package and of its projects.

    Raises:
        FileNotFoundError: No such config; the message names the nearest ones.
        UserError: The file name fits several configs.
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
