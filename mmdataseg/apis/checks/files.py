"""Check that the data and text embeddings of this package's sources exist."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdataseg.apis.checks.finding import Finding
from mmdataseg.apis.config.data_roots import how_to_get
from mmdataseg.apis.config.files import config_root, leaf_configs_of, short_path
from mmdataseg.errors import MissingFileError, UserError
from mmdataseg.sources import Source


def own_sources() -> dict[str, dict[str, Any]]:
    """Return the sources in ``configs/_base_/sources``, name -> config."""
    from mmengine.config import Config

    files = sorted((config_root() / "_base_/sources").glob("*.py"))
    return {file.stem: Config.fromfile(file).to_dict()[file.stem] for file in files}


def check_data() -> Iterator[Finding]:
    """Check that the folders and files of each source exist, without reading them.

    Sources whose data are not there at all share one finding per folder in ``data/``.
    """
    without_data: dict[str, list[str]] = {}
    for name, source in own_sources().items():
        datasets = [source[split] for split in ("train", "test") if source.get(split)]
        wanted = [path for dataset in datasets for path in paths_of(dataset)]
        absent = [path for path in wanted if not path.exists()]
        roots = ", ".join(sorted({str(dataset["data_root"]) for dataset in datasets if dataset.get("data_root")}))
        if not absent:
            yield Finding(name, "ok", f"in {roots}")
        elif len(absent) == len(wanted):
            without_data.setdefault(_dataset_folder(roots), []).append(name)
        else:
            text = f"{absent[0]} is not there, and {len(wanted) - len(absent)} of {len(wanted)} paths are"
            yield Finding(name, "optional", text, f"to complete the data: {_preparation([name])}")
    for folder, names in without_data.items():
        text = f"not prepared; only for {_users(names)}"
        yield Finding(folder, "optional", text, f"to prepare: {_preparation(names)}")


def check_embeddings() -> Iterator[Finding]:
    """Check that the text embeddings of each source exist, can be read, and match the classes of the source.

    Files that do not exist share one finding per folder.
    """
    from mmdataseg.text.embeddings import load_embeddings

    seen = set()
    absent: dict[Path, list[str]] = {}
    for name, config in own_sources().items():
        file = config.get("embeddings")
        if file is None or file in seen:
            continue
        seen.add(file)
        try:
            found = load_embeddings(file, label_space=Source.from_config(config).label_space, source=name)
        except MissingFileError:
            absent.setdefault(Path(file).parent, []).append(Path(file).stem)
        except UserError as error:
            yield Finding(file, "broken", error.message, error.remedy or "make it again, with --force")
        else:
            text = f"{len(found.classes)} classes, {found.dim} dimensions, {found.encoder}"
            yield Finding(file, "ok", text)
    for folder, stems in absent.items():
        text = f"not made: {', '.join(stems)}; only for configs of these classes"
        yield Finding(str(folder), "optional", text, "to make them: docs/text_embeddings.md")


def _dataset_folder(root: str) -> str:
    """Return the folder in ``data/`` that a relative ``data_root`` is in, such as ``data/coco``."""
    return root if Path(root).is_absolute() else str(Path(*Path(root).parts[:2]))


def _users(names: Sequence[str]) -> str:
    """Say which configs use sources, with the first of the configs that are in the fewest folders."""
    folder = config_root() / "_base_/sources"
    leaves = {leaf for name in names for leaf in leaf_configs_of(folder / f"{name}.py")}
    first = min(leaves, key=lambda leaf: (len(leaf.parts), leaf), default=None)
    example = "" if first is None else f", such as {short_path(first)}"
    return f"configs with {' or '.join(filter(None, [', '.join(names[:-1]), names[-1]]))}{example}"


def _preparation(names: Sequence[str]) -> str:
    """Return how to get the data of sources, without what another one of them says with more detail."""
    told = sorted({text for name in names if (text := how_to_get(name))})
    longest = [text for text in told if not any(other != text and other.startswith(text) for other in told)]
    return "; ".join(longest) or "docs/datasets.md"


def paths_of(dataset: Mapping[str, Any]) -> list[Path]:
    """Return the paths of the folders and files in the config of a dataset, joined to its ``data_root``.

    The dataset may be of this package, mmdet or mmseg.
    """
    root = Path(dataset.get("data_root") or "")
    named = [value for key, value in dataset.items() if key.endswith(("_dir", "_file")) and key != "cache_dir"]
    named += list((dataset.get("data_prefix") or {}).values())
    flat = [path for value in named for path in (value if isinstance(value, list | tuple) else [value])]
    return [root / path for path in flat if isinstance(path, str) and path]
