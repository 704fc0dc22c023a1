"""Find a config by path or by file name, in a source tree and in an installed wheel alike."""

from difflib import get_close_matches
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def config_root() -> Path:
    """Folder of this package's own configs.

    In a wheel it is ``mmdataseg/.mim/configs``, in a source tree ``configs`` beside the package.

    Raises:
        FileNotFoundError: Neither is there.
    """
    candidates = (PACKAGE / ".mim" / "configs", PACKAGE.parent / "configs")
    for folder in candidates:
        if (folder / "_base_").is_dir():
            return folder
    raise FileNotFoundError(
        f"mmdataseg's configs are in neither {candidates[0]} nor {candidates[1]}; reinstall the package "
        "(pip install . or pip install -e . in its source tree) or give the path of a config"
    )


def leaf_configs(root: Path | None = None) -> list[Path]:
    """Every config that can be run, sorted: all below ``root`` (`config_root()`) except those in ``_base_``."""
    root = config_root() if root is None else root
    return sorted(p for p in root.rglob("*.py") if "_base_" not in p.relative_to(root).parts)


def find_config(name: str) -> Path:
    """Turn what a user typed into the path of a config.

    Args:
        name: A path; or a path relative to this package's ``configs`` or to the folder above it; or a file name alone,
            with or without ``.py``, that is looked for among this package's configs, as mim does.

    Raises:
        FileNotFoundError: No such config; names the nearest ones.
        ValueError: The file name fits several configs.
    """
    if Path(name).is_file():
        return Path(name)
    root = config_root()
    for path in (root / name, root.parent / name):
        if path.is_file():
            return path
    leaves = leaf_configs(root)
    wanted = Path(name).name.removesuffix(".py")
    found = [p for p in leaves if p.stem == wanted and Path(name).name == name]
    if len(found) > 1:
        listed = ", ".join(str(p.relative_to(root.parent)) for p in found)
        raise ValueError(f"config {name!r}: the file name fits {len(found)} configs ({listed}); give the folder too")
    if not found:
        raise FileNotFoundError(_not_found(name, wanted, [p.relative_to(root).as_posix() for p in leaves], root))
    return found[0]


def _not_found(name: str, wanted: str, leaves: list[str], root: Path) -> str:
    stems = {Path(leaf).stem: leaf for leaf in leaves}
    near = [stems[stem] for stem in get_close_matches(wanted, stems, n=5, cutoff=0.5)]
    hint = f"did you mean: {', '.join(near)}" if near else f"there are: {', '.join(leaves) or 'none'}"
    return f"config {name!r} is neither a file nor one of mmdataseg's configs in {root}; {hint}"
