"""Find a config by path or by file name, in a source tree and in an installed wheel alike."""

from difflib import get_close_matches
from pathlib import Path

from mmdataseg.errors import MissingFileError, UserError

PACKAGE = Path(__file__).resolve().parents[2]
_SUGGESTED = 3  # most configs that a message names


def config_root() -> Path:
    """Return the folder of this package's own configs.

    In a wheel this is ``mmdataseg/.mim/configs``, in a source tree ``configs`` beside the package.

    Raises:
        MissingFileError: Neither folder exists.
    """
    candidates = ((PACKAGE / ".mim" / "configs").resolve(), PACKAGE.parent / "configs")
    for folder in candidates:
        # in an editable install the first has links to the base configs, which only mmengine needs
        if (folder / "_base_").is_dir() and not (folder / "_base_").is_symlink():
            return folder
    raise MissingFileError(
        f"mmdataseg's configs are neither in {candidates[0]} nor in {candidates[1]}",
        remedy="reinstall the package (pip install . or pip install -e . in its source tree) or give the path of a "
        "config",
    )


def config_roots() -> list[Path]:
    """Return `config_root()`, and in a source tree also the ``configs`` of every project in ``projects``."""
    root = config_root()
    return [root, *sorted(root.parent.glob("projects/*/configs"))]


def leaf_configs(*roots: Path) -> list[Path]:
    """Return every config that can be run: all files below the roots except those in ``_base_``, sorted per root.

    Without roots, those of `config_roots()` are searched.
    """
    return [
        path
        for root in roots or config_roots()
        for path in sorted(root.rglob("*.py"))
        if "_base_" not in path.relative_to(root).parts
    ]


def leaf_configs_of(path: Path) -> list[Path]:
    """Return the leaf configs that use a base file, directly or through other base files.

    Only the text of the files is read, and a base file is recognised by its name. The leaf configs of the same folder
    come first, and there those that are in no further folder.
    """
    own = [parent.parent for parent in path.resolve().parents if parent.name == "_base_"]
    roots = [*own, *(root for root in config_roots() if root not in own)]
    texts = {file: file.read_text(encoding="utf-8") for root in roots for file in sorted(root.rglob("*.py"))}
    found: list[Path] = []
    waiting = [path.name]
    while waiting:
        name = waiting.pop(0)
        for file in [file for file, text in texts.items() if f'/{name}"' in text or f"/{name}'" in text]:
            del texts[file]
            if "_base_" in file.parts:
                waiting.append(file.name)
            else:
                found.append(file)
    return sorted(found, key=lambda file: (not file.is_relative_to(roots[0]), len(file.parts)))


def find_config(name: str) -> Path:
    """Find the config that a user named.

    Args:
        name: A path; a path relative to this package's ``configs`` or its parent folder; or only a file name, with or
            without ``.py``, which is searched among the configs of the package and its projects.

    Raises:
        MissingFileError: The config does not exist; the message suggests the nearest ones.
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
        raise MissingFileError(_not_found(name, wanted, known, home))
    return found[0]


def short_path(path: Path) -> str:
    """Return a path relative to the current folder, or to that of this package's ``configs``, where it is below one."""
    for folder in (Path.cwd(), config_root().parent):
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return str(path)


def _not_found(name: str, wanted: str, leaves: list[str], home: Path) -> str:
    stems = {Path(leaf).stem: leaf for leaf in leaves}
    near = [stems[stem] for stem in get_close_matches(wanted, stems, n=_SUGGESTED, cutoff=0.5)]
    few = [leaf for leaf in leaves if leaf.count("/") == 1][:_SUGGESTED]  # the whole method, not its ablations
    hint = f"did you mean: {', '.join(near)}" if near else f"there are {len(leaves)}, such as {', '.join(few)}"
    return f"config {name!r} is neither a file nor one of mmdataseg's configs; {hint} (in {home})"
